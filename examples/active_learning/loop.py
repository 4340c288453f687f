# SPDX-License-Identifier: BSD-3-Clause
"""Active learning: dynamics with a potential finds what it does not know, a reference labels it, and it trains again.

    python loop.py [--rounds 6] [--epochs 40] [--pick grade|random] [--output FOLDER]

Copper, 32 atoms in a periodic cell, from a crystal at 300 K to one that melts. The reference is the effective-medium
theory that comes with ASE, a stand-in that costs nothing: put your calculator, or a call of your code, into `label`.

A round: train on what there is; start runs of dynamics at 2000 K, each of which ends where an atom is three times
farther from the training data than any of its atoms, by its extrapolation grade; label these last structures. One in
four goes to the validation data, on which the factors of the uncertainty stand. Where all runs last, all is known.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin

import nbcore
from nbcore.ase import NBCoreCalculator
from nbcore.train import StageTwo, fit

HOT, STEP, EVERY = 2000.0, 3.0, 2  # K, fs, steps between two looks
RUNS, STEPS, FAR = 12, 400, 3.0  # a round; of a run at most; the grade at which it ends
SEED = 1


def label(atoms):
    """Energy and forces of the reference."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def dynamics(calculator, temperature, steps, seed, look):
    """Langevin dynamics from the crystal; look(atoms) every EVERY steps, to its end or until that says True."""
    atoms = bulk("Cu", "fcc", 3.75, cubic=True).repeat(2)
    atoms.calc = calculator
    random = np.random.RandomState(seed)
    spread = np.sqrt(2 * units.kB * temperature * atoms.get_masses())  # half of it becomes potential energy
    atoms.set_momenta(spread[:, None] * random.standard_normal((len(atoms), 3)))
    mover = Langevin(
        atoms, STEP * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=random, fixcm=False
    )
    for step in range(EVERY, steps + 1, EVERY):
        mover.run(EVERY)
        if look(atoms):
            return step
    return steps


def reference_frames(temperature, n, seed):
    """Labelled frames of dynamics with the reference itself: a start and a test; nobody has that in earnest."""
    frames = []

    def look(atoms):
        frames.append(label(atoms))
        return len(frames) == 2 * n

    dynamics(EMT(), temperature, 10**6, seed, look)
    return frames[1::2]


def explore(potential, how, first_seed):
    """(mean steps, structures to label) of runs with the potential, each until an atom is too far from the training.

    how: "grade", the structure at which a run ended; "random", any that it passed.
    """
    lengths, chosen = [], []
    for seed in range(first_seed, first_seed + RUNS):
        seen = []

        def look(atoms, seen=seen):
            seen.append(atoms.copy())
            return atoms.calc.get_property("grades", atoms).max() > FAR

        lengths.append(dynamics(NBCoreCalculator(potential, uncertainty=True), HOT, STEPS, seed, look))
        ended = lengths[-1] < STEPS
        if how == "random":
            chosen.append(seen[np.random.default_rng(seed).integers(len(seen))])
        elif ended:
            chosen.append(seen[-1])
    return np.mean(lengths), chosen


def main(argv=None):
    """The loop; returns the force errors on the test, eV/Angstrom, one a round."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=6)
    p.add_argument("--epochs", type=int, default=40)
    p.add_argument("--pick", choices=["grade", "random"], default="grade")
    p.add_argument("--output", type=Path, default=Path("active"))
    args = p.parse_args(argv)
    args.output.mkdir(exist_ok=True)
    start = reference_frames(300, 12, seed=11)
    train, valid, test = start[:9], start[9:], reference_frames(HOT, 40, seed=12)
    found = []
    print("round   train + valid   error, meV/Å   expected   steps until lost")
    for k in range(args.rounds):
        potential = nbcore.presets.nbody(["Cu"], cutoff=5.0, channels=16, levels=1, l_harmonics=2, seed=SEED)
        how = dict(optimizer="muon", lr=0.04, schedule="cosine", stage_two=StageTwo(start=1.0), batch_size=4)
        fit(potential, train, valid, max_epochs=args.epochs, quiet=True, seed=SEED, **how)
        results = potential.compute_many(test, uncertainty=True)
        errors = np.concatenate([r.forces - t.get_forces() for r, t in zip(results, test, strict=True)])
        expected = np.concatenate([r.uncertainty.forces for r in results])
        found.append(float(np.sqrt(np.mean(errors**2))))
        steps, new = explore(potential, args.pick, 100 * (k + 1))
        rms, sizes = float(np.sqrt(np.mean(expected**2))), f"{len(train)} + {len(valid)}"
        print(f"{k:5}   {sizes:>13}   {1e3 * found[-1]:14.0f}   {1e3 * rms:8.0f}   {steps:17.0f}", flush=True)
        if not new:
            break
        labelled = [label(atoms) for atoms in new]
        valid, train = valid + labelled[::4], train + [s for j, s in enumerate(labelled) if j % 4]
    potential.save(args.output / "copper.nbcore", overwrite=True)
    ase.io.write(args.output / "train.xyz", train)
    print(f"{args.output}/copper.nbcore   the last potential;   {args.output}/train.xyz   what is known now")
    return found


if __name__ == "__main__":
    main()
