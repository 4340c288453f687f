"""`nbcore md MODEL STRUCTURE`: molecular dynamics in a folder that the same command continues."""

import argparse
import contextlib
import re
import signal

from nbcore.cli import UsageError, console
from nbcore.errors import Error, InputError

FEMTOSECONDS = {"": 1.0, "fs": 1.0, "ps": 1e3, "ns": 1e6}
EXPLAIN = """\
Writes trajectory.xyz (extended XYZ), md.log (energies and temperature) and state.npz into the folder; the same command
continues an interrupted run, with the same bits as one that was never interrupted, and a longer --time extends a
finished one. Velocities are drawn from the Maxwell-Boltzmann distribution, without a total momentum."""


def duration(text):
    """A time in fs from words like 10ps, "0.5 fs", 1ns; a bare number is in fs.

    >>> duration("10ps")
    10000.0
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([a-z]*)\s*", text)
    try:
        value = float(match[1]) * FEMTOSECONDS[match[2]]
    except (TypeError, ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write it as 10ps or 0.5fs.") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: a time must be more than 0.")
    return value


def add_parser(subparsers):
    """The options of `nbcore md`."""
    from nbcore.cli import evaluation

    p = subparsers.add_parser(
        "md", help="molecular dynamics", description="Molecular dynamics with a model: NVE or Langevin.", epilog=EXPLAIN
    )
    p.add_argument("model", metavar="MODEL", help="model file (.nbcore)")
    p.add_argument(
        "structure", metavar="STRUCTURE", help="where to start: any file ASE reads; FILE@3 is its frame 3 (last)"
    )
    p.add_argument("--time", type=duration, default=10e3, metavar="T", help="length, as 10ps or 500fs (10ps)")
    p.add_argument("--timestep", type=duration, default=0.5, metavar="T", help="as 0.5fs (0.5fs)")
    p.add_argument(
        "--temperature", type=float, default=300.0, metavar="K", help="of the bath and at the start, K (300)"
    )
    ensemble = p.add_mutually_exclusive_group()
    ensemble.add_argument("--nve", action="store_true", help="constant energy")
    ensemble.add_argument(
        "--langevin", type=float, nargs="?", const=10.0, metavar="FRICTION",
        help="constant temperature (default), friction in 1/ps (10)",
    )  # fmt: skip
    p.add_argument("--seed", type=int, default=1, help="of velocities and thermostat (1)")
    p.add_argument("--output", metavar="DIR", help="folder (STRUCTURE_md)")
    p.add_argument("--every", type=int, default=100, metavar="N", help="steps between frames of the trajectory (100)")
    p.add_argument("--log-every", type=int, default=10, metavar="N", help="steps between lines of the log (10)")
    evaluation.add_options(p, moving=True)
    p.add_argument("--restart", action="store_true", help="begin again; the old folder is kept as DIR.1")
    p.add_argument("--force", action="store_true", help="replace a trajectory and a log of others in DIR")


def run(args):
    """Simulates, reports, and returns the exit code."""
    import time
    from pathlib import Path

    from nbcore import files, load, md
    from nbcore.ase import NBCoreCalculator
    from nbcore.cli.progress import progress
    from nbcore.data.start import read_structure
    from nbcore.results.tables import stem

    try:
        settings = md.Settings(
            ensemble="nve" if args.nve else "langevin",
            temperature=args.temperature,
            timestep=args.timestep,
            friction=10.0 if args.langevin is None else args.langevin,
            seed=args.seed,
            every=args.every,
            log_every=args.log_every,
            precision=args.precision,
            max_bytes=args.max_bytes,
        )
    except InputError as e:
        raise UsageError(str(e)) from None
    steps = round(args.time / args.timestep)
    if steps < 1:
        raise UsageError(f"--time {amount(args.time)} is shorter than one step of {amount(args.timestep)}.")
    potential = load(args.model)
    atoms, frame, remarks = read_structure(args.structure)
    for remark in remarks:
        console.remark(remark)
    atoms.calc = NBCoreCalculator(args.model, args.threads, args.precision, args.skin, args.max_bytes)
    try:
        atoms.get_potential_energy()
    except Error as e:
        raise type(e)(f"{args.structure} ({frame}): {e}") from None
    folder = Path(args.output or f"{stem(args.structure.partition('@')[0])}_md")
    inputs = [args.model, args.structure, args.structure.rpartition("@")[0]]
    if args.restart and md.is_run(folder):
        with files.lock(folder):
            pass  # not while it is running
        console.remark(f"The old run is kept as {files.set_aside(folder)}/.")
    md.claim(folder, [] if md.is_run(folder) else inputs, args.force)
    begun = md.load_state(folder) if md.is_run(folder) else None
    first = begun["step"] if begun else 0
    if first > steps:
        raise UsageError(
            f"{folder}/ is at {amount(first * args.timestep)} already, past --time {amount(args.time)}. "
            "--restart begins again (the old run is kept)."
        )
    if not args.quiet:
        print_plan(args, settings, steps, atoms, frame, folder, potential, begun)

    start = time.monotonic()
    with signals() as stopped, progress(steps, lambda k: amount(round(k * args.timestep)), first, args.quiet) as tick:
        step = md.simulate(atoms, settings, steps, folder, tick, lambda: bool(stopped), args.force)
    if stopped and step < steps:
        done = amount(step * args.timestep)
        console.remark(f"Stopped at {done} of {amount(args.time)}. Saved in {folder}/. The same command continues.")
        return 128 + stopped[0]
    seconds = (time.monotonic() - start) / (step - first) if step > first else None
    print_result(settings, atoms, folder, potential, seconds, args.quiet)
    scheme = atoms.calc.scheme
    for name, node, radius, before in scheme.outgrown(atoms.positions, atoms.cell.array)[:1] if scheme else []:
        console.remark(
            f"! A part has come apart: node {node} of {name!r} reaches {radius:.1f} Å, {before:.1f} Å at the start. "
            "Parts stay what they were; to make them anew, start from the last frame."
        )
    return 0


@contextlib.contextmanager
def signals():
    """Collects SIGINT and SIGTERM in a list, so that a step is finished and saved; a second one ends at once."""
    received = []

    def receive(number, _):
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {s: signal.signal(s, receive) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def say(head, text):
    """One entry of the plan or of the result, wrapped to the terminal."""
    room = 17 if head.startswith(" ") else 11
    console.out(console.block(text, f"{head:<{room}}", room * " "))


def print_plan(args, settings, steps, atoms, frame, folder, potential, begun):
    """The lines before the progress: what is run, and what was assumed."""
    import nbcore
    from nbcore.cli.inspect import one_line
    from nbcore.data.constraints import fixed_text

    info, threads = nbcore.build_info(), args.threads or nbcore.threads()
    console.out(
        f"nbcore {info['version']}   {threads} thread{'s' * (threads > 1)}   {info['kernel_set']}   -> {folder}/"
    )
    say("Model", one_line(args.model, potential))
    periodic = " ".join("FT"[int(p)] for p in atoms.pbc)
    cell = f"periodic {periodic}, {atoms.get_volume():.1f} Å^3" if atoms.pbc.any() else "not periodic"
    formula = atoms.get_chemical_formula("hill")
    say("Structure", f"{args.structure} ({frame}): {formula}, {len(atoms)} atom{'s' * (len(atoms) > 1)}, {cell}")
    if fixed := fixed_text(atoms):
        say("Fixed", f"{fixed}, as the structure says")
    bath = f"Langevin, {settings.temperature:g} K, friction {settings.friction:g} per ps"
    bath = "NVE" if settings.ensemble == "nve" else bath
    say("Dynamics", f"{bath}; {amount(steps * settings.timestep)} = {steps} steps of {settings.timestep:g} fs")
    if begun:
        say("Continuing", f"at {amount(begun['step'] * settings.timestep)}")
    else:
        say("Start", f"velocities drawn at {settings.temperature:g} K (seed {settings.seed}), no total momentum")


def print_result(settings, atoms, folder, potential, seconds, quiet):
    """Temperature, conservation of energy, speed, files; what lies outside the training data."""
    import ase.io

    from nbcore import md
    from nbcore.results.comparison import closer_than

    _, fs, epot, _, etot, kelvin = md.read_log(folder)
    frames = list(ase.io.iread(folder / md.TRAJECTORY, index=":"))
    if not quiet:
        console.out()
        say("  temperature", f"{kelvin.mean():.1f} K, standard deviation {kelvin.std():.1f} K")
        say("  potential", f"{epot.mean():.4f} eV, standard deviation {epot.std():.4f} eV")
        if settings.ensemble == "nve" and len(fs) > 2:
            slope, rms = md.drift(fs / 1e3, 1e3 * etot / len(atoms))
            say("  total energy", f"drift {slope:+.2g} meV/atom/ps, rms {rms:.2g} meV/atom about it")
        if seconds:
            say("  speed", f"{1e3 * seconds:.2f} ms a step, {86.4e-3 * settings.timestep / seconds:.3g} ns a day")
    shortest = potential.description.get("shortest_distances")
    closer = [p for p in (closer_than(a, shortest) for a in frames) if p] if shortest else []
    if closer:
        console.remark(
            f"{len(closer)} of {len(frames)} frames have a pair closer than any such pair in train (the closest: "
            f"{min(closer, key=lambda p: p.distance)}). Expect larger errors there; add such structures to the data."
        )
    if not quiet:
        console.out()
        for name, what in (
            (md.TRAJECTORY, f"{len(frames)} frames: positions, momenta, energy, forces; Å, eV"),
            (md.LOG, f"time, energies, temperature every {amount(settings.log_every * settings.timestep)}"),
        ):
            console.out(console.block(f"{folder / name}   {what}", "", "    "))


def amount(fs):
    """A time in fs for people: "500 fs", "10 ps", "1.25 ns".

    >>> amount(12500)
    '12.5 ps'
    """
    size, unit = next(((size, unit) for size, unit in ((1e6, "ns"), (1e3, "ps")) if fs >= size), (1, "fs"))
    return f"{fs / size:.10g} {unit}"
