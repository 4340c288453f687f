"""What a step costs inside LAMMPS: beside the bare core, on several ranks, in both ways, and beside SNAP; one run.

    NBCORE_LMP=env/bin/lmp taskset -c 0 python benchmarks/lammps_cost.py [--cells 8] [--model si.nbcore]
    NBCORE_LMP=env/bin/lmp python benchmarks/lammps_cost.py --ranks 1 2 --styles default  # two free cores, a minute

8 cells^3 atoms of silicon at 300 K (4096 by default), NVE. LAMMPS and mpirun of one environment with the pair style
(`pip install ./lammps`), or its file in --plugin. The bare core is `Potential.compute` with one thread, its search for
neighbours included; LAMMPS' time is its loop time without output, with all it does: processor time on one rank, so that
other work on the machine does not count, wall time on several, which want as many free cores. Repetitions of everything
in turn, medians.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import nbcore
from nbcore import paths
from nbcore.bench.models import evaluation, silicon

BOX = """units metal
newton on
read_data si.data
mass 1 28.085
neighbor 1.0 bin
"""
DYNAMICS = """velocity all create 300 1
fix nve all nve
timestep 0.001
thermo 1000000
run 2
run {steps}
"""
STYLES = {"default": "", "ghosts": "ghosts", "exchange": "exchange"}


def row(ranks, style):
    """Its name in the table."""
    return f"LAMMPS, {ranks} ranks, {style}"


def run_lammps(lmp, script, ranks, folder):
    """What a script in a folder does on some ranks, a thread each, with the nbcore of this process."""
    command = [lmp, "-log", "none", "-nocite", "-in", "in.lammps"]
    if ranks > 1:
        command = [str(Path(lmp).parent / "mpirun"), "-np", str(ranks), *command]
    (folder / "in.lammps").write_text(script)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NBCORE_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    # this core, whatever is installed beside LAMMPS
    environment["LD_LIBRARY_PATH"] = f"{paths.get_library_dir()}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def loop_time(lmp, script, ranks, folder):
    """Seconds per step of the second run: of the processor on one rank, else on the wall."""
    said = run_lammps(lmp, script, ranks, folder)
    found = re.findall(r"Loop time of (\S+) on \d+ procs for (\d+) steps.*?([0-9.]+)% CPU use", said.stdout, re.DOTALL)
    if said.returncode or len(found) < 2:
        raise SystemExit(said.stdout + said.stderr)
    seconds, steps, used = map(float, found[-1])
    return seconds / steps * (used / 100 if ranks == 1 else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=8, help="cubic cells of 8 atoms along an edge")
    parser.add_argument("--model", help="a model that knows Si; default: random weights, 2 levels, 64 channels")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1])
    parser.add_argument("--styles", nargs="+", choices=STYLES, default=list(STYLES))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--plugin", help="nbcoreplugin.so, where `lmp` does not find the pair style by itself")
    args = parser.parse_args()
    lmp = os.environ.get("NBCORE_LMP") or shutil.which("lmp")
    if lmp is None:
        raise SystemExit('there is no lmp: pip install "lammps[mpi]" ./lammps, or name it in NBCORE_LMP')

    structure = silicon(args.cells)
    n, edge = len(structure), structure.cell[0][0]
    potential = nbcore.load(args.model) if args.model else nbcore.presets.nbody(species=["Si"], cutoff=5.0, channels=64)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        potential.save(folder / "si.nbcore")
        lines = ["Si", "", f"{n} atoms", "1 atom types", "", *(f"0 {edge:.17g} {a}lo {a}hi" for a in "xyz"), ""]
        lines += ["Atoms # atomic", "", *(f"{k} 1 {x:.17g} {y:.17g} {z:.17g}" for k, (x, y, z) in enumerate(
            np.mod(structure.positions, edge), 1))]  # fmt: skip
        (folder / "si.data").write_text("\n".join(lines) + "\n")
        load = f"plugin load {Path(args.plugin).resolve()}\n" if args.plugin else ""
        pair = "pair_style nbcore {}\npair_coeff * * si.nbcore Si\n"
        potentials = Path(lmp).resolve().parents[1].glob("lib/python*/site-packages/lammps/share/lammps/potentials")
        snap = next(potentials, Path()) / "Si_Zuo_JPCA2020.snap"
        run = evaluation(potential, structure)
        calls = {}

        def core():
            start = time.process_time()
            run(3)
            return (time.process_time() - start) / 3

        calls["the bare core"] = core
        for ranks in args.ranks:
            for style in args.styles:
                script = load + BOX + pair.format(STYLES[style]) + DYNAMICS.format(steps=args.steps)
                calls[row(ranks, style)] = lambda s=script, r=ranks: loop_time(lmp, s, r, folder)
        if Path(f"{snap}coeff").exists():
            script = BOX + f"pair_style snap\npair_coeff * * {snap}coeff {snap}param Si\n" + DYNAMICS.format(steps=4)
            calls["SNAP (2J = 8), 1 rank"] = lambda: loop_time(lmp, script, 1, folder)
        times = {name: [] for name in calls}
        for _ in range(args.repetitions):
            for name, call in calls.items():
                times[name].append(1e6 * call() / n)
    print(f"# {nbcore.build_info()}, Si{n}, {args.repetitions} repetitions in turn")
    print("| what | us/atom and step | times the core |\n|---|---|---|")
    first = statistics.median(times["the bare core"])
    for name, all_ in times.items():
        median = statistics.median(all_)
        print(f"| {name} | {median:.1f} ({min(all_):.1f}-{max(all_):.1f}) | {median / first:.3f} |")
    for style in args.styles if 1 in args.ranks else ():
        for ranks in set(args.ranks) - {1}:
            one, several = (statistics.median(times[row(n, style)]) for n in (1, ranks))
            print(f"{ranks} ranks, {style}: {one / several:.2f} times as fast as one")


if __name__ == "__main__":
    main()
