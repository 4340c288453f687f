"""Does a model conserve energy?  python benchmarks/md_drift.py MODEL STRUCTURE [--time 20] [--seeds 5]

M2: NVE through ASE at 0.5 fs: a straight line through the total energy moves by at most half the rms about it over the
whole time (20 ps), and this rms is at most 0.3 meV/atom. Velocity Verlet conserves not E but

    E~ = E + dt^2 / 12 v.V''v - dt^2 / 24 F.F/m + O(dt^4)

(Hairer, Lubich, Wanner, Acta Numerica 12 (2003) 399), so E follows the slow exchange of energy between stiff and soft
vibrations: over 20 ps an isolated molecule with exactly conservative forces shows slopes of either sign of a few tenths
of the rms. They say nothing of the model. The slope is therefore judged twice: of E~, in every seed of the velocities,
whose drift would be that of the forces; of E, in the mean over the seeds. Both stand in the output for each seed.

M1: over 5 ps the rms, pooled over the seeds because a single small molecule scatters by 15 %, is 3.4 to 4.6 times that
at half the step (velocity Verlet on a smooth potential: 4; forces that jump: 6 at any timestep). It is judged at a half
and a quarter of the timestep of M2, where the order shows; the ratio one step coarser, where bonds to hydrogen add
terms of fourth order, is printed beside it. M4: the total momentum stays zero. Exit code 1 if one fails.
"""

import argparse
import sys
import time

import numpy as np
from ase import units

from nbcore import md
from nbcore.ase import NBCoreCalculator
from nbcore.data.start import read_structure


def shadow(atoms, timestep):
    """E~ - E, in eV: what velocity Verlet adds to the energy that it conserves, to second order in the step."""
    v, F, masses, x = atoms.get_velocities(), atoms.get_forces(), atoms.get_masses()[:, None], atoms.positions.copy()
    step = timestep * units.fs
    h = 1e-4 / np.abs(v).max()
    change = np.zeros_like(F)
    for sign in (1, -1):
        atoms.positions = x + sign * h * v
        change += sign * atoms.get_forces() / (2 * h)  # dF / dt = -V'' v
    atoms.positions = x
    atoms.get_forces()
    return -(step**2) / 12 * (v * change).sum() - step**2 / 24 * (F * F / masses).sum()


def trajectory(start, calculator, timestep, picoseconds, every, every_shadow=0):
    """NVE from positions and momenta: times (ps) and total energies per atom (meV) every so many steps, the same of E~
    (`every_shadow` > 0), the last atoms."""
    atoms = start.copy()
    atoms.calc = calculator
    integrator = md.dynamics(atoms, md.Settings("nve", timestep=timestep), rng=None)
    energies, conserved = [atoms.get_total_energy()], []
    for step in range(1, round(1e3 * picoseconds / timestep) + 1):
        integrator.step()
        if step % every == 0:
            energies.append(atoms.get_total_energy())
        if every_shadow and step % every_shadow == 0:
            conserved.append([step * timestep / 1e3, atoms.get_total_energy() + shadow(atoms, timestep)])
    scale = 1e3 / len(atoms)
    conserved = np.array(conserved).reshape(-1, 2) * [1.0, scale]
    return np.arange(len(energies)) * every * timestep / 1e3, scale * np.array(energies), conserved.T, atoms


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("structure", help="FILE or FILE@FRAME")
    p.add_argument("--time", type=float, default=20.0, help="of M2, in ps")
    p.add_argument("--short", type=float, default=5.0, help="of M1, in ps")
    p.add_argument("--timestep", type=float, default=0.5, help="in fs")
    p.add_argument("--temperature", type=float, default=300.0, help="of the velocities at the start, in K")
    p.add_argument("--seeds", type=int, default=5, help="velocities are drawn with seeds 1, 2, ...")
    p.add_argument("--threads", type=int)
    args = p.parse_args()

    calculator = NBCoreCalculator(args.model, threads=args.threads)
    start, _, _ = read_structure(args.structure)
    length = min(args.short, args.time)
    begin, drifts, slopes, rms, momentum, short = time.perf_counter(), [], [], [], [], []
    for seed in range(1, args.seeds + 1):
        atoms = start.copy()
        md.draw_momenta(atoms, args.temperature, "nve", np.random.default_rng(seed))
        times, energies, conserved, last = trajectory(atoms, calculator, args.timestep, args.time, 4, 40)
        slope, deviation = md.drift(times, energies)
        slope_shadow, deviation_shadow = md.drift(*conserved)
        slopes.append(slope * args.time / deviation)
        drifts.append(abs(slope_shadow) * args.time / deviation)
        rms.append(deviation)
        p_end = last.get_momenta()
        momentum.append(np.abs(p_end.sum(axis=0)).max() / np.abs(p_end).sum())
        fine = [trajectory(atoms, calculator, args.timestep / k, length, 4 * k)[:2] for k in (2, 4)]
        short.append([md.drift(t, e)[1] for t, e in [(times[times <= length], energies[times <= length]), *fine]])
        print(
            f"  seed {seed}: slope x time / rms of E {slopes[-1]:+.3f}, of E~ {drifts[-1]:.4f}; "
            f"rms of E {deviation:.4f}, of E~ {deviation_shadow:.4f} meV/atom",
            flush=True,
        )
    pooled = np.sqrt(np.mean(np.square(short), axis=0))

    print(
        f"{args.model}, {args.structure}: {len(start)} atoms, NVE, {args.time:g} ps at {args.timestep:g} fs, ", end=""
    )
    print(f"{args.seeds} times, velocities of {args.temperature:g} K; {time.perf_counter() - begin:.0f} s")
    print(f"  (rms at dt over rms at dt/2, not judged: {pooled[0] / pooled[1]:.2f})")
    checks = [
        ("M2 largest slope of E~ x time / rms", max(drifts), 0.0, 0.5, ""),
        ("M2 mean slope of E x time / rms", abs(np.mean(slopes)), 0.0, 0.5, ""),
        ("M2 largest rms of the energy", max(rms), 0.0, 0.3, "meV/atom"),
        ("M1 rms at dt/2 over rms at dt/4", pooled[1] / pooled[2], 3.4, 4.6, ""),
        ("M4 total momentum / sum |p|", max(momentum), 0.0, 1e-12, ""),
    ]
    for name, value, low, high, unit in checks:
        limit = f"in [{low:g}, {high:g}]" if low else f"<= {high:g}"
        print(f"  {name:<36} {value:10.3g} {unit:<9} {limit:<14} {'ok' if low <= value <= high else 'FAILED'}")
    return 0 if all(low <= value <= high for _, value, low, high, _ in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
