"""What a potential says of its radial networks."""

from typing import NamedTuple


class RadialSpline(NamedTuple):
    """What evaluations take in the place of a radial network."""

    intervals: int
    begin: float  #: Angstrom; who has shorter edges takes the network itself
    end: float  #: Angstrom, the cutoff
    error: float  #: largest difference from the network, of its largest value at this or a larger distance
    slope_error: float  #: the same of slopes
    tabulated: bool  #: a table of the weights themselves (wide networks), not of the network's functions


class RadialNetwork(NamedTuple):
    """The radial network of a gate."""

    n_basis: int  #: functions of its basis
    layers: list[int]  #: widths
    spline: RadialSpline | None  #: None: evaluations run the network
