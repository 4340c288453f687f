"""All checks of a model, one after the other, and the certificate that is kept in its file."""

import copy
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbcore.arguments import check_structure
from nbcore.certificate import derivatives, machines, samples, symmetry
from nbcore.committee import load
from nbcore.identity import digest
from nbcore.species import symbols

if TYPE_CHECKING:
    from nbcore.committee import Committee
    from nbcore.potential import Potential


class Check(NamedTuple):
    """One check: what was measured, and what it must be."""

    name: str
    what: str
    figure: float | None  #: None: not made, `note` says why
    limit: float | None  #: at most, of `continuous` at least; None: the figure is told, not judged
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the figure keeps to its limit; None where there is nothing to judge."""
        if self.figure is None or self.limit is None:
            return None
        return bool(self.figure >= self.limit if self.name == AT_LEAST else self.figure <= self.limit)


class Dimer(NamedTuple):
    """Two atoms: where they like to be, and whether they are kept apart."""

    pair: str
    minimum: float  #: Angstrom, of the curve
    depth: float  #: eV, below the atoms alone; 0 where nothing is gained
    repulsive: bool  #: at the shortest distance that was looked at
    begin: float  #: Angstrom, this distance
    distances: list[float]
    energies: list[float]  #: eV, without those of the atoms alone


class Certificate(NamedTuple):
    """What was checked, on which model and machine."""

    checks: list[Check]
    dimers: list[Dimer]
    of: str  #: digest of what the model computes: program, parameters, energies
    versions: dict[str, str]

    @property
    def passed(self) -> bool:
        """No check failed."""
        return all(check.passed is not False for check in self.checks)

    def as_dict(self, curves: bool = True) -> dict:
        """For JSON; without the curves of dimers as model files keep it."""
        checks = [{**c._asdict(), "passed": c.passed} for c in self.checks]
        dimers = [d._asdict() for d in self.dimers]
        for d in dimers if not curves else []:
            del d["distances"], d["energies"]
        return {"passed": self.passed, "of": self.of, "checks": checks, "dimers": dimers, "versions": self.versions}


AT_LEAST = "cutoff"
SYMMETRIES = (
    ("rotation", 1e-10, symmetry.rotation, "turned structures: energies, forces, virials turn along"),
    ("reflection", 1e-10, symmetry.reflection, "mirror images and inverted structures"),
    ("translation", 1e-10, symmetry.translation, "structures moved as a whole"),
    ("permutation", 1e-10, symmetry.permutation, "atoms in another order"),
)
DERIVATIVES = (
    ("forces", 1e-8, derivatives.forces, "against differences of the energy"),
    ("virial", 1e-8, derivatives.virial, "against differences of the energy along strains"),
    ("hessian", 1e-8, derivatives.hessian, "against differences of forces and virials, and symmetric"),
)


def certify(
    model: "Potential | Committee | str | os.PathLike", structures: Iterable | None = None, seed: int = 0
) -> Certificate:
    """Checks what physics and numerics promise of a model, in the spirit of the verification checks of OpenKIM.

    model: a potential or a committee, or the path of its file, whose golden cases, C interface and kernel sets are then
    looked at, too. structures: ase.Atoms or (positions, species, cell, pbc) to check on, beside a cluster and a crystal
    of the model's elements that are made from `seed`. Differences are in units of the largest number they are compared
    with. Reference energies are set aside: they would hide what is small beside them.

    Raises InputError for a model over composition schemes that it does not know how to make.

    >>> certificate = certify("molecule.nbcore")
    >>> certificate.passed, certificate.checks[0].name, certificate.checks[0].figure < 1e-8
    (True, 'forces', True)
    """
    path = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
    whole = load(path) if path else model
    samples.check_can_be_made(whole)
    rng = np.random.default_rng(seed)
    bare = without_energies(whole)
    on = [samples.cluster(bare, rng), samples.crystal(bare, rng)]
    on += [symmetry.user_sample(bare, rng, s) for s in map(_parts, structures or ())]
    checks, dimers = [], []

    def add(name, what, limit, figure, why_not=""):
        checks.append(Check(name, what, None if why_not else float(figure()), limit, why_not))

    no_energy = "" if whole.has_energy else "no energy, no forces"
    parts = "parts belong to one structure" if whole.has_parts else ""
    for name, limit, check, what in DERIVATIVES:
        add(name, what, limit, lambda check=check: check(bare, on, rng), no_energy)
    for name, limit, check, what in SYMMETRIES:
        judged = limit if name != "reflection" or whole.description["program"].get("parity", "o3") == "o3" else None
        add(name, what, judged, lambda check=check: check(bare, on, rng))
        if judged is None:
            checks[-1] = checks[-1]._replace(note='not promised: parity = "so3"')
    add("periodicity", "other images, lattice vectors, the cell repeated", 1e-10,
        lambda: symmetry.periodicity(bare, on, rng), parts)  # fmt: skip
    add("size", "two structures far apart are the two alone", 1e-10, lambda: symmetry.size(bare, on, rng), parts)
    leaves = "needs leaf states" if samples.leaf_kinds(whole) else ""
    dimers_not = no_energy or parts or leaves
    add(
        "isolated",
        "atoms alone: E0 and no force, eV",
        1e-9,
        lambda: symmetry.isolated_atoms(whole, on, rng),
        dimers_not,
    )
    pairs = [] if dimers_not else derivatives.pairs(bare, rng)
    begins = {pair: _begin(whole, pair) for pair in pairs}
    add(AT_LEAST, "continuous derivatives of the energy there", 2,
        lambda: derivatives.continuous_derivatives(bare, pairs, begins.get), dimers_not)  # fmt: skip
    work = 0.0
    for pair in pairs:
        dimer, disagreement = _dimer(bare, pair, begins[pair])
        dimers.append(dimer)
        work = max(work, disagreement)
    add("dimers", "work of the forces along curves of two atoms", 1e-8, lambda: work, dimers_not)
    add("threads", "numbers with other bits, 2 to 4 threads", 0,
        lambda: machines.threads(whole, symmetry.many_atoms(whole, rng)))  # fmt: skip
    add("float32", "single precision, against double", 1e-3, lambda: machines.single_precision(bare, on))
    in_c = "" if path else "no file"
    add("c", "the C interface, against Python", 1e-12, lambda: machines.c_interface(whole, path, on),
        in_c or no_energy or parts or leaves)  # fmt: skip
    sets = machines.other_sets()
    add("kernels", f"kernel set {', '.join(sets)}, against {machines.here()}" if sets else "kernel sets", 1e-10,
        lambda: machines.kernel_sets(whole, path, on, sets),
        in_c or parts or leaves or ("" if sets else f"{machines.here()} is the only one here"))  # fmt: skip
    stored = machines.golden_cases(path) if path and not hasattr(whole, "members") else None
    add(
        "golden",
        "results kept in the file, eV and Å",
        1e-9,
        lambda: stored,
        "" if stored is not None else "none are kept",
    )
    return Certificate(checks, dimers, of_model(whole), machines.versions())


def of_model(model: "Potential | Committee") -> str:
    """Digest of what a model computes: a certificate of another one is not its own.

    >>> pot = nbcore.presets.nbody(species=["H"], cutoff=4.0, channels=4)
    >>> before = of_model(pot)
    >>> pot.annotate(about={"author": "me"})
    >>> of_model(pot) == before
    True
    """
    of = []
    for member in getattr(model, "members", [model]):
        d = member.description
        numbers = {key: d.get(key) for key in ("species", "r_min", "offsets", "repulsion")}
        of += [d["program"], sorted(numbers.items(), key=str), member.scale, member.parameters]
        of.append(sorted(member.E0s.items()))
    return digest(*of)


def without_energies(model):
    """A copy whose reference energies are zero."""
    bare = copy.deepcopy(model)
    for member in getattr(bare, "members", [bare]):
        member.E0s = dict.fromkeys(member.species, 0.0)
    return bare


def _parts(structure):
    """(positions, numbers, cell, whether it is periodic) of ase.Atoms or a tuple."""
    if hasattr(structure, "get_positions"):
        structure = structure.positions, structure.numbers, structure.cell.array, structure.pbc
    positions, numbers, cell, pbc = check_structure(*structure)
    return positions, np.asarray(numbers), cell, pbc


def _name(pair) -> str:
    """Of two atomic numbers, as in the distances of the data: in the order of the alphabet."""
    return "-".join(sorted(symbols(list(pair))))


def _begin(model, pair) -> float:
    """Where the curve of a pair begins: half its shortest distance in the data, or a tenth of the cutoff."""
    known = (model.description.get("shortest_distances") or {}).get(_name(pair))
    return max(0.5 * known if known else 0.1 * model.cutoff, 1.05 * model.description.get("r_min", 0.1))


def _dimer(model, pair, begin):
    r, energies, disagreement = derivatives.curve(model, pair, begin)
    energies = energies - energies[-1]
    k = int(np.argmin(energies))
    repulsive = bool(energies[0] > 0 and energies[0] > energies[1])
    depth = max(0.0, -float(energies[k]))
    return Dimer(_name(pair), float(r[k]), depth, repulsive, float(begin), r.tolist(), energies.tolist()), disagreement
