"""Does LAMMPS conserve the energy, on one rank and on several?

    NBCORE_LMP=env/bin/lmp python benchmarks/lammps_drift.py MODEL STRUCTURE [--repeat 5 5 5] [--time 100] [--ranks 1 4]

STRUCTURE, repeated, is warmed up for a picosecond (Langevin) on one rank; from there NVE runs on each number of ranks
for --time ps at 0.5 fs. A straight line through the total energy moves by at most 4e-3 of the rms about it per ps (M2
for 100 ps; up to 20 ps by half the rms in all), and the rms is at most 0.3 meV/atom. Over the first 100 steps all
numbers of ranks give the same energies to 1e-9 eV/atom; later trajectories part as chaotic ones do. Exit code 1 if one
fails.

Runs are kept in --folder; the same command goes on where they were stopped. LAMMPS and mpirun of one environment with
the pair style (`pip install ./lammps`), or its file in --plugin.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from lammps_cost import run_lammps

import nbcore
from nbcore import md

EVERY = 10  # steps between energies
START = """include {here}/in.model
timestep {step}
neighbor {skin} bin
neigh_modify delay 0 every 1 check yes
"""
WARM = """velocity all create {twice} 1 dist gaussian
fix nve all nve
fix bath all langevin {T} {T} 0.1 2
run 2000
unfix bath
velocity all zero linear
reset_timestep 0
write_restart start.restart
"""
MODEL = "pair_style nbcore {style}\npair_coeff * * {model} {elements}\n"
NVE = """fix nve all nve
variable e equal etotal
variable t equal step
fix out all print {every} "ENERGY $t $(v_e:%.17g)" screen no append energies.txt title ""
thermo {part}
restart {part} a.restart b.restart
run {steps} upto
"""


def lammps(lmp, folder, script, ranks):
    """Runs a script in a folder; a failure ends the program with what was said."""
    done = run_lammps(lmp, script, ranks, folder)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr)


def energies_of(folder):
    """Steps and energies so far; what a run wrote after its last restart file comes twice."""
    path = folder / "energies.txt"
    rows = [line.split()[1:] for line in path.read_text().splitlines() if line.startswith("ENERGY")]
    kept = {int(step): float(energy) for step, energy in rows}
    steps = np.array(sorted(kept))
    return steps, np.array([kept[s] for s in steps])


def newest(folder):
    """The restart file to go on from, or None."""
    files = sorted(folder.glob("[ab].restart"), key=lambda path: path.stat().st_mtime)
    return files[-1] if files else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("structure", help="FILE or FILE@FRAME, periodic")
    parser.add_argument("--repeat", type=int, nargs=3, default=[5, 5, 5], metavar="N")
    parser.add_argument("--time", type=float, default=100.0, help="of each run, in ps")
    parser.add_argument("--timestep", type=float, default=0.5, help="in fs")
    parser.add_argument("--temperature", type=float, default=300.0, help="in K")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--style", default="", help="ghosts, exchange")
    parser.add_argument("--skin", type=float, default=0.4, help="in Angstrom")
    parser.add_argument("--part", type=int, default=10_000, help="steps between restart files")
    parser.add_argument("--folder", default="lammps_drift")
    parser.add_argument("--plugin", help="nbcoreplugin.so, where `lmp` does not find the pair style by itself")
    args = parser.parse_args()
    lmp = os.environ.get("NBCORE_LMP") or shutil.which("lmp")
    if lmp is None:
        raise SystemExit('there is no lmp: pip install "lammps[mpi]" ./lammps, or name it in NBCORE_LMP')
    folder, model = Path(args.folder).resolve(), Path(args.model).resolve()
    folder.mkdir(exist_ok=True)
    load = f'plugin unload pair nbcore\nplugin load "{Path(args.plugin).resolve()}"\n' if args.plugin else ""
    words = {"here": folder, "step": args.timestep / 1e3, "skin": args.skin, "T": args.temperature}
    words |= {"twice": 2 * args.temperature, "every": EVERY, "part": args.part, "style": args.style, "model": model}
    words["steps"] = round(1e3 * args.time / args.timestep)
    if not (folder / "start.restart").exists():
        command = [
            sys.executable,
            "-m",
            "nbcore",
            "lammps",
            model,
            args.structure,
            "--output",
            folder / "data",
            "--force",
        ]
        command += ["--repeat", *args.repeat]
        said = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if said.returncode:
            raise SystemExit(said.stderr)
        lines = said.stdout.splitlines()
        watch = next((k for k, line in enumerate(lines) if line.startswith("# stop where")), len(lines))
        (folder / "in.model").write_text("\n".join(lines[:watch]) + "\n")
        lammps(lmp, folder, load + (START + WARM).format(**words), 1)
    (elements,) = [
        line.split()[4:] for line in (folder / "in.model").read_text().splitlines() if line.startswith("pair_coeff")
    ]
    words["elements"] = " ".join(elements)

    found, failed = {}, False
    for ranks in args.ranks:
        here = folder / f"ranks{ranks}"
        here.mkdir(exist_ok=True)
        from_ = newest(here) or folder / "start.restart"
        script = f"read_restart {from_}\nneighbor {{skin}} bin\nneigh_modify delay 0 every 1 check yes\n"
        lammps(lmp, here, load + (script + MODEL + "timestep {step}\n" + NVE).format(**words), ranks)
        found[ranks] = energies_of(here)
    n = int(next(line.split()[0] for line in (folder / "data").read_text().splitlines() if line.endswith("atoms")))
    kind = nbcore.load(model)
    print(f"{args.model}: {kind.levels} levels, {n} atoms, NVE of {args.time:g} ps at {args.timestep:g} fs in LAMMPS")
    limit = 4e-3 if args.time > 20 else 0.5 / args.time
    first = None
    for ranks, (steps, energies) in found.items():
        times = steps * args.timestep / 1e3
        slope, rms = md.drift(times, 1e3 * energies / n)
        start = energies[:10]
        first = start if first is None else first
        apart = np.abs(start - first).max() / n
        good = abs(slope) <= limit * rms and rms <= 0.3 and apart <= 1e-9
        failed |= not good
        print(
            f"  {ranks} ranks, {times[-1]:g} ps: slope {slope / rms:+.2e} rms/ps (at most {limit:g}), "
            f"rms {rms:.2e} meV/atom (at most 0.3), first 100 steps apart {apart:.1e} eV/atom; "
            + ("ok" if good else "FAILED")
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
