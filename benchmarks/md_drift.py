"""Does a model conserve energy?  python benchmarks/md_drift.py MODEL STRUCTURE [--time 20] [--temperature 300]

M2: NVE through ASE at 0.5 fs: a straight line through the total energy moves by at most half the rms about it over the
whole time (20 ps), and this rms is at most 0.3 meV/atom. M1: over 5 ps, the rms is 3.4 to 4.6 times that at half the
timestep (velocity Verlet on a smooth potential: 4). M4: the total momentum stays zero. Exit code 1 if one fails.
"""

import argparse
import sys
import time

import numpy as np

from nbcore import md
from nbcore.ase import NBCoreCalculator
from nbcore.cli.md import read_structure


def trajectory(start, calculator, timestep, picoseconds, every):
    """NVE from positions and momenta: times (ps), total energies per atom (meV) every so many steps, the last atoms."""
    atoms = start.copy()
    atoms.calc = calculator
    integrator = md.dynamics(atoms, md.Settings("nve", timestep=timestep), rng=None)
    energies = [atoms.get_total_energy()]
    for step in range(1, round(1e3 * picoseconds / timestep) + 1):
        integrator.step()
        if step % every == 0:
            energies.append(atoms.get_total_energy())
    return np.arange(len(energies)) * every * timestep / 1e3, 1e3 * np.array(energies) / len(atoms), atoms


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("structure", help="FILE or FILE@FRAME")
    p.add_argument("--time", type=float, default=20.0, help="of M2, in ps")
    p.add_argument("--timestep", type=float, default=0.5, help="in fs")
    p.add_argument("--temperature", type=float, default=300.0, help="of the velocities at the start, in K")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int)
    args = p.parse_args()

    calculator = NBCoreCalculator(args.model, threads=args.threads)
    atoms, _ = read_structure(args.structure)
    md.draw_momenta(atoms, args.temperature, "nve", np.random.default_rng(args.seed))
    begin = time.perf_counter()
    times, energies, last = trajectory(atoms, calculator, args.timestep, args.time, 4)
    seconds = time.perf_counter() - begin
    slope, rms = md.drift(times, energies)
    length = min(5.0, args.time)
    coarse = md.drift(times[times <= length], energies[times <= length])[1]
    fine = md.drift(*trajectory(atoms, calculator, args.timestep / 2, length, 8)[:2])[1]
    momenta = last.get_momenta()

    print(
        f"{args.model}, {args.structure}: {len(atoms)} atoms, NVE, {args.time:g} ps at {args.timestep:g} fs, ", end=""
    )
    print(f"velocities of {args.temperature:g} K; {seconds:.0f} s")
    checks = [
        ("M2 |slope| x time / rms", abs(slope) * args.time / rms, 0.0, 0.5, ""),
        ("M2 rms of the total energy", rms, 0.0, 0.3, "meV/atom"),
        ("M1 rms at dt / rms at dt/2", coarse / fine, 3.4, 4.6, ""),
        ("M4 total momentum / sum |p|", np.abs(momenta.sum(axis=0)).max() / np.abs(momenta).sum(), 0.0, 1e-12, ""),
    ]
    for name, value, low, high, unit in checks:
        limit = f"in [{low:g}, {high:g}]" if low else f"<= {high:g}"
        print(f"  {name:<28} {value:10.3g} {unit:<9} {limit:<14} {'ok' if low <= value <= high else 'FAILED'}")
    return 0 if all(low <= value <= high for _, value, low, high, _ in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
