"""What is wrong with a train.toml, in the words of the file: unknown keys, foreign words, values out of range."""

import difflib
import re
from typing import Any

import msgspec

from nbcore.config_values import to_toml
from nbcore.options import length_in_words

# The words of other codes: recognised in messages, not accepted.
FOREIGN = {
    "r_max": ("cutoff", "MACE and NequIP"),
    "cutoff_radius": ("cutoff", "other codes"),
    "rcut": ("cutoff", "PACE and DeePMD"),
    "dist_hard_max": ("cutoff", "hippynn"),
    "num_channels": ("channels", "MACE"),
    "num_features": ("channels", "NequIP"),
    "n_features": ("channels", "hippynn"),
    "hidden_irreps": ("channels and l_states", "MACE"),
    "multiplicity": ("channels", "other codes"),
    "num_interactions": ("levels", "MACE"),
    "num_layers": ("levels", "NequIP"),
    "n_interaction_layers": ("levels", "hippynn"),
    "max_ell": ("l_harmonics", "MACE"),
    "lmax": ("l_harmonics", "other codes"),
    "max_L": ("l_states", "MACE"),
    "l_max": ("l_states", "NequIP"),
    "body_order": ("correlation", "other codes, where it is one more"),
    "num_radial_basis": ("n_radial", "MACE"),
    "num_bessels": ("n_radial", "NequIP"),
    "n_sensitivities": ("n_radial", "hippynn"),
    "nradmax": ("n_radial", "PACE"),
    "per_type_energy_shifts": ("E0s", "NequIP"),
    "reference_energy": ("E0s", "PACE"),
    "train_file": ("train", "MACE"),
    "valid_file": ("valid", "MACE"),
    "valid_fraction": ("valid", "MACE"),
    "test_file": ("test", "MACE"),
    "virials_key": ("virial_key", "MACE"),
    "kappa": ("energy_weight and forces_weight", "PACE"),
    "loss_coeffs": ("energy_weight and forces_weight", "NequIP"),
    "learning_rate": ("lr", "other codes"),
    "max_num_epochs": ("max_epochs", "MACE"),
    "swa": ("stage_two", "MACE"),
    "start_swa": ("start", "MACE"),
    "swa_energy_weight": ("energy_weight", "MACE"),
}


def no_such_key(key: str, known, tables: dict[str, Any]) -> str:
    """The message for an unknown key: what was probably meant, in this table or another one."""
    if key in FOREIGN:
        word, code = FOREIGN[key]
        return f"no such key. Did you mean {word}? ({key} in {code})"
    near = difflib.get_close_matches(key, known, 1, 0.6)
    if near:
        return f"no such key. Did you mean {near[0]}?"
    owners = [table for table, struct in tables.items() if key in struct.__struct_fields__]
    return f"no such key. It belongs under [{owners[0]}]." if owners else f"no such key. There are: {', '.join(known)}."


def readable(message: str, content: dict, origin: str, tables: dict[str, Any], top, table: str = "") -> str:
    """msgspec's "Expected `int` >= 1 - at `$.model.levels`" in the words of the file."""
    what, _, where = message.partition(" - at `$.")
    keys = re.sub(r"\[.*?\]", "", where.rstrip("`")).split(".")
    value = content
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else value
    struct = tables.get(keys[0], top)
    expected = _expectation(struct, keys[-1]) or what
    place = f"[{keys[0]}] {'.'.join(keys[1:])}" if keys[0] in tables and len(keys) > 1 else ".".join(keys)
    place = f"[{table}] {place}" if table else place
    return f"{origin}: {place}: expected {expected}, got {to_toml(value)}."


def _expectation(struct, name):
    """What a key takes, in words: "a number > 0", "one of "l2", "l1", "huber"", "an integer >= 1"."""
    field = next((f for f in msgspec.structs.fields(struct) if f.name == name), None)
    if field is None:
        return None
    info = msgspec.inspect.type_info(field.type)
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    return " or ".join(filter(None, map(_kind_in_words, getattr(info, "types", [info]))))


def _kind_in_words(info):
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    match info:
        case msgspec.inspect.LiteralType():
            values = ", ".join(to_toml(v) for v in info.values)
            return values if len(info.values) == 1 else f"one of {values}"
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            noun = "an integer" if isinstance(info, msgspec.inspect.IntType) else "a number"
            signs = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
            limits = [f"{sign} {getattr(info, k):g}" for k, sign in signs if getattr(info, k) is not None]
            return " ".join([noun, " and ".join(limits)]).strip()
        case msgspec.inspect.StrType():
            return {None: "a text", r"^[^/\\]+$": "a name without slashes"}.get(info.pattern, 'a time such as "3h45m"')
        case msgspec.inspect.ListType():
            length = length_in_words(info.min_length, info.max_length)
            return f"a list{length} numbers, each {_kind_in_words(info.item_type)}" if length else "a list"
        case msgspec.inspect.DictType():
            return f"a table {{ NAME = {_kind_in_words(info.value_type).removeprefix('a ')} }}"
    return ""
