"""The rows: data, split, what is chosen beforehand, which errors are shown, what is published, what is aimed at."""

from dataclasses import dataclass, field

import published
from published import Published


@dataclass(frozen=True)
class Figure:
    """An error: its key in the JSON of `nbcore evaluate`, and how it is shown."""

    name: str  # energy, forces, stress
    key: str
    unit: str
    scale: float  # from eV and Angstrom

    @property
    def measure(self) -> str:
        """RMSE or MAE."""
        return "MAE" if "mae" in self.key else "RMSE"

    def of(self, errors):
        """The value shown, from a dict of all errors; None where nothing is labelled."""
        return None if errors.get(self.key) is None else self.scale * errors[self.key]


RMSE = (Figure("energy", "energy_rmse", "meV", 1e3), Figure("forces", "forces_rmse", "meV/Å", 1e3))
MAE = (Figure("energy", "energy_mae", "meV", 1e3), Figure("forces", "forces_mae", "meV/Å", 1e3))
MAE_PER_ATOM = (
    Figure("energy", "energy_mae_per_atom", "meV/atom", 1e3),
    Figure("forces", "forces_mae", "eV/Å", 1.0),
    Figure("stress", "stress_mae", "GPa", 160.21766208),
)
RMSE_PER_ATOM = (
    Figure("energy", "energy_rmse_per_atom", "meV/atom", 1e3),
    Figure("forces", "forces_rmse", "meV/Å", 1e3),
)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    train, tests, isolated: files below DATA (below the source folder where it is `shipped`). valid: the fraction that
    is cut off train. first: only so many structures of the training file, from its beginning. settings: keys of
    train.toml that are not the defaults. bars: {size: {(test, figure): value}}, what is aimed at; "any" for every size.
    """

    name: str
    what: str
    train: tuple[str, ...]
    tests: dict[str, str]
    figures: tuple[Figure, ...]
    valid: float
    isolated: str = ""
    first: int | None = None
    settings: dict = field(default_factory=dict)
    bars: dict[str, dict] = field(default_factory=dict)
    published: Published | None = None
    note: str = ""
    shipped: bool = False

    @property
    def short(self) -> str:
        """The data set in a few words."""
        return self.what.partition(",")[0].partition(":")[0]

    def bar(self, size, test, figure):
        """The value that a model of this size should reach; None where there is none."""
        both = {**self.bars.get("any", {}), **self.bars.get(size, {})}
        return both.get((test, figure))


def _columns(tests, energy, forces):
    """Bars of energies and forces, one of each per test; None for none."""
    pairs = {(test, "energy"): e for test, e in zip(tests, energy, strict=True)}
    pairs |= {(test, "forces"): f for test, f in zip(tests, forces, strict=True)}
    return {key: value for key, value in pairs.items() if value is not None}


#: the beginning of every row; what a row or --set says comes later and stands
COMMON = {"model.preset": "nbody", "training.patience": 10000}
MOLECULE = {"model.cutoff": 4.0, "training.batch_size": 5, "training.max_epochs": 220}
CRYSTAL = {
    "model.cutoff": 5.0,
    "training.batch_size": 2,
    "training.max_epochs": 100,
    "loss.energy_weight": 10.0,
    "loss.stress_weight": 1000.0,
    "stage_two.start": 0.75,
    "stage_two.lr": 0.01,
}
#: many neighbours, sharp shells: fine radial functions, and one level (docs/decisions)
METAL = CRYSTAL | {
    "model.cutoff": 6.0,
    "model.levels": 1,
    "model.n_radial": 20,
    "model.smoothness": 1,
    "training.lr": 0.02,
    "training.max_epochs": 300,
    "loss.energy_weight": 1000.0,
    "stage_two.energy_weight": 1000.0,
    "stage_two.lr": 0.003,
}
K = ("300 K", "600 K")
PROXY = ("300 K, proxy", "600 K, proxy", "1200 K, proxy")

_MOLECULES = {  # bars of the forces: aspirin as Allegro, the others as NequIP
    "aspirin": 7.3, "azobenzene": 2.9, "benzene": 0.3, "malonaldehyde": 5.1, "naphthalene": 1.3, "salicylic": 4.0,
    "toluene": 1.6,
}  # fmt: skip
_MTP = {"Si": (2.21, 0.06), "Ge": (1.79, 0.05), "Li": (0.49, 0.01), "Cu": (0.41, 0.01), "Ni": (0.48, 0.01)}

_ALL = [
    Row(
        "acac",
        "acetylacetone, 450 + 50 structures at 300 K",
        ("acac/train_300K.xyz.xz",),
        {"300 K": "acac/test_MD_300K.xyz.xz", "600 K": "acac/test_MD_600K.xyz.xz"},
        RMSE,
        valid=0.1,
        isolated="acac/isolated_atoms.xyz.xz",
        settings=MOLECULE,
        bars={
            "small": {("300 K", "forces"): 18.0},
            "medium": _columns(K, (None, None), (5.8, 21.0)),
            "large": _columns(K, (0.9, 4.6), (5.0, 18.5)),
        },
        published=published.ACAC,
    ),
    Row(
        "3bpa",
        "3-(benzyloxy)pyridin-2-amine, 450 + 50 structures at 300 K; tests by proxy",
        ("3bpa/train_300K.xyz.xz",),
        {f"{t} K, proxy": f"3bpa/proxy_test_{t}K.xyz.xz" for t in (300, 600, 1200)},
        RMSE,
        valid=0.1,
        isolated="3bpa/isolated_atoms.xyz.xz",
        settings=MOLECULE,
        bars={"large": _columns(PROXY, (None,) * 3, (9.3, 22.0, 66.0))},
        published=published.BPA3,
        note="The published test files could not be had. The proxy tests are frames of the authors' training set of "
        "mixed temperatures, less those that are in the training set of 300 K.",
    ),
    *(
        Row(
            f"rmd17_{molecule}",
            f"rMD17 {molecule}, 950 + 50 structures of split 01",
            (f"rmd17/{molecule}_train_01.xyz.xz",),
            {"test": f"rmd17/{molecule}_test_01.xyz.xz"},
            MAE,
            valid=0.05,
            settings=MOLECULE,
            bars={"any": {("test", "forces"): forces}},
            published=published.RMD17[molecule],
        )
        for molecule, forces in _MOLECULES.items()
    ),
    Row(
        "rmd17_aspirin_50",
        "rMD17 aspirin, the first 50 structures of split 01, 45 + 5",
        ("rmd17/aspirin_train_01.xyz.xz",),
        {"test": "rmd17/aspirin_test_01.xyz.xz"},
        MAE,
        valid=0.1,
        first=50,
        settings={**MOLECULE, "training.max_epochs": 1000},
        bars={"any": {("test", "forces"): 46.0}},
        published=published.ASPIRIN_50,
        note="Trained on the first 50 of the training file; the published 50 are others.",
    ),
    *(
        Row(
            f"mlearn_{element}",
            f"mlearn {element}: elastic strains, AIMD, vacancies, surfaces; the published split",
            (f"mlearn/{element}_train.xyz.xz",),
            {"test": f"mlearn/{element}_test.xyz.xz"},
            MAE_PER_ATOM if element in ("Si", "Ge", "Li") else MAE_PER_ATOM[:2],
            valid=0.1,
            settings=METAL if element in ("Li", "Cu", "Ni") else CRYSTAL,
            bars={"any": _columns(("test",), (bars[0],), (bars[1],))},
            published=published.MLEARN[element],
        )
        for element, bars in _MTP.items()
    ),
    Row(
        "monbtaw",
        "Mo, Nb, Ta, W and their binaries, one model",
        ("monbtaw/train_unary.xyz.xz", "monbtaw/train_binary.xyz.xz"),
        {"unary": "monbtaw/test_unary.xyz.xz", "binary": "monbtaw/test_binary.xyz.xz"},
        MAE_PER_ATOM,
        valid=0.05,
        settings={**CRYSTAL, "training.batch_size": 4, "training.max_epochs": 30},
        published=published.MONBTAW,
    ),
    Row(
        "water_dp",
        "liquid water, 64 molecules, 320 structures",
        ("water_dp/train.xyz.xz",),
        {"test": "water_dp/test.xyz.xz"},
        RMSE_PER_ATOM,
        valid=0.1,
        settings={**CRYSTAL, "training.batch_size": 1, "training.max_epochs": 40},
        bars={"any": {("test", "forces"): 40.0}},
        published=published.WATER,
        note="Labels are of single precision, with net forces of some 0.002 eV/Å an atom.",
    ),
    Row(
        "molecule",
        "glycolaldehyde, the shipped example: 270 + 30 structures at 500 K",
        ("examples/molecule/train.xyz",),
        {
            "300 K": "examples/molecule/test_300K.xyz",
            "800 K": "examples/molecule/test_800K.xyz",
            "scan": "examples/molecule/scan.xyz",
        },
        RMSE,
        valid=0.1,
        isolated="examples/molecule/isolated_atoms.xyz",
        settings=MOLECULE,
        bars={"any": {("300 K", "forces"): 12.0}},
        shipped=True,
    ),
    Row(
        "small_molecules",
        "small molecules of H, C, O at 500 K (GFN2-xTB), 475 + 25 structures, up to three heavy atoms",
        ("benchmarks/zoo/data/small.xyz.xz",),
        {"larger": "benchmarks/zoo/data/larger.xyz.xz"},
        RMSE_PER_ATOM,
        valid=0.05,
        settings=MOLECULE,
        shipped=True,
    ),
]
ROWS = {row.name: row for row in _ALL}
