"""A committee as the teacher of one model, which learns what the members agree on; see docs/distillation.md."""

import io
from dataclasses import dataclass

from ase.io import write
from training import Run, frames

from nbcore import load
from nbcore.config import load as load_config
from nbcore.data import read
from nbcore.data.files import read_bytes
from nbcore.train import stretched
from nbcore.train.fit import split


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
        teacher = load(self.teacher.model)
        labelled, text = (
            stretched(teacher, train, self.how.count, self.how.stretch, config.seed, threads),
            io.StringIO(),
        )
        write(text, labelled, format="extxyz")
        (self.folder / "valid.xyz").write_text("".join(places[s.file, s.frame] for s in valid))
        (self.folder / "train.xyz").write_text("".join([*(places[s.file, s.frame] for s in train), text.getvalue()]))
