"""`nbcore lammps MODEL [STRUCTURE]`: the lines by which LAMMPS runs a model, and a structure as its data file."""

import re

from nbcore.cli import UsageError, console
from nbcore.errors import InputError
from nbcore.files import kind_of
from nbcore.printable import printable

DATA = kind_of("nbcore lammps")
MARGIN = 2.0  # Angstrom around atoms without a cell; LAMMPS draws the box around them anew
PAGE = "docs/lammps.md"


def add_parser(subparsers):
    """The options of `nbcore lammps`."""
    p = subparsers.add_parser(
        "lammps", help="input lines for LAMMPS",
        description="Prints LAMMPS input lines for a model. With a structure it writes the data file that they read.",
        epilog=f"LAMMPS knows the pair style after `pip install ./lammps` in the folder of nbcore; see {PAGE}.",
    )  # fmt: skip
    p.add_argument("model", metavar="MODEL", help="model file (.nbcore)")
    p.add_argument("structure", metavar="STRUCTURE", nargs="?", help="any file ASE reads; FILE@3 is its frame 3 (last)")
    p.add_argument("--repeat", type=int, nargs=3, metavar="N", help="the structure so often along its three vectors")
    p.add_argument("--units", choices=["metal", "real"], default="metal", help="of the input lines (metal)")
    p.add_argument("--output", metavar="FILE", help="data file (STRUCTURE.data)")
    p.add_argument("--force", action="store_true", help="replace a file that `nbcore lammps` did not write")


def run(args):
    """Writes the data file, where there is a structure, and prints the lines."""
    from nbcore import load

    potential = load(args.model)
    refuse_what_lammps_cannot_run(args.model, potential)
    for option in ("output", "repeat"):
        if getattr(args, option) and not args.structure:
            raise UsageError(f"--{option} is for the data file of a structure: give one after the model.")
    if args.repeat and min(args.repeat) < 1:
        raise UsageError(f"--repeat: expected three numbers of at least 1, got {' '.join(map(str, args.repeat))}.")
    species, boundary, path = list(potential.species), None, None
    if args.structure:
        species, boundary, path = write_structure(args, potential)
    console.out("\n".join(lines(args.model, potential, species, args.units, boundary, path)))
    return 0


def refuse_what_lammps_cannot_run(name, potential):
    """InputError for models that need what LAMMPS has not, or have no forces."""
    from nbcore.leaves import leaf_types

    why = None
    if not potential.has_energy:
        why = "it has no energy, and so no forces"
    elif potential.has_parts:
        why = "it works on a composition scheme, which LAMMPS does not know"
    elif leaf_types(potential):
        why = "it reads leaf states of the atoms, which LAMMPS does not know"
    if why:
        raise InputError(f"{name}: {why}; run it from Python, with `nbcore md` or over the C interface.")


def quoted(path) -> str:
    """A path as LAMMPS reads it as one word.

    >>> quoted("si.nbcore"), quoted("my models/si.nbcore")
    ('si.nbcore', '"my models/si.nbcore"')
    """
    path = str(path)
    if re.fullmatch(r"[\w./+=:@%^,-]+", path):
        return path
    if '"' in path and "'" in path or "\n" in path:
        raise InputError(f"{path!r}: LAMMPS has no way to write this name; give the file another one.")
    return f"'{path}'" if '"' in path else f'"{path}"'


def lines(model, potential, species, units, boundary=None, data=None):
    """The input as a list of lines; `species` in the order of the atom types."""
    from ase.data import atomic_masses, atomic_numbers

    levels = potential.levels
    kind = "level" if levels == 1 else "levels"
    yield f"# {model}: {' '.join(potential.species)}, {levels} {kind}, cutoff {potential.cutoff:g} Angstrom"
    yield f"units           {units}"
    yield "atom_style      atomic"
    yield "newton          on"
    if boundary:
        yield f"boundary        {boundary}"
    if data:
        yield f"read_data       {quoted(data)}"
    else:
        yield "# here read_data, read_restart or create_box: atom types in the order of the elements below"
        yield from (
            f"mass            {k} {atomic_masses[atomic_numbers[s]]:.6g}    # {s}" for k, s in enumerate(species, 1)
        )
    yield "pair_style      nbcore"
    yield f"pair_coeff      * * {quoted(model)} {' '.join(species)}"
    step = 0.0005 if "H" in species else 0.001
    yield f"timestep        {step if units == 'metal' else 1000 * step:g}    # {1000 * step:g} fs"
    if potential.description.get("shortest_distances"):
        yield "# stop where atoms come closer than any did in the training"
        yield "fix             contacts all pair 10 nbcore closeness 1"
        yield "compute         contact all reduce max f_contacts"
        yield "variable        contact equal c_contact"
        yield "fix             stop all halt 10 v_contact > 1.05 error hard"


def species_of(atoms, potential):
    """The elements of the structure, in the order of the model."""
    return [s for s in potential.species if s in set(atoms.symbols)]


def write_structure(args, potential):
    """Writes the data file; the elements of its types, its boundary, its path."""
    import io

    import numpy as np
    from ase.calculators.lammps import Prism
    from ase.io.lammpsdata import write_lammps_data

    from nbcore import files
    from nbcore.data.start import read_structure
    from nbcore.results.tables import stem

    path = args.output or f"{stem(args.structure.partition('@')[0])}.data"
    files.check_output(path, DATA, [args.model, args.structure, args.structure.rpartition("@")[0]], args.force)
    atoms, frame, remarks = read_structure(args.structure)
    for remark in remarks:
        console.remark(remark)
    unknown = sorted(set(atoms.symbols) - set(potential.species))
    if unknown:
        raise InputError(
            f"{args.structure} ({frame}): {args.model} does not know {' '.join(unknown)}; its elements are "
            f"{' '.join(potential.species)}."
        )
    masses = atoms.get_masses()
    for symbol in species_of(atoms, potential):
        of_this = masses[atoms.symbols == symbol]
        if np.ptp(of_this) > 0:
            raise InputError(
                f"{args.structure} ({frame}): {symbol} has masses from {of_this.min():g} to {of_this.max():g}; "
                "the atom type of an element has one mass. Give them the same, or other types in LAMMPS."
            )
    held = {int(k) for constraint in atoms.constraints for k in constraint.get_indices()}
    if held:
        console.remark(
            f"{args.structure} ({frame}): {len(held)} atoms are held fixed, wholly or in part, which a data file does "
            "not say; in LAMMPS leave them out of the group that is integrated."
        )
    if args.repeat and any(n > 1 and not periodic for n, periodic in zip(args.repeat, atoms.pbc, strict=True)):
        raise UsageError(f"--repeat: {args.structure} ({frame}) is not periodic along all of these vectors.")
    atoms = atoms.repeat(args.repeat or 1)
    species = species_of(atoms, potential)
    cell = atoms.cell.array
    cell[~atoms.pbc] = 0.0
    atoms.cell = atoms.cell.new(cell).complete()
    atoms.center(vacuum=MARGIN, axis=tuple(np.flatnonzero(~atoms.pbc)))
    if np.linalg.det(atoms.cell.array) < 0:
        raise InputError(
            f"{args.structure} ({frame}): the cell is left-handed, LAMMPS wants a right-handed one; exchange "
            "two of its vectors."
        )
    prism, text = Prism(atoms.cell.array), io.StringIO()
    # ASE leaves out tilts of up to 1e-4 of an edge; only those of rounding are none
    skewed = np.abs(np.tril(prism.lammps_tilt, -1)).max() > 1e-14 * np.abs(prism.lammps_tilt).max()
    write_lammps_data(
        text, atoms, specorder=species, masses=True, units=args.units, atom_style="atomic", prismobj=prism,
        force_skew=bool(skewed),
    )  # fmt: skip
    _, _, rest = text.getvalue().partition("\n")
    head = printable(f"{args.structure}, {frame}; types {' '.join(species)}; written by {DATA.mark.decode()}")
    with files.replacing(path, "w", DATA, args.force) as file:
        file.write(f"{head}\n{rest}")
    return species, " ".join("p" if p else "s" for p in atoms.pbc), path
