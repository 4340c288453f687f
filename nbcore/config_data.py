"""[data] and [heads.NAME] of train.toml: files, keys and units, for one potential or for each of several heads."""

from typing import Annotated, Any, Literal

import msgspec

from nbcore.config_messages import no_such_key, readable
from nbcore.config_tables import Table
from nbcore.config_tables import key as _
from nbcore.config_values import to_toml
from nbcore.errors import InputError
from nbcore.train.heads import check_heads_names

Files = str | list[str]


class Data(Table, kw_only=True):
    """Files, keys and units."""

    train: _(Files, "a file, a glob or a list; everything ASE reads, also .gz .xz .bz2") = []
    valid: _(float | str | list[str], "a fraction of train (random, by seed), or files") = 0.1
    test: _(Files, "never used to choose anything; evaluated once, after training") = []
    energy_key: _(str, "auto: REF_energy, energy; two candidates are an error that lists them") = "auto"
    forces_key: _(str, 'auto: REF_forces, forces, force; "none": there are no forces') = "auto"
    stress_key: _(str, 'auto: REF_stress, stress or a virial; "none": not used') = "auto"
    virial_key: _(str, "instead of stress_key: stress = -virial / volume") = ""
    energy_kind: _(Literal["auto", "free", "zero"], "auto: free where a file has both and they differ") = "auto"
    energy_unit: _(Literal["eV", "Hartree", "Ry", "kcal/mol", "kJ/mol"], "converted once, and said so") = "eV"
    length_unit: _(Literal["Angstrom", "Bohr"], "of positions and cell") = "Angstrom"
    forces_unit: _(str, 'auto: energy_unit/length_unit; else for example "Hartree/Bohr"') = "auto"
    stress_unit: _(Literal["eV/Angstrom^3", "GPa", "kbar", "bar", "Hartree/Bohr^3", "Ry/Bohr^3"]) = "eV/Angstrom^3"
    stress_sign: _(Literal["tension", "pressure"], "what is positive; tension as in ASE") = "tension"
    missing: _(
        Literal["error", "mask"], "mask: frames that lack a label other frames have count for the others only"
    ) = "error"
    E0s: _(
        str | dict[str, float], 'auto: isolated atoms if the data holds one of each, else "fit"; or { H = -13.6 }'
    ) = "auto"
    isolated_atoms: _(Files, "only if they are in files of their own; else one-atom frames are found") = []
    config_type_weights: _(dict[str, Annotated[float, msgspec.Meta(ge=0)]], "weight in the loss") = msgspec.field(
        default_factory=lambda: {"Default": 1.0}
    )


class Head(Data, kw_only=True):
    """A head: data of one method, what [data] may hold and a weight; keys not written are those of [data]."""

    weight: _(float, "of its structures in the loss", gt=0) = 1.0
    reference: _(str, "level of theory of its labels, in the place of that under [about]") = ""


FILES = ("train", "test", "isolated_atoms")  # that belong to a head, not to [data] beside heads


def heads_from(content: dict, origin: str, tables: dict[str, Any]) -> dict[str, Head]:
    """{NAME: Head} of the tables [heads.NAME], where there are some, with what [data] says for all of them.

    Raises InputError in the words of the file.
    """
    heads, shared = content.get("heads", {}), content.get("data", {})
    if not isinstance(heads, dict) or not all(isinstance(table, dict) for table in heads.values()):
        raise InputError(f"{origin}: heads are tables: write [heads.pbe] and its keys below, as under [data].")
    if not heads:
        return {}
    try:
        check_heads_names({name: 1.0 for name in heads})
    except InputError as e:
        raise InputError(f"{origin}: {e}.") from None
    if "fine_tune" in content:
        raise InputError(
            f"{origin}: [heads.{next(iter(heads))}]: a fine-tuning goes on from one potential, without heads."
        )
    files = [key for key in FILES if key in shared] + ["valid"] * isinstance(shared.get("valid"), (str, list))
    for key in files:
        raise InputError(
            f"{origin}: [data] {key}: beside heads every file belongs to one of them: write it under "
            f"[heads.{next(iter(heads))}]. [data] holds what is the same for all."
        )
    found = {}
    for name, table in heads.items():
        for key in table:
            if key not in Head.__struct_fields__:
                raise InputError(f"{origin}: [heads.{name}] {key}: {no_such_key(key, Head.__struct_fields__, tables)}")
        if not table.get("train"):
            raise InputError(
                f"{origin}: train is needed: write  train = {to_toml(f'{name}.xyz')} under [heads.{name}]."
            )
        try:
            found[name] = msgspec.convert({**shared, **table}, Head)
        except msgspec.ValidationError as e:
            raise InputError(readable(str(e), {**shared, **table}, origin, {}, Head, f"heads.{name}")) from None
    return found
