"""What is in a data set, and what is wrong with it: counts, ranges, distances, duplicates, outliers, units."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from ase.data import atomic_numbers

from nbcore.data import distances
from nbcore.data.distances import OVERLAP
from nbcore.data.files import Bar
from nbcore.data.reference_energies import ReferenceEnergies, reference_energies
from nbcore.data.shard_set import Shards
from nbcore.data.structure import Structures, _symbols
from nbcore.data.units_check import nearest_factor, radii_sum, unit_remarks
from nbcore.data.whole_sets import sample, shortest_pairs, sizes
from nbcore.errors import InputError

NET_FORCE = 0.005  # eV/Å per atom, above which it is worth a remark
ABSURD_FORCE = 1000.0  # eV/Å, always worth a remark
ABSURD_ENERGY = 20.0  # eV/atom, of a single energy from what its composition gives
BOUND = (-14.0, 1.0)  # eV/atom, of a whole data set
LOOKED_AT = 2000  # structures of a set of shards
SAMPLE = 200  # structures in which neighbours are counted


@dataclass
class Audit:
    """The figures of a data set; energies eV, lengths Å. Where nothing could be said a field is None or empty."""

    files: list = field(default_factory=list)  # (name, structures, isolated atoms, role)
    keys: dict[str, list[str]] = field(default_factory=dict)
    without: dict[str, int] = field(default_factory=dict)
    labelled: dict[str, int] = field(default_factory=dict)
    n: int = 0
    formulas: Counter = field(default_factory=Counter)
    species: list[str] = field(default_factory=list)
    atoms: tuple[int, int] = (0, 0)
    periodic: int = 0
    cutoff: float | None = None
    neighbours: float | None = None
    E0: ReferenceEnergies | None = None
    binding: float | None = None  # mean, eV/atom
    spread: float | None = None  # standard deviation, eV/atom
    spread_per_structure: float | None = None  # the same in eV, where all have the same composition
    forces_rms: float | None = None
    forces_max: tuple[float, str] | None = None
    net_force: tuple[float, str] | None = None
    stress_rms: float | None = None
    outputs: dict[str, tuple[float, float, str]] = field(default_factory=dict)  # RMS, largest component, unit
    shortest: dict[str, tuple[float, str]] = field(default_factory=dict)
    duplicates: list[tuple[str, str, float | None]] = field(default_factory=list)  # where, where, energies differ by
    shared: dict[tuple[str, str], int] = field(default_factory=dict)  # (set, set) -> structures in both
    outliers: int = 0
    units_plausible: bool = True
    looked_at: int | None = None  # structures of a larger set that were checked; None: all
    remarks: list[str] = field(default_factory=list)

    def shortest_distances(self) -> dict[str, float]:
        """{"C-H": 0.999, ...}: what the model file keeps to tell when a structure is outside its data."""
        return {pair: d for pair, (d, _) in self.shortest.items()}


def audit(
    data: Iterable,
    test: Iterable | None = None,
    cutoff: float | None = None,
    E0: ReferenceEnergies | None = None,
    roles: dict | None = None,
) -> Audit:
    """Looks through data: Structures, or {"train": ..., "valid": ...}; test: {name: Structures} is looked at for
    duplicates only, and not for anything that could choose a setting. roles: file -> what it became, for the screen.
    Of shards a sample is looked at, `looked_at` of them; sizes, labels, forces and distances are those of all.

    >>> distance, where = audit(nbcore.data.read("train.xyz"), cutoff=5.0).shortest["C-H"]
    >>> round(float(distance), 3)
    0.992
    """
    whole = {"data": data} if isinstance(data, Structures) else dict(data)
    if any(isinstance(part, Shards) for part in whole.values()):
        return _of_shards(whole, test, cutoff, E0, roles)
    sets = whole
    main = sum(list(sets.values())[1:], list(sets.values())[0])
    result = Audit(n=len(main), cutoff=cutoff)
    _describe(result, [*sets.values(), *(test or {}).values()], main, roles or {})
    everything = [(name, s) for name, part in {**sets, **(test or {})}.items() for s in part]
    prints, shortest, hardly = [], [], []
    with Bar("checking", len(everything)) as bar:
        for k, (_, structure) in enumerate(everything):
            found = distances.pairs(structure)
            prints.append(distances.fingerprint(structure, found))
            if k < len(main):
                shortest.append(distances.shortest(structure, found))
                zero = structure.forces is not None and not np.any(structure.forces)
                if zero and distances.lopsided(structure, found):
                    hardly.append(structure.where)
            bar.advance(1)
    _distances(result, main, shortest)
    _duplicates(result, everything, prints)
    _energies(result, main, E0)
    _forces(result, main)
    if hardly:
        all_zero = len(hardly) > 1 and result.forces_rms == 0
        remedy = 'Write  forces_key = "none".' if all_zero else "Correct or remove them."
        result.remarks.append(
            f"{counted(hardly)} forces that are exactly zero where no symmetry asks for it ({named(hardly)}): they "
            f"were hardly computed. {remedy}"
        )
    if cutoff is not None and len(main):
        result.neighbours = neighbours_per_atom(main, cutoff)
    suspicious = unit_remarks(main, shortest)
    result.units_plausible &= not suspicious
    result.remarks += suspicious
    return result


def _of_shards(whole, test, cutoff, E0, roles):
    """The audit of a sample, with the figures that are known of all structures in their place."""
    shards = [part for part in whole.values() if isinstance(part, Shards)]
    E0 = E0 or reference_energies(shards[0])
    parts = {name: sample(part, LOOKED_AT) for name, part in whole.items()}
    result = audit(parts, test, cutoff, E0, roles)
    n = sum(map(len, whole.values()))
    if result.n < n:
        result.looked_at = result.n
    result.n = n
    result.labelled |= {name: sum(part.labels.get(name, 0) for part in whole.values()) for name in result.labelled}
    result.atoms = tuple(int(f(f(sizes(p)) for p in whole.values() if len(p))) for f in (min, max))
    result.formulas = Counter()
    for part in whole.values():
        result.formulas += part.formulas() if isinstance(part, Shards) else Counter(s.formula for s in part)
    result.periodic = sum(
        int(p.periodic.sum()) if isinstance(p, Shards) else sum(s.periodic for s in p) for p in whole.values()
    )
    result.species = _symbols(sorted({atomic_numbers[s] for part in whole.values() for s in part.species}))
    result.shortest = shortest_pairs(shards[0])
    summaries = [file.summary for file in shards[0].files]
    components = sum(s.force_components for s in summaries)
    if components and "forces" not in shards[0].without:
        result.forces_rms = float(np.sqrt(sum(s.forces_squared for s in summaries) / components))
        result.forces_max = max(s.forces_max for s in summaries)
    return result


def neighbours_per_atom(structures: Iterable, cutoff: float) -> float:
    """Mean number of neighbours within `cutoff`, over a sample of the structures."""
    chosen = structures[:: max(1, len(structures) // SAMPLE)]
    counts = [len(distances.neighbours(s, cutoff)[0]) for s in chosen]
    return sum(counts) / sum(map(len, chosen))


def _describe(result, parts, main, roles):
    seen = set()
    for part in parts:
        for f in part.reading.files if part.reading else []:
            if f.name not in seen:
                seen.add(f.name)
                result.files.append((f.name, f.count, f.isolated, roles.get(f.name, "")))
                for label, key in f.keys.items():
                    names = result.keys.setdefault(label, [])
                    names += [key] if key not in names else []
    for label in ("energy", "forces", "stress"):
        result.labelled[label] = sum(getattr(s, label) is not None for s in main)
    options = main.reading.options.outputs if main.reading else {}
    for name in dict.fromkeys([*options, *(n for s in main for n in s.outputs)]):
        labels = [np.ravel(s.outputs[name]) for s in main if name in s.outputs]
        result.labelled[name] = len(labels)
        if labels:
            whole = np.concatenate(labels)
            unit = options[name].unit if name in options else ""
            result.outputs[name] = (float(np.sqrt(np.mean(whole**2))), float(np.abs(whole).max()), unit)
    result.formulas = Counter(s.formula for s in main)
    result.species = main.species
    sizes = [len(s) for s in main]
    result.atoms = (min(sizes, default=0), max(sizes, default=0))
    result.periodic = sum(s.periodic for s in main)


def _distances(result, main, shortest):
    for structure, one in zip(main, shortest, strict=True):
        for pair, d in one.items():
            if pair not in result.shortest or d < result.shortest[pair][0]:
                result.shortest[pair] = (d, structure.where)
    result.shortest = dict(sorted(result.shortest.items(), key=lambda item: item[1][0]))
    close = [s.where for s, one in zip(main, shortest, strict=True) if any(d < OVERLAP for d in one.values())]
    if close:
        result.outliers += len(close)
        result.remarks.append(
            f"{counted(close)} atoms on top of each other: {named(close)}. Training refuses them; remove them."
        )
    for pair, (d, where) in result.shortest.items():
        if OVERLAP <= d < 0.4 * radii_sum(pair):
            result.remarks.append(f"{where}: {pair} {d:.3f} Å apart, far below any bond. Is this structure meant?")


def counted(places) -> str:
    """ "1 structure has", "3 structures have"."""
    return "1 structure has" if len(places) == 1 else f"{len(places)} structures have"


def named(places) -> str:
    """The first three of some places."""
    return "; ".join(places[:3]) + (f"; and {len(places) - 3} more" if len(places) > 3 else "")


def _duplicates(result, everything, prints):
    structures = [s for _, s in everything]
    largest, first = (0.0, "", ""), None
    for one, two in distances.duplicates(structures, prints):
        a, b = structures[one], structures[two]
        differ = None if a.energy is None or b.energy is None else abs(a.energy - b.energy)
        result.duplicates.append((a.where, b.where, differ))
        sets = (everything[one][0], everything[two][0])
        first = first or ((a.where, b.where) if sets[0] == sets[1] else None)
        if sets[0] != sets[1]:
            result.shared[sets] = result.shared.get(sets, 0) + 1
        largest = max(largest, (differ or 0.0, a.where, b.where))
    within = len(result.duplicates) - sum(result.shared.values())
    if within:
        are = "structure is" if within == 1 else "structures are"
        result.remarks.append(
            f"{within} {are} there twice, up to rotation and order of atoms (the first: {first[0]} and {first[1]})."
        )
    for (one, two), count in result.shared.items():
        fate = "errors on it will look better than they are. Remove them there."
        result.remarks.append(f"{count} structure{'s' * (count > 1)} of {two} also in {one}: {fate}")
    if largest[0] > 1e-3:
        result.remarks.append(
            f"The same structure with different energies, by up to {1000 * largest[0]:.3g} meV ({largest[1]} and "
            f"{largest[2]}): no model can fit both. Were both computed with the same settings?"
        )


def _energies(result, main, E0):
    labelled = [s for s in main if s.energy is not None]
    if not labelled:
        return
    if E0 is None:
        try:
            E0 = reference_energies(main)
        except InputError as e:
            result.remarks.append(str(e))
            E0 = reference_energies(main, "fit")
        result.remarks += E0.remarks
    result.E0 = E0
    binding = np.array([(s.energy - sum(E0.energies[x] for x in s.symbols)) / len(s) for s in labelled])
    result.binding, result.spread = float(binding.mean()), float(binding.std())
    if len(result.formulas) == 1:
        result.spread_per_structure = float(np.std([s.energy for s in labelled]))
    _binding_energies(result, binding)
    _energy_outliers(result, labelled)
    _zero_levels(result, labelled)


def _binding_energies(result, binding):
    """With E0s of isolated atoms, or given ones, solids and molecules are bound, by less than any known solid."""
    usual = float(np.median(binding))
    if result.E0.source in ("isolated", "given") and not BOUND[0] < usual < BOUND[1]:
        source = "the isolated atoms" if result.E0.source == "isolated" else "the E0s given"
        result.units_plausible = False
        result.remarks.append(
            f"With {source} the atoms are bound by {usual:.2f} eV/atom (median): no compound is. Are their energies "
            'of the same code, method and unit as the data? E0s = "fit"  goes without them.'
        )


def _energy_outliers(result, labelled):
    """Energies per atom far from what their composition gives: robust fit (least absolute deviations), robust scale."""
    if len(labelled) < 3:
        return
    numbers = np.unique(np.concatenate([s.numbers for s in labelled]))
    fractions = np.array([[np.count_nonzero(s.numbers == z) / len(s) for z in numbers] for s in labelled])
    per_atom = np.array([s.energy / len(s) for s in labelled])
    weight = np.ones(len(labelled))
    for _ in range(30):
        solution = np.linalg.lstsq(fractions * weight[:, None], per_atom * weight, rcond=1e-10)[0]
        residual = per_atom - fractions @ solution
        weight = 1.0 / np.sqrt(np.maximum(np.abs(residual), 1e-6 * max(1.0, np.abs(per_atom).max())))
    scale = max(1.4826 * np.median(np.abs(residual)), 1e-4)
    far = np.flatnonzero(np.abs(residual) > 25 * scale)
    absurd = far[np.abs(residual[far]) > ABSURD_ENERGY]
    if len(far) > 0.2 * len(labelled):
        far = absurd
    if not len(far) or 2 * len(far) >= len(labelled):
        return
    result.outliers += len(far)
    worst = labelled[far[np.argmax(np.abs(residual[far]))]]
    usual = (fractions @ solution)[far[np.argmax(np.abs(residual[far]))]]
    ratio = abs(worst.energy / len(worst) / usual)
    near = nearest_factor(ratio, 0.1) if ratio > 0 and not 0.9 < ratio < 1.1 else None
    result.units_plausible &= near is None
    rest = [labelled[k].where for k in far[np.argsort(-np.abs(residual[far]))][1:]]
    others = f" The others: {named(rest)}." if rest else ""
    hint = f" Was its energy in another unit, {near[0]}?  (factor {near[1]})" if near else ""
    result.remarks.append(
        f"{len(far)} energ{'y is' if len(far) == 1 else 'ies are'} far from the others, the farthest "
        f"{worst.energy / len(worst):.4f} eV/atom where {usual:.4f} is usual ({worst.where}).{hint}{others}"
    )


def _zero_levels(result, labelled):
    """Files whose energies of the same composition lie far apart: other codes, pseudopotentials or units."""
    groups = {}
    for s in labelled:
        groups.setdefault(s.formula, {}).setdefault(s.file, []).append(s.energy / len(s))
    for formula, files in groups.items():
        levels = sorted((float(np.median(energies)), file) for file, energies in files.items())
        within = max(float(np.ptp(energies)) for energies in files.values())
        gap, k = max(
            ((b[0] - a[0], k) for k, (a, b) in enumerate(zip(levels, levels[1:], strict=False))), default=(0, 0)
        )
        if gap > max(1.0, 5 * within):
            (low, one), (high, two) = levels[k : k + 2]
            result.units_plausible = False
            result.remarks.append(
                f"{formula} has {low:.4f} eV/atom in {one} and {high:.4f} in {two}: another code, pseudopotential or "
                "unit? Energies of one training set must have one zero."
            )
            return


def _forces(result, main):
    labelled = [s for s in main if s.forces is not None]
    if labelled:
        largest = [np.abs(s.forces).max() for s in labelled]
        net = [np.linalg.norm(s.forces.sum(axis=0)) for s in labelled]
        result.forces_rms = float(np.sqrt(np.mean(np.concatenate([s.forces.ravel() for s in labelled]) ** 2)))
        result.forces_max = (float(max(largest)), labelled[int(np.argmax(largest))].where)
        result.net_force = (float(max(net)), labelled[int(np.argmax(net))].where)
        limit = max(30.0, 20 * float(np.median(largest)))
        extreme = np.flatnonzero(np.array(largest) > limit)
        if len(extreme) >= 0.2 * len(labelled):
            extreme = np.flatnonzero(np.array(largest) > ABSURD_FORCE)
        if len(extreme):
            result.outliers += len(extreme)
            first = [labelled[k].where for k in extreme[np.argsort(-np.array(largest)[extreme])]][1:]
            others = f"; the others: {named(first)}" if first else ""
            result.remarks.append(
                f"{len(extreme)} structure{'s' * (len(extreme) > 1)} with forces above "
                f"{limit:.0f} eV/Å, the largest {result.forces_max[0]:.1f} "
                f"({result.forces_max[1]}{others}). Did the calculation converge?"
            )
        if result.net_force[0] > NET_FORCE * len(labelled[int(np.argmax(net))]):
            result.remarks.append(
                f"Forces do not add up to zero: net force up to {result.net_force[0]:.2g} eV/Å "
                f"({result.net_force[1]}). "
                "A potential's forces always do; looser convergence, or an outer field, leaves this as error."
            )
    stressed = [s.stress for s in main if s.stress is not None]
    if stressed:
        result.stress_rms = float(np.sqrt(np.mean(np.array(stressed) ** 2)))
