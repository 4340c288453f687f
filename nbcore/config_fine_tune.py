"""train.toml with [fine_tune]: the model says what the network is, and other defaults hold for [training].

[model] may be left out; what is written there, or under [outputs], is compared with the model, so that nobody believes
to train another network than the one that is trained.
"""

import os

from nbcore.config_tables import key as _
from nbcore.config_tables import table_of
from nbcore.config_values import to_toml
from nbcore.errors import InputError
from nbcore.model_file import read_description
from nbcore.options import declared
from nbcore.presets import PRESETS
from nbcore.train.fine_tune import FINE_TUNING, FineTune

FineTuneTable = table_of(
    "FineTuneTable",
    FineTune,
    first=[
        ("model", _(str, "start from its network, scales and parameters; there is no [model] then")),
        ("replay", _(str | list[str], "data that it was trained on: what is not seen again is forgotten"), []),
    ],
)


def of_start(content: dict, origin: str, folder: str, output_defaults: dict) -> dict:
    """The tables of a train.toml that starts from a model: without [model], with outputs and defaults filled in.

    output_defaults: {key: default} of an [outputs.NAME]. Raises InputError where [model] or [outputs] say something
    else than the model, FileNotFoundError and ModelFileError where there is none. What is wrong with the tables
    themselves is left to be said by others.
    """
    table = content["fine_tune"]
    if not isinstance(table, dict) or not isinstance(table.get("model"), str):
        return content
    path = os.path.join(folder, table["model"])
    description = read_description(path)
    _compare_model(content.get("model", {}), description, origin, table["model"])
    tables = {name: part for name, part in content.items() if name != "model"}
    tables["outputs"] = _outputs(content.get("outputs", {}), description, origin, table["model"], output_defaults)
    if isinstance(content.get("training", {}), dict):
        tables["training"] = {**FINE_TUNING, **content.get("training", {})}
    return tables


def _compare_model(written, description, origin, model):
    """InputError names the first key of [model] that the model has otherwise."""
    preset = description.get("preset")
    options = {"preset": preset, "cutoff": description["cutoff"]}
    if preset in PRESETS:
        options |= {o.name: o.default for o in declared(PRESETS[preset].make) if o.name != "cutoff"}
    options |= description.get("options", {})
    if not isinstance(written, dict):
        raise InputError(f"{origin}: model is a table: write [model] and its keys below, or leave it out.")
    size = written.get("size")
    sizes = PRESETS[preset].sizes if preset in PRESETS else {}
    filled = sizes.get(size, {}) if isinstance(size, str) else {}
    if size is not None and size not in sizes:
        raise InputError(f"{origin}: [model] size = {to_toml(size)}: {model} has no such size. Leave it out.")
    for key, value in {**filled, **{k: v for k, v in written.items() if k != "size"}}.items():
        if key not in options:
            raise InputError(
                f"{origin}: [model] {key}: {model} has no such option. Leave [model] out: the model has it."
            )
        if value != _plain(options[key]):
            by_size = f" (size {size})" if key not in written else ""
            raise InputError(
                f"{origin}: [model] {key} = {to_toml(value)}{by_size}, but {model} has {key} = "
                f"{to_toml(_plain(options[key]))}. Fine-tuning keeps the network of the model: leave [model] out."
            )


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def _outputs(written, description, origin, model, defaults):
    """{name: table}: the outputs of the model, keys and weights as written; InputError for what the model has not."""
    if not isinstance(written, dict) or not all(isinstance(table, dict) for table in written.values()):
        return written
    found = {}
    for name, options in description["program"].get("outputs", {}).items():
        found[name] = {key: value for key, value in options.items() if key != "slot"}
    for name, table in written.items():
        if name not in found:
            has = f"its outputs are {', '.join(found)}" if found else "it has none"
            raise InputError(f"{origin}: [outputs.{name}]: {model} has no such output: {has}.")
        for key, value in table.items():
            of_model = found[name].get(key, defaults.get(key))
            if key not in ("key", "weight") and key in defaults and value != of_model:
                raise InputError(
                    f"{origin}: [outputs.{name}] {key} = {to_toml(value)}, but {model} has {key} = {to_toml(of_model)}."
                )
        found[name] |= table
    return found
