"""The presets by name, and the options that several of them share."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, NamedTuple

from nbcore import options
from nbcore.options import Option

Cutoff = Annotated[float, Option("Angstrom", gt=0)]
Channels = Annotated[int, Option("", ge=1)]
Levels = Annotated[int, Option("how often atoms look at their neighbours: range = levels x cutoff", ge=1, le=8)]
LHarmonics = Annotated[int, Option("angular detail of a neighbourhood", ge=0, le=10)]
LStates = Annotated[int, Option("angular detail of what atoms tell each other: 0 faster, 2 more accurate", ge=0, le=10)]
Correlation = Annotated[int, Option("neighbours per product: 3 is four-body per level", ge=1, le=3)]
NRadial = Annotated[int, Option("radial functions", ge=1)]
Smoothness = Annotated[
    int, Option("radial function n begins with 1/n^smoothness of the first: larger fits smoother", ge=0, le=4)
]
RadialLayers = Annotated[
    list[int],
    Option(
        "a network on the radial functions: widths of its layers, [64, 64, 8]; []: linear in them",
        ge=1, le=256, longest=6,
    ),
]  # fmt: skip
Labels = Annotated[str, Option("the per-atom label of the smallest parts, a molecule or a residue", optional=True)]
PartSize = Annotated[float, Option("of the smallest parts, Angstrom", gt=0)]
Parity = Annotated[str, Option("o3: mirror images have the same energy", choices=("o3", "so3"))]


Envelope = Annotated[
    str,
    Option("smooth: twice differentiable; cosine: that of the original, once", choices=("smooth", "cosine")),
]


class Preset(NamedTuple):
    """What a preset is, in words; the function that makes a potential; the one that makes its program; sizes."""

    text: str
    make: Callable
    program: Callable
    sizes: dict[str, dict]

    @property
    def has_outputs(self) -> bool:
        """True if its networks can have covariant outputs."""
        return "outputs" in inspect.signature(self.make).parameters


#: name -> Preset, filled by `preset`
PRESETS: dict[str, Preset] = {}


def preset(text: str, program, sizes: dict[str, dict] | None = None):
    """A decorator: makes a function known as a preset of its name, and checks the options that it is called with.

    text: what the architecture is, for `nbcore init --list-presets`. program: function (species, **options) -> program.
    sizes: {"small": options, ...} for the key `size` of train.toml.
    """

    def register(make):
        names = inspect.signature(make)

        @functools.wraps(make)
        def checked(*args, **keywords):
            given = names.bind(*args, **keywords)
            options.check(make, given.arguments, f"preset {make.__name__}: ")
            return make(*args, **keywords)

        PRESETS[make.__name__] = Preset(text, checked, program, sizes or {})
        return checked

    return register
