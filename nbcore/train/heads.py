"""Heads: potentials of one network, each with readouts, E0s and a scale of its own, for data of different methods."""

import copy
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nbcore.data.atoms import as_structures
from nbcore.data.structure import Structure, Structures
from nbcore.errors import InputError
from nbcore.files import check_name
from nbcore.potential import Potential
from nbcore.train.loss import Loss
from nbcore.train.partials import Partial, Tree
from nbcore.train.training_set import BatchResult, TrainingSet, checked, mean_of, reordered, whole_batch

NAMES = re.compile(r"[\w.+()-]+")  # of heads: they stand in names of files, in history.csv and before a colon


class Heads:
    """One network that learns from data of several methods at once: a head for each, which is an ordinary potential.

    potential: what every head begins as; it is copied. names: of the heads, {name: weight} for weights in the loss of
    their structures, others 1. All heads share the parameters but those of the readouts; these, the E0s and the scale
    are their own. `parameters` holds them all once, those of the first head in their usual places, the readouts of the
    others behind. `heads[name]` is a head, with the parameters that stand there now; its E0s may be assigned, its
    parameters are overwritten. A structure belongs to the head that its `head` names.

    Raises InputError for names that are no names of files, for names that are given twice, and for a network without
    parameters that belong to its readouts alone.

    >>> pot = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=8)
    >>> heads = nbcore.train.Heads(pot, ["pbe", "ccsd"])
    >>> len(pot.parameters), len(heads.parameters), len(heads["ccsd"].parameters)
    (4152, 4304, 4152)
    """

    def __init__(self, potential: Potential, names: Iterable[str] | Mapping[str, float]):
        names = [names] if isinstance(names, str) else list(names) if not isinstance(names, Mapping) else dict(names)
        self.weights = {name: 1.0 for name in names} | (names if isinstance(names, dict) else {})
        check_heads_names(self.weights, list(names))
        slices, own = potential.parameter_slices, own_groups(potential)
        if not own:
            raise InputError("heads: this network has no parameters that belong to its readouts alone")
        first, *others = self.weights
        self._members = {name: copy.deepcopy(potential) for name in self.weights}
        self._slices = {f"{first}:{group}" if group in own else group: slices[group] for group in slices}
        places, n = np.arange(len(potential.parameters)), len(potential.parameters)
        self._places = {first: places}
        for name in others:
            self._places[name] = places.copy()
            for group in own:
                where, shape = slices[group]
                size = where.stop - where.start
                self._slices[f"{name}:{group}"] = slice(n, n + size), shape
                self._places[name][where] = np.arange(n, n + size)
                n += size
        #: (n_parameters,) of all heads
        self.parameters = np.empty(n)
        self.gather()

    # ---- its heads ----

    def __getitem__(self, name: str) -> Potential:
        if name not in self._members:
            raise InputError(f"no head is called {name!r}; the heads are {', '.join(self._members)}")
        member = self._members[name]
        member.parameters[:] = self.parameters[self._places[name]]
        return member

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"<nbcore.train.Heads {', '.join(self)} of {next(iter(self._members.values()))!r}>"

    def places(self, name: str) -> np.ndarray:
        """(n,) where each parameter of a head stands in `parameters`."""
        return self._places[name]

    def gather(self) -> None:
        """Takes the parameters of the heads as they are; of those that are shared, the values of the last head."""
        for name, member in self._members.items():
            self.parameters[self._places[name]] = member.parameters

    def check(self, structures: Iterable[Structure]) -> None:
        """InputError, naming the structure, for one that belongs to no head."""
        for k, s in enumerate(structures):
            if s.head not in self._members:
                where = s.where if s.file else f"structure {k}"
                says = f"its head is {s.head!r}" if s.head else "it belongs to no head"
                raise InputError(f"{where}: {says}; the heads are {', '.join(self._members)}")

    # ---- the face of a potential in training ----

    _first = property(lambda self: next(iter(self._members.values())))
    parameter_slices = property(lambda self: dict(self._slices), doc="{group: (slice, shape)}; ccsd:energy2.W0e, say.")
    E0s = property(lambda self: {name: p.E0s for name, p in self._members.items()}, doc="{head: {element: eV}}.")
    scale = property(lambda self: {name: p.scale for name, p in self._members.items()}, doc="{head: eV}.")
    description = property(lambda self: self._first.description, doc="That of the first head.")
    species = property(lambda self: self._first.species, doc="Symbols of the elements.")
    cutoff = property(lambda self: self._first.cutoff, doc="Radius of a neighbourhood, Angstrom.")
    levels = property(lambda self: self._first.levels, doc="How often atoms look at their neighbours.")
    outputs = property(lambda self: self._first.outputs, doc="Covariant outputs by name.")
    has_energy = property(lambda self: self._first.has_energy, doc="Do they give energies and forces?")
    has_parts = property(lambda self: self._first.has_parts, doc="Do they work on a composition scheme?")

    def annotate(self, **notes: object) -> None:
        """Notes to be kept with every head, see `Potential.annotate`."""
        for member in self._members.values():
            member.annotate(**notes)

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> None:
        """Writes every head as a model file of its own: of m.nbcore, m_pbe.nbcore and m_ccsd.nbcore."""
        for name in self:
            self[name].save(str(head_file(path, name)), overwrite)


def own_groups(potential: Potential) -> list[str]:
    """Groups of parameters that every head has of its own: readouts, and the hidden layers before them.

    >>> own_groups(nbcore.presets.nbody(species=["H"], cutoff=4.0, channels=4))
    ['energy1.W0e', 'hidden.W0e', 'energy2.W0e']
    """
    program = potential.description["program"]
    own = {*program.get("readout", ()), *(output["slot"] for output in program.get("outputs", {}).values())}
    readers = {}
    for gate in program["gates"]:
        for name in gate.get("inputs", ()):
            readers.setdefault(name, set()).add(gate["name"])
    layer = set()  # what only own gates read, through an activation
    for gate in reversed(program["gates"]):
        if readers.get(gate["name"]) and readers[gate["name"]] <= own | layer:
            if gate["gate"] == "activation":
                layer |= {gate["name"], *gate["inputs"]}
            elif gate["name"] in layer:
                own.add(gate["name"])
    sources = {gate.get("weights", gate["name"]) for gate in program["gates"] if gate["name"] in own}
    return [group for group in potential.parameter_slices if group.partition(".")[0] in sources]


def check_heads_names(weights: Mapping[str, float], names: Iterable[str] = ()) -> None:
    """InputError for names of heads that cannot be names, and for weights {name: number} that are not above zero."""
    names = list(names or weights)
    if not names:
        raise InputError("heads: expected at least one name")
    for name in names:
        if not isinstance(name, str) or not NAMES.fullmatch(name):
            raise InputError(
                f"heads: {name!r} is no name of a head: letters, digits and . _ + - ( ), as in pbe or ccsd(t)"
            )
        check_name(name, "heads: the name of a head")
        if not (isinstance(weights[name], (int, float)) and 0 < weights[name] < np.inf):
            raise InputError(f"heads: the weight of {name} must be a number above 0, got {weights[name]!r}")
    same = {}
    for name in names:  # on some systems files differ by more than large and small letters
        other = same.setdefault(name.lower(), name)
        if names.count(name) > 1 or other != name:
            raise InputError(f"heads: {other} and {name} would be the same file; give them different names")


def head_file(path: str | os.PathLike, name: str) -> Path:
    """The model file of a head beside that of the run: m.nbcore -> m_pbe.nbcore; that itself for no head ("").

    >>> head_file("m.nbcore", "pbe").name
    'm_pbe.nbcore'
    """
    path = Path(path)
    return path.with_name(f"{path.stem}_{name}{path.suffix}") if name else path


def heads_of(potential: "Potential | Heads") -> tuple[str, ...]:
    """Names of the heads; none of a potential."""
    return tuple(potential) if isinstance(potential, Heads) else ()


def potentials_of(potential: "Potential | Heads") -> dict[str, Potential]:
    """{head: potential}; of a potential {"": itself}."""
    return {name: potential[name] for name in heads_of(potential)} or {"": potential}


def of_head(structures: Structures, name: str) -> Structures:
    """Those of the structures that belong to a head; all of them for no head ("")."""
    if not name:
        return structures
    return Structures([s for s in structures if s.head == name], name=structures.name)


class HeadsTrainingSet:
    """Structures of several heads with the face of one TrainingSet: what a batch has of a head goes through that head.

    heads: Heads; structures: each names its head. The loss is the mean over the structures, those of a head times the
    weight of the head; the gradient has the order of `heads.parameters`. Errors as of TrainingSet, and InputError for a
    structure that belongs to no head.

    >>> data = nbcore.train.read("train.xyz")[:4]
    >>> pot = nbcore.presets.nbody(species=data.species, cutoff=4.0, channels=4)
    >>> for s, name in zip(data, ["pbe", "ccsd", "pbe", "ccsd"]):
    ...     s.head = name
    >>> heads = nbcore.train.Heads(pot, ["pbe", "ccsd"])
    >>> result = nbcore.train.HeadsTrainingSet(heads, data).loss_and_gradient()
    >>> len(result.gradient) == len(heads.parameters)
    True
    """

    def __init__(self, heads: Heads, structures: Iterable[Structure]):
        structures = as_structures(structures, apart=False, missing="mask")
        self.potential, self.structures = heads, structures
        heads.check(structures)
        self._sets, self._place = {}, np.empty(len(structures), dtype=int)  # where a structure stands in its set
        for name in heads:
            own = [k for k, s in enumerate(structures) if s.head == name]
            self._place[own] = np.arange(len(own))
            weight = heads.weights[name]
            weighted = [structures[k] if weight == 1 else _weighted(structures[k], weight) for k in own]
            self._sets[name] = TrainingSet(heads[name], weighted)

    def __len__(self) -> int:
        return len(self.structures)

    @property
    def average_neighbours(self) -> float:
        """Mean number of neighbours of an atom within the cutoff."""
        atoms = [sum(len(s.numbers) for s in one.structures) for one in self._sets.values()]
        means = [one.average_neighbours if n else 0.0 for n, one in zip(atoms, self._sets.values(), strict=True)]
        return float(np.dot(means, atoms) / max(1, sum(atoms)))

    def loss_and_gradient(
        self,
        indices: ArrayLike | None = None,
        loss: Loss | None = None,
        threads: int | None = None,
        precision: str = "float64",
    ) -> BatchResult:
        """Loss, its exact gradient by all parameters of all heads, predictions; see TrainingSet."""
        return whole_batch(self, self._indices(indices), loss or Loss(), threads, precision)

    def predict(
        self,
        indices: ArrayLike | None = None,
        threads: int | None = None,
        loss: Loss | None = None,
        precision: str = "float64",
    ) -> BatchResult:
        """Predictions (and the loss, no gradient) of the structures `indices`, all by default."""
        batch = self._indices(indices)
        found, places = [], []
        for name, own in self._sets.items():
            here = self._places_of(name, batch)
            self.potential[name]  # its parameters are those of now
            found.append(own.predict(self._place[batch[here]], threads, loss, precision))
            places += here
        back = np.argsort(places, kind="stable")
        fields = {field: reordered(_joined(found, field), back) for field in BatchResult._fields[2:]}
        return BatchResult(mean_of(fields["losses"]), None, **fields)

    # ---- trees of sums, see `TrainingSet`: one of each head ----

    def trees(self, batch: np.ndarray) -> list[Tree]:
        """Of each head the partials of what a batch has of it; places are those in the batch."""
        trees = []
        for name, own in self._sets.items():
            here = np.array(self._places_of(name, batch), dtype=int)
            (tree,) = own.trees(self._place[batch[here]])
            trees.append(tree.within(here))
        return trees

    def sums(
        self,
        batch: np.ndarray,
        loss: Loss,
        threads: int | None,
        precision: str,
        parts: list[list[list[Partial]]],
        rows: list[np.ndarray] | None = None,
    ) -> tuple[BatchResult, list[np.ndarray]]:
        """See `TrainingSet.sums`."""
        found, written = [], []
        for k, (name, own) in enumerate(self._sets.items()):
            self.potential[name]  # its parameters are those of now
            to = None if rows is None else [rows[k]]
            result, (of_head,) = own.sums(self._place[batch], loss, threads, precision, [parts[k]], to)
            found.append(result)
            written.append(of_head)
        fields = {field: _joined(found, field) for field in BatchResult._fields[2:]}
        return BatchResult(np.nan, None, **fields), written

    def widths(self, precision: str) -> list[int]:
        """See `TrainingSet.widths`."""
        return [n for own in self._sets.values() for n in own.widths(precision)]

    def gradient(self, totals: list[np.ndarray], precision: str, out: np.ndarray | None = None) -> np.ndarray:
        """See `TrainingSet.gradient`."""
        gradient = np.empty(len(self.potential.parameters)) if out is None else out
        gradient[:] = 0
        for (name, own), total in zip(self._sets.items(), totals, strict=True):
            if total is not None:
                gradient[self.potential.places(name)] += own.gradient([total], precision)
        return gradient

    def _indices(self, indices):
        batch = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=int)
        return checked(batch, len(self))

    def _places_of(self, name, batch):
        return [k for k, i in enumerate(batch) if self.structures[i].head == name]


def _joined(results, field):
    """The same field of several results, one after another."""
    if field == "losses":
        return np.concatenate([getattr(one, field) for one in results])
    return [value for one in results for value in getattr(one, field)]


def _weighted(s, weight):
    return replace(s, weight=weight * s.weight)


def training_set(potential: "Potential | Heads", structures: Structures) -> "TrainingSet | HeadsTrainingSet":
    """The TrainingSet of a potential, or of heads."""
    return (HeadsTrainingSet if isinstance(potential, Heads) else TrainingSet)(potential, structures)


def title(head: str, name: str) -> str:
    """What a set of a head is called on the screen: "pbe valid"; of no head "valid"."""
    return f"{head} {name}".strip()


def of_one(potential: "Potential | Heads", what: str, value: object, head: str) -> object:
    """What `fit` was given for one head: its entry of a table, or a fraction that holds for all.

    Raises InputError where heads have no table, a name in it is no head, or the head has no structures.
    """
    if not isinstance(potential, Heads):
        return value
    if what == "valid" and isinstance(value, (int, float)):
        return value
    if not isinstance(value, Mapping):
        example = ", ".join(f"{name!r}: ..." for name in potential)
        raise InputError(f"{what}: of heads a table is expected, {{{example}}}, got {type(value).__name__}")
    for name in value:
        if name not in potential:
            raise InputError(f"{what}: no head is called {name!r}; the heads are {', '.join(potential)}")
    if head in value:
        return value[head]
    if what == "structures":
        raise InputError(f"the head {head} has no structure to train on: {what} has {', '.join(value) or 'none'}")
    return {} if what == "test" else 0
