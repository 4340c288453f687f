"""`nbcore relax MODEL STRUCTURE`: atoms, optionally the cell, to the nearest minimum of the energy."""

from nbcore.cli import UsageError, console
from nbcore.errors import Error, NumericsError
from nbcore.files import kind_of

RELAXED = kind_of("nbcore relax")


def add_parser(subparsers):
    """The options of `nbcore relax`."""
    from nbcore.cli import evaluation

    p = subparsers.add_parser(
        "relax", help="relax atoms, optionally the cell",
        description="Moves atoms until no force component is larger than --fmax (BFGS of ASE).",
        epilog="Parts of a model over a composition scheme are made from the structure as it is read, and held.",
    )  # fmt: skip
    p.add_argument("model", metavar="MODEL", help="model file (.nbcore)")
    p.add_argument(
        "structure", metavar="STRUCTURE", help="where to start: any file ASE reads; FILE@3 is its frame 3 (last)"
    )
    p.add_argument("--cell", action="store_true", help="relax the cell too, to zero stress")
    p.add_argument("--fmax", type=float, default=1e-3, metavar="F", help="largest force left, eV/Å (0.001)")
    p.add_argument("--steps", type=int, default=1000, metavar="N", help="at most so many (1000)")
    p.add_argument("--output", metavar="FILE", help="relaxed structure, extended XYZ (STRUCTURE_relaxed.xyz)")
    p.add_argument("--force", action="store_true", help="replace a file that `nbcore relax` did not write")
    evaluation.add_options(p, moving=True)


def run(args):
    """Relaxes, reports, and returns the exit code: 0, or 5 where --steps were not enough."""
    import ase.io
    import numpy as np
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    from nbcore import files
    from nbcore.ase import NBCoreCalculator
    from nbcore.data.constraints import fixed_text
    from nbcore.data.start import read_structure
    from nbcore.results.comparison import GPA
    from nbcore.results.tables import stem

    if not (0 < args.fmax < np.inf) or args.steps < 1:
        raise UsageError(f"--fmax must be positive and --steps at least 1, got {args.fmax:g} and {args.steps}.")
    path = args.output or f"{stem(args.structure.partition('@')[0])}_relaxed.xyz"
    inputs = [args.model, args.structure, args.structure.rpartition("@")[0]]
    files.check_output(path, RELAXED, inputs, args.force)
    atoms, frame, remarks = read_structure(args.structure)
    for remark in remarks:
        console.remark(remark)
    if args.cell and atoms.constraints:
        raise UsageError(
            f"--cell: {args.structure} ({frame}): {fixed_text(atoms)}; a cell that changes moves them too."
        )
    if args.cell and not atoms.pbc.all():
        raise UsageError(f"--cell: {args.structure} ({frame}) is not periodic in three directions.")
    atoms.calc = NBCoreCalculator(args.model, args.threads, args.precision, args.skin, args.max_bytes)
    try:
        before = atoms.get_potential_energy()
    except Error as e:
        raise type(e)(f"{args.structure} ({frame}): {e}") from None
    start = np.abs(atoms.get_forces()).max()
    mover = BFGS(FrechetCellFilter(atoms) if args.cell else atoms, logfile=None)
    converged = mover.run(fmax=args.fmax, steps=args.steps)
    force = np.abs(atoms.get_forces()).max()

    atoms.info["writer"] = RELAXED.mark.decode()
    with files.replacing(path, "w", RELAXED, args.force) as f:
        ase.io.write(f, atoms, format="extxyz")
    if not args.quiet:
        if atoms.constraints:
            console.out(f"fixed          {fixed_text(atoms)}, as the structure says")
        console.out(f"energy         {before:.6f} -> {atoms.get_potential_energy():.6f} eV in {mover.nsteps} steps")
        console.out(f"largest force  {start:.3g} -> {force:.3g} eV/Å")
        if args.cell:
            lengths, angles = atoms.cell.lengths(), atoms.cell.angles()
            console.out(
                f"cell           {' '.join(f'{x:.4f}' for x in lengths)} Å, {' '.join(f'{x:.2f}' for x in angles)}°"
            )
            console.out(f"stress         at most {GPA * np.abs(atoms.get_stress()).max():.2g} GPa")
        scheme = atoms.calc.scheme
        for name, node, radius, was in scheme.outgrown(atoms.positions, atoms.cell.array)[:1] if scheme else []:
            console.remark(
                f"! A part has come apart: node {node} of {name!r} reaches {radius:.1f} Å, {was:.1f} before."
            )
        console.out(f"\n{path}   the structure, with energy and forces; Å, eV")
    if not converged:
        raise NumericsError(
            f"not converged after {args.steps} steps: the largest force is {force:.3g} eV/Å, asked were {args.fmax:g}. "
            f"{path} holds where it stopped; start from there, or allow more --steps."
        )
    return 0
