"""From the options of a preset to a potential: what all presets share."""

import math

from nbcore.errors import InputError
from nbcore.potential import Potential
from nbcore.species import atomic_numbers, symbols


def build(preset: str, make_program, species, options: dict, E0s: dict | None, seed: int, **more) -> Potential:
    """A potential with the program of a preset and random parameters; InputError for options that make no sense.

    more: further entries of the description.
    """
    cutoff, levels = options["cutoff"], options["levels"]
    if not math.isfinite(cutoff) or cutoff <= 0:
        raise InputError(f"cutoff must be a positive length in Angstrom, got {cutoff!r}")
    if isinstance(levels, bool) or levels != int(levels) or levels < 1:
        raise InputError(f"levels must be a whole number of at least 1, got {levels!r}")
    if seed != int(seed) or seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, got {seed!r}")
    ordered = symbols(sorted(set(atomic_numbers(list(species)))))
    strangers = [s for s in E0s or {} if s not in ordered]
    if strangers:
        raise InputError(f"E0s: {' '.join(strangers)} not among the species ({' '.join(ordered)})")
    description = {
        "preset": preset, "options": options, "species": ordered, "cutoff": float(cutoff),
        "E0s": {s: float((E0s or {}).get(s, 0.0)) for s in ordered}, "program": make_program(ordered, **options),
        **more,
    }  # fmt: skip
    return Potential(description, int(seed))
