"""Molecular dynamics as the judge of a potential: errors on a test set say little of what a simulation meets.

    python benchmarks/accuracy/md_judge.py molecule acac.nbcore --data DATA/acac/train_300K.xyz.xz --temperature 500
    python benchmarks/accuracy/md_judge.py silicon si.nbcore --data DATA/mlearn/Si_train.xyz.xz
    python benchmarks/accuracy/md_judge.py water water.nbcore --data DATA/water_dp/train.xyz.xz

Steps of 0.5 fs by `nbcore.md`. The same command continues a run that was interrupted. Prints what was found beside its
bound, adds a line to dynamics.jsonl in the log, and exits with 1 where a bound is missed or the run breaks off.

molecule  Langevin, 1 ns: the mean kinetic temperature is that of the bath within 5 K; bonds stay within 0.5 Angstrom of
          their range in the data. Conservation of energy: benchmarks/md_drift.py with the same model.
silicon   a crystal of 216 atoms is heated, 10 ps of Langevin at 3000 K, then 10 ps at 2000 K, and 20 ps of NVE: it has
          melted, no two atoms come closer than in the data by more than 0.5 Angstrom, the energy drifts within M2.
water     Langevin, 50 ps, then 20 ps of NVE: temperature, bonds and drift as above, each oxygen keeps two hydrogen
          atoms; radial distribution functions beside those of the data, the first peak of O-O at the same place within
          0.15 Angstrom. (Those of the data may hold quantum effects of the nuclei: O-H and H-H are shown, not judged.)
"""

import argparse
import json
import sys
import time
from datetime import date
from pathlib import Path

import ase.io
import numpy as np
import trajectories
from ase.build import bulk
from log import Log

from nbcore import Potential, files, md
from nbcore.ase import NBCoreCalculator
from nbcore.bench.record import commit
from nbcore.cli.md import signals
from nbcore.data.start import read_structure
from nbcore.errors import CheckpointError, NumericsError

MARGIN = 0.5  # Angstrom that bonds may leave their range in the data
KELVIN = 5.0
RMS = 0.3  # meV/atom, of M2


class Judge:
    """Runs dynamics in folders below `folder` and collects what was found: (what, value, unit, low, high)."""

    def __init__(self, args):
        self.args, self.folder, self.checks = args, Path(args.output), []
        self.digest, self.seconds, self.steps = files.sha256(args.model), 0.0, 0

    def check(self, what, value, unit="", low=None, high=None):
        """Takes note of a value; without bounds it is for reading."""
        self.checks.append((what, float(value), unit, low, high))

    def run(self, name, atoms, ps, **settings):
        """The folder of a finished simulation; SystemExit when a signal came."""
        folder, steps = self.folder / name, round(1e3 * ps / self.args.timestep)
        atoms = atoms.copy()
        precision = self.args.precision
        atoms.calc = NBCoreCalculator(self.args.model, threads=self.args.threads, precision=precision)
        settings |= {name: getattr(self.args, name) for name in ("timestep", "seed", "every", "precision")}
        settings = md.Settings(**settings)
        begin, first, told = time.monotonic(), None, time.monotonic()

        def progress(step):
            nonlocal first, told
            first = step - 1 if first is None else first
            if time.monotonic() - told > self.args.tell:
                told, each = time.monotonic(), (time.monotonic() - begin) / (step - first)
                print(f"  {name}: step {step} of {steps}, {each * (steps - step) / 60:.0f} min left", flush=True)

        with signals() as stopped:
            step = md.simulate(atoms, settings, steps, folder, progress, lambda: bool(stopped))
        if stopped and step < steps:
            print(f"stopped at step {step} of {steps} of {name}; the same command continues")
            raise SystemExit(128 + stopped[0])
        self.seconds += time.monotonic() - begin
        self.steps += 0 if first is None else step - first
        return folder

    def frames(self, folder, discard=0.0):
        """Positions of the frames after `discard` ps, and the last frame as Atoms."""
        found, last = [], None
        for atoms in ase.io.iread(folder / md.TRAJECTORY, index=":", format="extxyz"):
            last = atoms
            if atoms.info["time_fs"] >= 1e3 * discard:
                found.append(atoms.positions)
        last.calc = None
        return np.array(found), last

    def temperature(self, folder, kelvin, discard):
        """The mean of the kinetic temperature."""
        mean, error = trajectories.mean_temperature(folder, discard)
        self.check("mean temperature", mean, "K", kelvin - KELVIN, kelvin + KELVIN)
        self.check("its statistical error", error, "K")

    def bonds(self, bonds, inside, outside):
        """Ranges of bonds beside those of the data."""
        data, found = bonds.ranges(inside), bonds.ranges(outside)
        for name, (low, high) in found.items():
            for word, value, known in (("shortest", low, data[name][0]), ("longest", high, data[name][1])):
                text = f"{name}, {word} ({known:.2f} in the data)"
                self.check(text, value, "Å", max(known - MARGIN, 0.0), known + MARGIN)

    def drift(self, folder, atoms):
        """M2 of an NVE run."""
        slope, rms, ps = trajectories.drift(folder, atoms)
        self.check("slope of E x time / rms", abs(slope), "", 0.0, trajectories.drift_bound(ps))
        self.check("rms of E about the line", rms, "meV/atom", 0.0, RMS)


def molecule(judge, args):
    """A molecule in a bath."""
    start, _, _ = read_structure(f"{args.data}@{args.frame}")
    numbers, inside, cell = trajectories.structures(args.data)
    folder = judge.run("langevin", start, args.time, temperature=args.temperature)
    outside, _ = judge.frames(folder)
    judge.temperature(folder, args.temperature, discard=0.02 * args.time)
    judge.bonds(trajectories.Bonds(numbers, inside, cell), inside, outside)


def silicon(judge, args):
    """A crystal that melts."""
    atoms = bulk(args.element, "diamond", a=args.constant, cubic=True) * ((args.cells,) * 3)
    atoms.rattle(0.02, seed=1)
    k = 2 * np.pi / args.constant * np.array([2.0, 2.0, 0.0])
    cell, n = trajectories.edges(atoms.cell.array), len(atoms)
    judge.check("order of the crystal at the start", trajectories.order(atoms.positions[None], k), "", 0.7, 1.0)
    for name, kelvin, ps in (("heated", args.hot, args.time / 2), ("melt", args.temperature, args.time / 2)):
        _, atoms = judge.frames(judge.run(name, atoms, ps, temperature=kelvin))
    folder = judge.run("nve", atoms, args.time, ensemble="nve", temperature=args.temperature)
    positions, _ = judge.frames(folder)
    judge.check("order after melting", trajectories.order(positions, k), "", 0.0, 0.3)
    moved = positions[-1] - positions[0]
    moved -= moved.mean(axis=0)
    judge.check("mean squared displacement in NVE", np.square(moved).sum(axis=1).mean(), "Å^2", 0.5)
    _, error = trajectories.mean_temperature(folder, 0.0)
    judge.check("temperature of NVE", trajectories.mean_temperature(folder, 0.0)[0], "K")
    judge.check("its statistical error", error, "K")
    known = shortest_in(args.data)
    text = f"shortest distance ({known:.2f} in the data)"
    judge.check(text, trajectories.shortest(positions, cell), "Å", known - MARGIN)
    judge.drift(folder, n)


def shortest_in(path):
    """The shortest distance in data with any cells."""
    from nbcore import data

    return min(data.shortest_distances(data.read(path, require=(), missing="mask")).values())


def water(judge, args):
    """A liquid of molecules."""
    start, _, _ = read_structure(f"{args.data}@{args.frame}")
    numbers, inside, cell = trajectories.structures(args.data)
    n = len(numbers)
    folder = judge.run("langevin", start, args.time, temperature=args.temperature, friction=args.friction)
    outside, last = judge.frames(folder, discard=0.1 * args.time)
    judge.temperature(folder, args.temperature, discard=0.1 * args.time)
    bonds = trajectories.Bonds(numbers, inside, cell)
    judge.bonds(bonds, inside, outside)
    few, many = bonds.partners(outside)
    judge.check("hydrogen atoms of an oxygen, fewest", few, "", 2, 2)
    judge.check("hydrogen atoms of an oxygen, most", many, "", 2, 2)
    table = {}
    for name, (a, b) in {"O-O": (8, 8), "O-H": (8, 1), "H-H": (1, 1)}.items():
        r, g = trajectories.radial_distribution(numbers, outside, cell, a, b)
        _, known = trajectories.radial_distribution(numbers, inside, cell, a, b)
        table |= {"r": r, f"{name} nbcore": g, f"{name} data": known}
        judge.check(f"g(r) of {name}, mean |difference|", np.abs(g - known).mean())
    near = table["r"] < 3.4
    peak, known = (table["r"][near][table[f"O-O {who}"][near].argmax()] for who in ("nbcore", "data"))
    judge.check(f"first peak of O-O ({known:.2f} in the data)", peak, "Å", known - 0.15, known + 0.15)
    write_table(judge.folder / "rdf.csv", table)
    nve = judge.run("nve", last, args.nve_time, ensemble="nve", temperature=args.temperature)
    judge.drift(nve, n)


def write_table(path, table):
    """Columns with a line of names."""
    np.savetxt(path, np.transpose(list(table.values())), "%.5g", ",", header=",".join(table), comments="")


CASES = {"molecule": molecule, "silicon": silicon, "water": water}


def parser():
    """The options."""
    p = argparse.ArgumentParser("md_judge.py", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("case", choices=list(CASES))
    p.add_argument("model")
    p.add_argument("--data", required=True, metavar="FILE", help="what the model was trained on")
    p.add_argument("--temperature", type=float, metavar="K", help="300 (molecule), 2000 (silicon), 330 (water)")
    p.add_argument("--time", type=float, metavar="PS", help="1000 (molecule), 20 (silicon), 50 (water)")
    p.add_argument("--nve-time", type=float, default=20.0, metavar="PS", help="of water after it (20)")
    p.add_argument("--timestep", type=float, default=0.5, metavar="FS")
    p.add_argument("--friction", type=float, default=2.0, help="of water, per ps (2)")
    p.add_argument("--frame", type=int, default=0, help="of the data, where molecule and water start (0)")
    p.add_argument("--element", default="Si")
    p.add_argument("--constant", type=float, default=5.469, help="of the crystal, Angstrom")
    p.add_argument("--cells", type=int, default=3, help="of the crystal along each edge (3: 216 atoms)")
    p.add_argument("--hot", type=float, default=3000.0, metavar="K", help="at which the crystal melts")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--every", type=int, default=50, help="steps between frames (50)")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--precision", choices=["float64", "float32"], default="float64", help="of the potential (float64)")
    p.add_argument("--tell", type=float, default=60.0, help="seconds between words on the progress")
    p.add_argument("--output", metavar="DIR", help="folder of the trajectories (build/md_judge/...)")
    p.add_argument("--log", metavar="DIR", help="another folder for the log")
    return p


DEFAULTS = {"molecule": (300.0, 1000.0), "silicon": (2000.0, 20.0), "water": (330.0, 50.0)}


def main(arguments=None) -> int:
    """0 if all bounds hold, 1 if not; 128 + the signal that stopped it."""
    args = parser().parse_args(arguments)
    kelvin, ps = DEFAULTS[args.case]
    args.temperature, args.time = args.temperature or kelvin, args.time or ps
    name = f"{args.case}-{files.sha256(args.model)[:8]}-{args.temperature:g}K-{args.time:g}ps-{args.seed}"
    args.output = args.output or f"build/md_judge/{name}"
    judge, broken = Judge(args), ""
    print(f"{args.case}: {args.model}, {args.temperature:g} K, {args.time:g} ps -> {args.output}/", flush=True)
    try:
        CASES[args.case](judge, args)
    except NumericsError as e:
        broken = str(e)
        print(f"FAILED: {broken}")
    except CheckpointError as e:
        print(e, file=sys.stderr)
        return 6
    good = not broken and all(inside(value, low, high) for _, value, _, low, high in judge.checks)
    show(judge)
    about = Potential.load(args.model).description
    entry = {
        "date": date.today().isoformat(),
        "commit": commit(),
        "case": args.case,
        "name": about.get("about", {}).get("description", ""),
        "model": judge.digest,
        "kelvin": args.temperature,
        "ps": args.time,
        "timestep_fs": args.timestep,
        "precision": args.precision,
        "seed": args.seed,
        "checks": judge.checks,
        "broken": broken,
        "good": good,
        "seconds": round(judge.seconds, 1),
    }
    log_once(Log(args.log), entry, judge.folder / "rdf.csv")
    return 0 if good else 1


def log_once(log, entry, rdf):
    """A line of dynamics.jsonl, not twice the same; radial distributions go to history/."""
    path, identity = log.folder / "dynamics.jsonl", ("model", "case", "kelvin", "ps", "timestep_fs", "seed")
    with log.locked():
        if [entry[k] for k in identity] in [[e[k] for k in identity] for e in log.dynamics()]:
            print("this run is in the log already")
            return
        if rdf.exists():
            (log.folder / "history").mkdir(exist_ok=True)
            (log.folder / "history" / f"rdf-{entry['model'][:8]}.csv").write_text(rdf.read_text())
        with open(path, "a") as f:
            f.write(json.dumps(entry, ensure_ascii=False) + "\n")


def inside(value, low, high):
    """Is it within its bounds? NaN is not."""
    return (low is None or value >= low) and (high is None or value <= high)


def bounds(low, high):
    """The bounds as a text."""
    if low is None and high is None:
        return ""
    return f">= {low:g}" if high is None else f"<= {high:g}" if not low else f"in [{low:.4g}, {high:.4g}]"


def show(judge):
    """The table."""
    if judge.steps:
        print(f"  {1e3 * judge.seconds / judge.steps:.2f} ms a step")
    for what, value, unit, low, high in judge.checks:
        verdict = "" if low is None and high is None else "ok" if inside(value, low, high) else "FAILED"
        print(f"  {what:<58} {value:10.4g} {unit:<9} {bounds(low, high):<18} {verdict}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
