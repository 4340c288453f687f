"""train.toml: its keys, types, ranges and defaults, read with messages a person can use and written with comments.

Each key stands once with its type, range, default and comment: here, in `nbcore.train.settings`, or at the function of
a preset. `load` reads a file into a `Config`, `write_config` writes one. Three keys are needed: name, data.train and
model.cutoff.
"""

import functools
import math
import os
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from nbcore.config_data import Data, Files, Head, heads_from
from nbcore.config_fine_tune import FineTuneTable, of_start
from nbcore.config_messages import no_such_key, readable
from nbcore.config_tables import Table, table_of
from nbcore.config_tables import key as _
from nbcore.config_values import path_from, to_toml, to_toml_key
from nbcore.errors import InputError
from nbcore.files import check_name
from nbcore.options import declared
from nbcore.outputs import KNOWN, outputs_of
from nbcore.presets import PRESETS
from nbcore.train import loss as train_loss
from nbcore.train import settings

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


class ConfigError(InputError):
    """A configuration that does not fit; the message names file, table and key."""

    exit_code = 2


Positive = dict(gt=0)
NotNegative = dict(ge=0)
TIME = r"^(\d+h)?(\d+m(in)?)?(\d+s)?$"


class About(Table):
    """What goes into the model about its making."""

    description: _(str) = ""
    reference: _(str, "level of theory: the question every later user asks") = ""
    author: _(str) = ""
    licence: _(str) = ""
    cite: _(str, "a DOI, for you and for the data") = ""


Loss = table_of("Loss", train_loss.Loss)
StageTwo = table_of("StageTwo", settings.StageTwo)
Training = table_of(
    "Training",
    settings.Settings,
    leave_out=["seed"],
    last=[
        ("max_time", _(str, '"3h45m": stop in time, saved, and still a usable model', pattern=TIME), ""),
        ("checkpoint_minutes", _(float, "and at every end, signal or stop", **Positive), 5.0),
        ("tensorboard", _(bool, "an event file beside history.csv, for `tensorboard --logdir .`"), False),
        ("threads", _(Literal["auto"] | Annotated[int, msgspec.Meta(ge=1)], "auto: the cores this process may use"),
         "auto"),
    ],
)  # fmt: skip


@functools.cache
def model_table(name: str) -> type[Table]:
    """The table [model] of a preset: the options of its function; `size` fills in what is left out."""
    preset = PRESETS[name]
    sizes = Literal[tuple(preset.sizes) or ("medium",)]
    first = [
        ("preset", _(str, "`nbcore init --list-presets`"), name),
        ("size", _(sizes, "fills in what is not written below"), "medium"),
    ]
    filled = {option for size in preset.sizes.values() for option in size}
    last = [
        ("repulsion", _(Literal["auto", "zbl", "none"], "of cores below the shortest distances in train; auto: zbl for "
                        "periodic data"), "auto"),
    ]  # fmt: skip
    return table_of("Model", preset.make, first=first, last=last, filled=filled)


class OutputTable(Table):
    """[outputs.NAME]: a covariant output of the network, and its labels in the data."""

    key: _(str, "auto: REF_NAME, NAME") = "auto"
    unit: _(str, "as the data has it; nothing is converted") = ""
    rank: _(Annotated[int, msgspec.Meta(ge=0, le=6)] | None, "indices of the symmetric tensor; 1 is a vector") = None
    traceless: _(bool, "only the part l = rank") = False
    per: _(Literal["structure", "atom"], "what has one") = "structure"
    charges: _(bool, "a dipole of neutral molecules: charges times positions are added") = False
    weight: _(float, "in the loss, on errors in units of the labels' spread", **NotNegative) = 1.0


class Uncertainty(Table):
    """What the model is to know of its errors."""

    last_layer: _(bool, "how far atoms are from those of the training: costs nothing in training") = True
    committee: _(int, "members trained one after the other, in one file; 1: none", ge=1, le=64) = 1


class Config(Table, kw_only=True):
    """train.toml; `folder` is where its relative paths begin."""

    name: _(str, "output folder and model file: NAME/NAME.nbcore")
    seed: _(int, "initial weights, shuffling, random split: same seed, same bits", ge=0) = 1
    about: About = msgspec.field(default_factory=About)
    data: Data = msgspec.field(default_factory=Data)
    heads: dict[str, Head] = msgspec.field(default_factory=dict)
    model: Any = None  # None with fine_tune
    fine_tune: FineTuneTable | None = None
    loss: Loss = msgspec.field(default_factory=Loss)
    training: Training = msgspec.field(default_factory=Training)
    stage_two: StageTwo = msgspec.field(default_factory=StageTwo)
    uncertainty: Uncertainty = msgspec.field(default_factory=Uncertainty)
    outputs: dict[str, OutputTable] = msgspec.field(default_factory=dict)
    folder: str = ""

    def paths(self, files: Files) -> list[str]:
        """File names or globs as written in the configuration -> the same, from its folder."""
        return [os.path.join(self.folder, f) for f in ([files] if isinstance(files, str) else files)]

    def of_head(self, name: str) -> "Config":
        """The configuration of one head, whose table is [data]."""
        return msgspec.structs.replace(self, data=self.heads[name], heads={})

    def output_labels(self) -> dict[str, dict]:
        """{name: key and options} of the covariant outputs, as `nbcore.data.read` takes them."""
        tables = {name: msgspec.to_builtins(table) for name, table in self.outputs.items()}
        return {name: {key: v for key, v in table.items() if key != "weight"} for name, table in tables.items()}


#: keys that name files
PATHS = {"data": ("train", "valid", "test", "isolated_atoms"), "fine_tune": ("model", "replay")}
TABLES = {
    "about": About,
    "data": Data,
    "model": model_table("nbody"),
    "fine_tune": FineTuneTable,
    "loss": Loss,
    "training": Training,
    "stage_two": StageTwo,
    "uncertainty": Uncertainty,
}


def tables_of(preset: str) -> dict[str, type[Table]]:
    """The tables of train.toml with the options of a preset under [model]."""
    return {**TABLES, "model": model_table(preset)}


def model_options(model: Table) -> dict[str, Any]:
    """What the preset's function takes beside species: cutoff, levels, channels, ..., with `size` filled in."""
    preset = PRESETS[model.preset]
    options = {option.name: option.default for option in declared(preset.make)}
    options = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    written = {key: value for key in options if (value := getattr(model, key)) is not None}
    return {**options, **preset.sizes.get(model.size, {}), **written}


def load(path, overrides=()) -> Config:
    """Reads train.toml; `overrides` are "training.max_epochs=50" (a list) or {"training.max_epochs": 50}.

    Raises ConfigError for what does not fit, FileNotFoundError for an absent file.

    >>> load("train.toml", ["training.max_epochs=50"]).training.max_epochs
    50
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: not a TOML file: {e}") from None
    pairs = overrides.items() if isinstance(overrides, dict) else map(_split_override, overrides)
    for key, value in pairs:
        _override(content, key, value)
    return from_dict(content, str(path), str(path.parent))


def from_dict(content: dict[str, Any], origin: str = "configuration", folder: str = "") -> Config:
    """A Config from nested dictionaries; `origin` begins the messages, `folder` is where relative paths begin."""
    try:
        content = of_start(content, origin, folder, _output_defaults()) if "fine_tune" in content else content
    except InputError as e:
        raise ConfigError(str(e)) from None
    preset = _preset(content, origin)
    tables = tables_of(preset)
    _check_keys(content, origin, preset)
    try:
        model = None if "fine_tune" in content else msgspec.convert(content["model"], tables["model"])
    except msgspec.ValidationError as e:
        raise ConfigError(readable(str(e), content["model"], origin, {}, tables["model"], "model")) from None
    try:
        heads = heads_from(content, origin, tables)
    except InputError as e:
        raise ConfigError(str(e)) from None
    rest = {**content, "outputs": _outputs(content.get("outputs", {}), origin), "model": None, "folder": folder}
    rest["heads"] = heads
    try:
        config = msgspec.structs.replace(msgspec.convert(rest, Config), model=model)
    except msgspec.ValidationError as e:
        raise ConfigError(readable(str(e), content, origin, tables, Config)) from None
    _check_values(config, origin)
    _check_outputs(config, origin)
    return config


def _output_defaults():
    """{key: default} of an [outputs.NAME]."""
    return {field.name: field.default for field in msgspec.structs.fields(OutputTable)}


def _preset(content, origin):
    """The name of the preset, which says what [model] may hold."""
    if not isinstance(content.get("model", {}), dict):
        raise ConfigError(f"{origin}: model is a table: write [model] and its keys below.")
    preset = content.get("model", {}).get("preset", "nbody")
    if preset not in PRESETS:
        raise ConfigError(f"{origin}: [model] preset: {to_toml(preset)} is not known. There are: {', '.join(PRESETS)}.")
    return preset


def _outputs(tables, origin):
    """[outputs.NAME] -> {NAME: OutputTable}, its messages in the words of the file."""
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError(f"{origin}: outputs are tables: write [outputs.dipole] and its keys below.")
    found = {}
    for name, table in tables.items():
        for key in table:
            if key not in OutputTable.__struct_fields__:
                said = no_such_key(key, OutputTable.__struct_fields__, TABLES)
                raise ConfigError(f"{origin}: [outputs.{name}] {key}: {said}")
        try:
            found[name] = msgspec.convert(table, OutputTable)
        except msgspec.ValidationError as e:
            raise ConfigError(readable(str(e), table, origin, {}, OutputTable, f"outputs.{name}")) from None
    try:
        outputs_of({name: {"rank": table.rank} for name, table in found.items()})
    except InputError as e:
        raise ConfigError(f"{origin}: {e}") from None
    return found


def _check_outputs(config, origin):
    """Not every preset has outputs."""
    having = [name for name, preset in PRESETS.items() if preset.has_outputs]
    if config.outputs and config.model and config.model.preset not in having:
        raise ConfigError(
            f"{origin}: [outputs.{next(iter(config.outputs))}]: the preset {config.model.preset} gives energies alone. "
            f"With outputs there are {', '.join(having)}."
        )


def _split_override(text: str):
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: expected KEY=VALUE, for example --set training.max_epochs=50")
    try:
        return key.strip(), tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:  # a bare word
        return key.strip(), value.strip()


def _override(content, key, value):
    table, _, name = key.rpartition(".")
    kind, _, owner = table.partition(".")
    if kind in ("outputs", "heads") and owner:
        content.setdefault(kind, {}).setdefault(owner, {})[name] = value
        return
    if table and table not in ("outputs", "heads") and table not in TABLES:
        raise ConfigError(f"--set {key}: no such table. There are: {', '.join(TABLES)}.")
    if not table and name not in ("name", "seed"):
        owners = [f"{t}.{name}" for t, struct in TABLES.items() if name in struct.__struct_fields__]
        raise ConfigError(f"--set {key}: no such key." + (f" Did you mean {' or '.join(owners)}?" if owners else ""))
    (content.setdefault(table, {}) if table else content)[name] = value


def _check_keys(content, origin, preset):
    tables = tables_of(preset)
    top = [f for f in Config.__struct_fields__ if f != "folder"]
    for key in content:
        if key not in top:
            raise ConfigError(f"{origin}: {key}: {no_such_key(key, top, tables)}")
    for table, struct in tables.items():
        keys = content.get(table, {})
        if not isinstance(keys, dict):
            raise ConfigError(f"{origin}: {table} is a table: write [{table}] and its keys below.")
        for key in keys:
            others = [name for name in PRESETS if key in model_table(name).__struct_fields__]
            if table == "model" and others and preset not in others:
                raise ConfigError(
                    f"{origin}: [model] {key}: the preset {preset} has no such key ({', '.join(others)} has)."
                )
            if key not in struct.__struct_fields__:
                raise ConfigError(f"{origin}: [{table}] {key}: {no_such_key(key, struct.__struct_fields__, tables)}")
    decides = ("fine_tune", "model", "old.nbcore") if "fine_tune" in content else ("model", "cutoff", 5.0)
    of_data = [] if content.get("heads") else [("data", "train", "train.xyz")]
    for table, key, meant in ((None, "name", "my_potential"), *of_data, decides):
        if key not in (content.get(table, {}) if table else content):
            where = f" under [{table}]" if table else " at the top"
            raise ConfigError(f"{origin}: {key} is needed: write  {key} = {to_toml(meant)} {where}.")


def _check_values(config, origin):
    def wrong(table, key, message):
        raise ConfigError(f"{origin}: [{table}] {key}: {message}")

    try:
        check_name(config.name)
    except InputError as e:
        raise ConfigError(f"{origin}: {e}") from None
    try:
        settings.check_optimizer(config.training)
    except InputError as e:
        raise ConfigError(f"{origin}: [training] {e}") from None

    parts = {table: getattr(config, table) for table in TABLES}
    for table, part in (parts | {f"heads.{name}": head for name, head in config.heads.items()}).items():
        for key in part.__struct_fields__ if part else ():
            value = getattr(part, key)
            numbers = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            for number in numbers:
                if isinstance(number, float) and not math.isfinite(number):
                    wrong(table, key, f"expected a finite number, got {number}.")
    for name, output in config.outputs.items():
        if not math.isfinite(output.weight):
            wrong(f"outputs.{name}", "weight", f"expected a finite number, got {output.weight}.")
    if config.heads and config.uncertainty.committee > 1:
        wrong("uncertainty", "committee", "heads are trained as one potential; committee = 1.")
    for table, data in {f"heads.{name}": head for name, head in config.heads.items()}.items() or [
        ("data", config.data)
    ]:
        if isinstance(data.valid, float) and not 0 < data.valid < 1:
            wrong(table, "valid", f"expected a fraction between 0 and 1, or files, got {data.valid:g}.")
        if isinstance(data.E0s, str) and data.E0s not in ("auto", "isolated", "fit"):
            meant = 'expected "auto", "isolated", "fit" or a table { H = -13.6 }'
            wrong(table, "E0s", f"{meant}, got {to_toml(data.E0s)}.")
        if data.virial_key and data.stress_key not in ("auto", "none"):
            wrong(table, "virial_key", "give stress_key or virial_key, not both.")
        if not data.train:
            wrong(table, "train", "no files.")


def write_config(config: Config, path, overwrite: bool = False) -> None:
    """Writes every key with its value and a comment, paths relative to the new file, in one step.

    An existing file is replaced only with `overwrite` (FileExistsError): people write into their configurations.
    """
    from nbcore.files import replacing

    with replacing(path, "w", overwrite=overwrite) as f:
        f.write(config_text(config, Path(path).parent))


def config_text(config: Config, folder=None) -> str:
    """The text of train.toml; paths are made relative to `folder` where it is given."""
    lines = _key_lines(config, ["name", "seed"])
    parts = {}
    for table in TABLES:
        if table == "data" and config.heads:  # every key of it stands under the heads
            parts |= {f"heads.{to_toml_key(name)}": head for name, head in config.heads.items()}
        else:
            parts[table] = getattr(config, table)
    for table, part in parts.items():
        if part is None:
            continue
        if table == "model":
            part = msgspec.structs.replace(part, **model_options(part))
        if folder is not None:
            part = _moved(part, PATHS.get("data" if table.startswith("heads.") else table, ()), config.folder, folder)
        lines += ["", f"[{table}]", *_key_lines(part, _keys(part))]
    for name, output in config.outputs.items():
        rank = output.rank if output.rank is not None else KNOWN[name]["rank"]
        lines += ["", f"[outputs.{name}]"]
        lines += _key_lines(msgspec.structs.replace(output, rank=rank), output.__struct_fields__)
    return "\n".join(lines) + "\n"


def _keys(part):
    sized = PRESETS[part.preset].sizes if hasattr(part, "preset") else {}
    return [key for key in part.__struct_fields__ if sized or key != "size"]


def _key_lines(part, names):
    comments = {f.name: _comment(f) for f in msgspec.structs.fields(part) if f.name in names}
    optional = {"virial_key": "", "isolated_atoms": [], "element_weights": {}, "hierarchicality_weight": 0.0}
    lines = []
    for name in names:
        value = getattr(part, name)
        if value is None or (name in optional and value == optional[name]):
            continue
        text = f"{name} = {to_toml(value)}"
        lines.append(f"{text:<36} # {comments[name]}" if comments[name] else text)
    return lines


def _comment(field):
    """The comment of a key; where it takes one of a few words, the others come first."""
    type_, *_, meta = get_args(field.type)
    kinds = [type_, *get_args(type_)] if get_origin(type_) in (Union, UnionType) else [type_]
    words = next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())
    others = [to_toml(word) for word in words if word != field.default]
    return "; ".join(filter(None, [", ".join(others), meta.description]))


def _moved(part, keys, old, new):
    def move(files):
        if isinstance(files, list):
            return [move(f) for f in files]
        if not isinstance(files, str) or os.path.isabs(files):
            return files
        return path_from(os.path.join(old or ".", files), new)

    return msgspec.structs.replace(part, **{key: move(getattr(part, key)) for key in keys})
