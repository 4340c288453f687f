"""What others published on these data sets, each with its source; the units are those of the row."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Values of others. columns: (test set, figure); values: {potential: one number per column, None if not given}."""

    source: str
    columns: tuple[tuple[str, str], ...]
    values: dict[str, tuple[float | None, ...]]

    def of(self, test, figure) -> dict[str, float]:
        """{potential: value} of one column, those that have one."""
        if (test, figure) not in self.columns:
            return {}
        k = self.columns.index((test, figure))
        return {name: values[k] for name, values in self.values.items() if values[k] is not None}

    def best(self, test, figure):
        """(value, potential) of the smallest; None where nobody has one."""
        return min(((v, name) for name, v in self.of(test, figure).items()), default=None)


ACAC = Published(
    "Batatia et al., arXiv:2205.06643, and MACE, NeurIPS 2022; the rerun from a log of one seed; ELoRA starts from a "
    "model of much more data",
    (("300 K", "energy"), ("300 K", "forces"), ("600 K", "energy"), ("600 K", "forces")),
    {
        "BOTNet": (0.89, 6.3, 6.2, 29.8),
        "NequIP": (0.81, 5.90, 6.04, 27.8),
        "MACE": (0.9, 5.1, 4.6, 22.4),
        "MACE, a rerun": (0.8, 5.9, 8.2, 26.7),
        "PACE": (0.73, 4.2, 3.8, 16.9),
        "MACE-OFF23, tuned (ELoRA)": (0.8, 4.5, 3.9, 13.6),
    },
)

BPA3 = Published(
    "Musaelian et al. 2023 (Allegro), Batatia et al., arXiv:2205.06643, and MACE, NeurIPS 2022, README of nequip-eqx; "
    "on the published tests, which are other structures than those of the proxy",
    tuple((f"{t} K, proxy", figure) for t in (300, 600, 1200) for figure in ("energy", "forces")),
    {
        "Allegro": (3.84, 12.98, 12.07, 29.17, 42.57, 82.96),
        "NequIP": (3.3, 10.8, 11.2, 26.4, 38.5, 76.2),
        "BOTNet": (3.1, 11.0, 11.5, 26.7, 39.1, 81.1),
        "PACE": (2.4, 9.1, 7.9, 21.4, 29.6, 60.7),
        "MACE": (3.0, 8.8, 9.7, 21.8, 29.8, 62.0),
        "MACE, a rerun": (2.4, 9.9, 11.0, 25.3, 36.9, 81.9),
        "nequip-eqx": (2.9, 9.5, 10.8, 24.2, 34.1, 75.4),
    },
)

_RMD17_POTENTIALS = ("MACE", "Allegro", "BOTNet", "NequIP", "ACE", "FCHL", "GAP", "ANI", "PaiNN")
#: energy and force errors of each molecule in this order; then those of ACE, NequIP and MACE trained on 50
_RMD17 = {
    "aspirin": (
        (2.2, 2.3, 2.3, 2.3, 6.1, 6.2, 17.7, 16.6, 6.9),
        (6.6, 7.3, 8.5, 8.2, 17.9, 20.9, 44.9, 40.6, 16.1),
    ),
    "azobenzene": (
        (1.2, 1.2, 0.7, 0.7, 3.6, 2.8, 8.5, 15.9, None),
        (3.0, 2.6, 3.3, 2.9, 10.9, 10.8, 24.5, 35.4, None),
    ),
    "benzene": (
        (0.4, 0.3, 0.03, 0.04, 0.04, 0.35, 0.75, 3.3, None),
        (0.3, 0.2, 0.3, 0.3, 0.5, 2.6, 6.0, 10.0, None),
    ),
    "malonaldehyde": (
        (0.8, 0.6, 0.8, 0.8, 1.7, 1.5, 4.8, 4.6, 3.9),
        (4.1, 3.6, 5.8, 5.1, 11.1, 10.3, 26.4, 24.5, 13.8),
    ),
    "naphthalene": (
        (0.5, 0.2, 0.2, 0.9, 0.9, 1.2, 3.8, 11.3, 5.1),
        (1.6, 0.9, 1.8, 1.3, 5.1, 6.5, 16.5, 29.2, 3.6),
    ),
    "salicylic": (
        (0.9, 0.9, 0.8, 0.7, 1.8, 1.8, 5.6, 9.2, 4.9),
        (3.1, 2.9, 4.3, 4.0, 9.3, 9.5, 24.7, 29.7, 9.1),
    ),
    "toluene": (
        (0.5, 0.4, 0.3, 0.3, 1.1, 1.7, 4.0, 7.7, 4.2),
        (1.5, 1.8, 1.9, 1.6, 6.5, 8.8, 17.8, 24.3, 4.4),
    ),
}
_EF = (("test", "energy"), ("test", "forces"))
RMD17 = {
    molecule: Published(
        "Table 2 of MACE, NeurIPS 2022", _EF, dict(zip(_RMD17_POTENTIALS, zip(*both, strict=True), strict=True))
    )
    for molecule, both in _RMD17.items()
}
ASPIRIN_50 = Published(
    "Table 2 of MACE, NeurIPS 2022; trained on 50 other structures of the same set",
    _EF,
    {"ACE": (26.2, 63.8), "NequIP": (19.5, 52.0), "MACE": (17.0, 43.9)},
)

_ZUO = "Zuo et al., J. Phys. Chem. A 124 (2020) 731, as quoted by the benchmark of ACEpotentials.jl"
_MLEARN = {  # GAP, MTP; linear ACE of some 300 and 1000 functions
    "Si": ((2.91, 0.07), (2.21, 0.06), (3.501, 0.086), (2.127, 0.066)),
    "Ge": ((2.06, 0.05), (1.79, 0.05), (2.594, 0.064), (2.162, 0.049)),
    "Li": ((0.49, 0.01), (0.49, 0.01), (0.231, 0.008), (0.165, 0.005)),
    "Cu": ((0.46, 0.01), (0.41, 0.01), (0.292, 0.007), (0.228, 0.005)),
    "Ni": ((0.42, 0.02), (0.48, 0.01), (0.416, 0.018), (0.34, 0.014)),
}
_LEADERBOARD = {
    "Si": {"SNAP": 0.176, "MatGL": 0.112, "NequIP": 0.090, "ALIGNN-FF": 0.069},
    "Ge": {"SNAP": 0.097},
    "Li": {"SNAP": 0.027},
    "Cu": {"SNAP": 0.060, "MatGL": 0.018, "ALIGNN-FF": 0.019},
    "Ni": {"SNAP": 0.062},
}
MLEARN = {
    element: Published(
        f"{_ZUO}; linear ACE: Witt et al., J. Chem. Phys. 159 (2023) 164101, last digits not confirmed; "
        "JARVIS: runs of its leaderboard by others, not tuned",
        _EF,
        dict(zip(("GAP", "MTP", "ACE, 300 functions", "ACE, 1000 functions"), values, strict=True))
        | {f"{name} (JARVIS)": (None, forces) for name, forces in _LEADERBOARD[element].items()},
    )
    for element, values in _MLEARN.items()
}

MONBTAW = Published(
    "Li et al., npj Comput. Mater. 6 (2020) 70, over all of its test sets, with a larger training set; from memory, "
    "not confirmed",
    (("binary", "energy"), ("binary", "forces")),
    {"SNAP": (5.1, 0.14)},
)

WATER = Published(
    "Zhang et al., Phys. Rev. Lett. 120 (2018) 143001, with a far larger training set; from memory, not confirmed",
    (("test", "forces"),),
    {"DPMD": (40.4,)},
)


@dataclass(frozen=True)
class Speed:
    """What an evaluation of a published potential costs: us/atom of one core, measured on another machine."""

    potential: str  # as in the table of errors
    us_per_atom: float
    how: str
    at_least: bool = False  # a smaller model was measured


_HERE = "one core of an AVX-512 Xeon, other weights of the same size"
#: row: what is known of the cost of the potentials in its table
SPEEDS = {
    "acac": [
        Speed("MACE", 20010, f"128 instead of 256 channels, l <= 2, float64, mace-torch 0.3.16; {_HERE}", True),
        Speed("NequIP", 1610, f"64 channels, l <= 2, 3.3 million parameters, float32, nequip 0.19.1; {_HERE}"),
    ],
    "mlearn_Si": [
        Speed("SNAP (JARVIS)", 154, "2J = 8 with the weights of Zuo et al., LAMMPS; one core of an AVX-512 Xeon"),
    ],
    "mlearn_Cu": [
        Speed("SNAP (JARVIS)", 122, "2J = 8 with the weights of Zuo et al., LAMMPS; one core of an AVX-512 Xeon"),
        Speed("ACE, 1000 functions", 190, "742 functions of another fit, ML-PACE; one core of an AVX-512 Xeon"),
    ],
}
