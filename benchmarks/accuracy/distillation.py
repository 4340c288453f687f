"""A committee as the teacher of one model: what its members agree on, where the data do not reach.

Members err differently where data are few, so their mean errs less, and a model of the mean costs what one member
costs. The committee labels structures of the row whose displacements x - x0 from the minimum x0 of their basin, as it
has them, are stretched: by s, as if they came from a dynamics at s^2 times the temperature.
"""

import io
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.optimize import BFGS
from training import Run, frames

from nbcore import load
from nbcore.ase import NBCoreCalculator
from nbcore.config import load as load_config
from nbcore.data import read
from nbcore.data.files import read_bytes
from nbcore.train.fit import split

FMAX, STEPS = 0.02, 200  # of the way to the minimum, eV/Angstrom


@dataclass(frozen=True)
class Distillation:
    """members: of the committee. stretch: displacements grow by 1 to so much. count: structures that it labels."""

    members: int
    stretch: float
    count: int

    def __str__(self):
        return f"distilled from {self.members}, {self.count} structures stretched up to {self.stretch:g}"


class Distilled(Run):
    """A row whose training structures are those of the row and those that a committee labels."""

    def __init__(self, row, data, runs, size, seed, overrides, structures, how):
        super().__init__(row, data, runs, size, seed, overrides, structures)
        self.how = how
        own = [*overrides, f"uncertainty.committee={how.members}"]
        self.teacher = Run(row, data, runs, size, seed, own, structures)
        self.name += f"-distilled-{how.members}-{how.stretch:g}-{how.count}"
        self.folder = self.folder.with_name(self.name)

    def train(self, threads=1) -> int:
        """The committee, what it labels, then the model; seconds are those of committee and model."""
        if not self.teacher.finished and (code := self.teacher.train(threads)):
            return code
        if not (self.folder / "train.xyz").exists():
            self.label(threads)
        code = super().train(threads)
        if code == 0:
            both = self.about, self.teacher.about
            self._note(**{key: round(sum(about[key] for about in both), 2) for key in ("wall_seconds", "cpu_seconds")})
        return code

    def files(self):
        """What `label` wrote."""
        return self.folder / "train.xyz", self.folder / "valid.xyz"

    def label(self, threads) -> None:
        """Writes valid.xyz and train.xyz: structures of the row as the committee had them, and those stretched."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = load_config(self.teacher.folder / "train.toml")
        names = [config.data.train] if isinstance(config.data.train, str) else config.data.train
        texts = [frame for file in names for frame in frames(read_bytes(file)[0].decode())]
        structures = read(names)
        places = {(s.file, s.frame): text for s, text in zip(structures, texts, strict=True)}
        train, valid = split(structures, config.data.valid, config.seed)
        labelled = stretched(train, self.teacher.model, self.how, config.seed, threads)
        (self.folder / "valid.xyz").write_text("".join(places[s.file, s.frame] for s in valid))
        (self.folder / "train.xyz").write_text("".join([*(places[s.file, s.frame] for s in train), labelled]))


def stretched(structures, model, how, seed, threads) -> str:
    """Extended XYZ of `how.count` structures with the energies and forces of a model."""
    rng = np.random.default_rng(seed)
    committee, minima, found = load(model), {}, []
    chosen = np.concatenate([rng.permutation(len(structures)) for _ in range(1 + how.count // len(structures))])
    for k in chosen[: how.count]:
        s = structures[int(k)]
        if k not in minima:
            minimum = Atoms(s.numbers, s.positions, cell=s.cell, pbc=s.pbc)
            minimum.calc = NBCoreCalculator(model, threads)
            BFGS(minimum, logfile=None).run(FMAX, STEPS)
            minima[k] = minimum.positions
        positions = minima[k] + rng.uniform(1, how.stretch) * (s.positions - minima[k])
        found.append(Atoms(s.numbers, positions, cell=s.cell, pbc=s.pbc))
    for atoms, result in zip(found, committee.compute_many(found, threads=threads), strict=True):
        atoms.info["config_type"] = "committee"
        atoms.calc = SinglePointCalculator(atoms, energy=result.energy, forces=result.forces)
    text = io.StringIO()
    write(text, found, format="extxyz")
    return text.getvalue()
