"""From the options of a preset to a potential: what all presets share."""

from nbcore.errors import InputError
from nbcore.outputs import Output, outputs_of
from nbcore.potential import Potential
from nbcore.species import atomic_numbers, symbols


def build(
    preset: str, make_program, species, options: dict, E0s: dict | None, seed: int, outputs=None, energy=True, **more
) -> Potential:
    """A potential with the program of a preset and random parameters; InputError for options that make no sense.

    outputs, energy: covariant outputs, beside the energy or instead of it, of presets that have them. more: further
    entries of the description.
    """
    if seed != int(seed) or seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, got {seed!r}")
    found = outputs_of(outputs)
    if not energy and not found:
        raise InputError('energy=False leaves a network without outputs: name some, for example outputs=["dipole"]')
    wanted = {name: output.as_dict() for name, output in found.items()}
    extra = {"outputs": wanted, "energy": energy} if wanted else {}  # others: the program as it was without any
    ordered = symbols(sorted(set(atomic_numbers(list(species)))))
    strangers = [s for s in E0s or {} if s not in ordered]
    if strangers:
        raise InputError(f"E0s: {' '.join(strangers)} not among the species ({' '.join(ordered)})")
    description = {
        "preset": preset, "options": {**options, **extra}, "species": ordered, "cutoff": float(options["cutoff"]),
        "E0s": {s: float((E0s or {}).get(s, 0.0)) for s in ordered},
        "program": make_program(ordered, **options, **extra),
        **more,
    }  # fmt: skip
    try:
        return Potential(description, int(seed))
    except InputError as e:
        given = ", ".join(f"{key} = {value}" for key, value in {**options, **extra}.items() if value is not None)
        raise InputError(f"the preset {preset} makes no network of {given}: {e}") from None


def radial_option(cutoff: float, n_radial: int, radial_layers, smoothness: int = 1) -> dict:
    """The option "radial" of the gates of a preset: Bessel functions, or a network on them."""
    radial = {"basis": "bessel", "n": n_radial, "cutoff": float(cutoff), "envelope": "polynomial", "power": 5,
              "smoothness": smoothness}  # fmt: skip
    return radial | ({"layers": list(radial_layers)} if len(radial_layers) else {})


def layers_option(radial_layers) -> dict:
    """The entry of the options, none without a network: descriptions stay as they were."""
    return {"radial_layers": list(radial_layers)} if len(radial_layers) else {}


def output_gates(outputs: dict, states: list[str], parity: str):
    """Readouts of covariant outputs {name: options}: one channel of every part wanted, from all states; their gates and
    the program's "outputs".
    """
    gates, declared = [], {}
    for name, options in outputs.items():
        output = Output(name, **options)
        names = [part_name(l, parity) for l in ((0,) if output.charges else ()) + output.ls]
        gates.append(dict(gate="mix", name=name, inputs=states, channels=1, parts=names))
        declared[name] = {"slot": name, **options}
    return gates, declared


def part_name(l: int, parity: str) -> str:  # noqa: E741
    """1o, 2e: the part of natural parity; 1, 2 where parity is not tracked."""
    return f"{l}{'eo'[l % 2] if parity == 'o3' else ''}"


def largest_l(outputs: dict) -> int:
    """Of the parts that outputs {name: options} need, 0 if there are none."""
    return max((Output(name, **options).rank for name, options in outputs.items()), default=0)
