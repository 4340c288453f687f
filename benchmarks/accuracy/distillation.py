"""A committee as the teacher of one model: its members are trained, it moves the molecule, and labels what it sees.

The trajectories of `nbcore md` hold the energies and forces of their model: those of a committee are training data, at
a temperature at which there are no others. Members err differently where data are few, so their mean errs less, and a
model of the mean costs what one member costs.
"""

import subprocess
import sys
from dataclasses import dataclass

from training import Run, frames

from nbcore.config import load
from nbcore.data import read
from nbcore.data.files import read_bytes
from nbcore.train.fit import split

WALKS, EVERY = 4, 50  # trajectories; steps of 0.5 fs between two frames


@dataclass(frozen=True)
class Distillation:
    """members: of the committee. kelvin: of its trajectories. count: structures that it labels."""

    members: int
    kelvin: float
    count: int

    def __str__(self):
        return f"distilled from {self.members}, {self.count} structures at {self.kelvin:g} K"


class Distilled(Run):
    """A row whose training structures are those of the row and those that a committee labels."""

    def __init__(self, row, data, runs, size, seed, overrides, structures, how):
        super().__init__(row, data, runs, size, seed, overrides, structures)
        self.how = how
        own = [*overrides, f"uncertainty.committee={how.members}"]
        self.teacher = Run(row, data, runs, size, seed, own, structures)
        self.name += f"-distilled-{how.members}-{how.kelvin:g}-{how.count}"
        self.folder = self.folder.with_name(self.name)

    def train(self, threads=1) -> int:
        """The committee, its trajectories, then the model; seconds are those of all."""
        if not self.teacher.finished and (code := self.teacher.train(threads)):
            return code
        if not (self.folder / "train.xyz").exists() and (code := self.label(threads)):
            return code
        code = super().train(threads)
        if code == 0:
            both = self.about, self.teacher.about
            self._note(**{key: round(sum(about[key] for about in both), 2) for key in ("wall_seconds", "cpu_seconds")})
        return code

    def files(self):
        """What `label` wrote."""
        return self.folder / "train.xyz", self.folder / "valid.xyz"

    def label(self, threads) -> int:
        """Writes train.xyz and valid.xyz: structures of the row as the committee had them, and its trajectories."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = load(self.teacher.folder / "train.toml")
        names = [config.data.train] if isinstance(config.data.train, str) else config.data.train
        texts = [frame for file in names for frame in frames(read_bytes(file)[0].decode())]
        structures = read(names)
        places = {(s.file, s.frame): text for s, text in zip(structures, texts, strict=True)}
        train, valid = split(structures, config.data.valid, config.seed)
        labelled = []
        for walk in range(WALKS):
            start = train[(2 * walk + 1) * len(train) // (2 * WALKS)]
            folder = self.folder / f"walk_{walk + 1}"
            n = len(range(walk, self.how.count, WALKS))
            if code := self.walk(start, folder, n, walk, threads):
                return code
            labelled += frames((folder / "trajectory.xyz").read_text())[1:]  # the first is a structure of the row
        (self.folder / "valid.xyz").write_text("".join(places[s.file, s.frame] for s in valid))
        (self.folder / "train.xyz").write_text("".join([*(places[s.file, s.frame] for s in train), *labelled]))
        return 0

    def walk(self, start, folder, n, walk, threads) -> int:
        """`nbcore md` with the committee, n frames after the first; its exit code."""
        command = [sys.executable, "-m", "nbcore", "md", str(self.teacher.model), f"{start.file}@{start.frame}"]
        command += ["--temperature", f"{self.how.kelvin:g}", "--timestep", "0.5fs", "--time", f"{0.5 * EVERY * n:g}fs"]
        command += ["--every", str(EVERY), "--seed", str(walk + 1), "--output", str(folder), "--threads", str(threads)]
        return subprocess.run([*command, "--quiet"], check=False).returncode
