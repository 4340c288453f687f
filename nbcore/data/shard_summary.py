"""What a set of shards holds as a whole, gathered while it is written: counts, sizes, labels, distances, forces."""

from dataclasses import asdict, dataclass, field

import numpy as np

from nbcore.data.blocks import Block


@dataclass
class Summary:
    """Figures of all structures; lengths Å, forces eV/Å. `facts` is what the writer was told of their origin."""

    n: int = 0
    n_atoms: int = 0
    smallest: int = 0
    largest: int = 0
    periodic: int = 0
    species: list[int] = field(default_factory=list)
    types: dict[str, int] = field(default_factory=dict)
    forces_squared: float = 0.0  # sum over components
    force_components: int = 0
    forces_max: tuple[float, str] = (0.0, "")
    shortest: dict[str, tuple[float, str]] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)

    def add(self, block: Block, shortest: list[dict[str, float]]) -> None:
        """Counts a block in; shortest: of each structure the shortest distance of each pair of elements."""
        c, n = block.columns, len(block)
        atoms = c["atoms"]
        self.smallest = int(min(atoms.min(), self.smallest)) if self.n else int(atoms.min())
        self.largest = int(max(atoms.max(), self.largest))
        self.n, self.n_atoms = self.n + n, self.n_atoms + block.n_atoms
        self.periodic += int(c["pbc"].all(axis=1).sum())
        self.species = sorted({*self.species, *np.unique(c["numbers"]).tolist()})
        for kind, count in zip(*np.unique(c["type"], return_counts=True), strict=True):
            name = block.types[kind]
            self.types[name] = self.types.get(name, 0) + int(count)
        if "forces" in c:
            self.forces_squared += float(np.sum(c["forces"] ** 2))
            self.force_components += 3 * int(c["atoms"][block.has("forces")].sum())
            sizes = np.abs(c["forces"]).max(axis=1)
            if sizes.max() > self.forces_max[0]:
                k = int(np.searchsorted(block.first, sizes.argmax(), side="right")) - 1
                self.forces_max = (float(sizes.max()), block.where(k))
        for k, one in enumerate(shortest):
            for pair, d in one.items():
                if pair not in self.shortest or d < self.shortest[pair][0]:
                    self.shortest[pair] = (float(d), block.where(k))

    def as_dict(self) -> dict:
        """What JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict) -> "Summary":
        """The inverse of `as_dict`."""
        pairs = {pair: tuple(found) for pair, found in plain["shortest"].items()}
        return cls(**{**plain, "forces_max": tuple(plain["forces_max"]), "shortest": pairs})

    @property
    def forces_rms(self) -> float | None:
        """Root mean square of the force components, None without any."""
        return float(np.sqrt(self.forces_squared / self.force_components)) if self.force_components else None
