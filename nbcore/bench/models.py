"""Networks of the preset `nbody` as a whole: evaluations and training steps, on one core.

Weights are random; times do not depend on them. Two problems: a crystal of silicon (28 neighbours, neighbour list
included), and a batch of five molecules of fifteen atoms, as in training (neighbour lists made before).
"""

import numpy as np

import nbcore
from nbcore.bench.record import Row
from nbcore.data import Structure
from nbcore.train import Loss, Muon, TrainingSet
from nbcore.train.optimizers import weight_matrices

CUTOFF = 5.0
SIZES = ((32, 0), (64, 0), (64, 1), (128, 0), (128, 1), (128, 2))  # channels, l of the states
BATCH, ATOMS = 5, 15


def rows(machine):
    """A Row for each size."""
    for channels, l_states in SIZES[:1] if machine.quick else SIZES:
        crystal, molecules = silicon(1 if machine.quick else 4), batch()
        options = dict(cutoff=CUTOFF, channels=channels, l_states=l_states)
        on_silicon = evaluation(nbcore.presets.nbody(species=["Si"], **options), crystal)
        potential = nbcore.presets.nbody(species=["H", "C", "O"], **options)
        evaluate, step = training(potential, molecules)
        move = moves(potential)
        n_atoms = BATCH * ATOMS
        times = [machine.time(run)[0] for run in (on_silicon, evaluate, step, move)]
        on_silicon, evaluate, step, move = (seconds[len(seconds) // 2] for seconds in times)
        figures = {
            "parameters": len(potential.parameters),
            "us/atom": 1e6 * on_silicon / len(crystal),
            "molecules, us/atom": 1e6 * evaluate / n_atoms,
            "training step, ms/structure": 1e3 * step / BATCH,
            "step/evaluation": step / evaluate,
            "optimizer/step": move / step,
            "spread": f"{max((s[-1] - s[0]) / s[len(s) // 2] for s in times):.0%}",
        }
        yield Row("models", f"nbody {channels}, l <= {l_states}", figures, step / evaluate, more_is_better=False)


def silicon(n: int) -> Structure:
    """n^3 cubic cells of diamond silicon, 8 atoms each, displaced by 0.05 Angstrom."""
    basis = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]])
    basis = np.concatenate([basis, basis + 1]) / 4
    cells = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    positions = 5.43 * (cells + basis).reshape(-1, 3)
    positions += np.random.default_rng(1).normal(0, 0.05, positions.shape)
    return Structure(positions, np.full(len(positions), 14), 5.43 * n * np.eye(3), np.ones(3, bool))


def batch() -> list[Structure]:
    """Five molecules of H, C and O with random labels, as large and as dense as small organic ones."""
    rng = np.random.default_rng(2)
    grid = 1.5 * np.stack(np.meshgrid(range(3), range(3), range(2), indexing="ij"), -1).reshape(-1, 3)[:ATOMS]
    return [
        Structure(
            grid + rng.normal(0, 0.1, grid.shape), rng.choice([1, 6, 8], ATOMS), np.zeros((3, 3)), np.zeros(3, bool),
            rng.standard_normal(), rng.standard_normal(grid.shape),
        )
        for _ in range(BATCH)
    ]  # fmt: skip


def evaluation(potential, structure, threads: int = 1):
    """times -> that many evaluations of energy and forces, neighbour list included."""
    arguments = structure.positions, structure.numbers, structure.cell, structure.pbc

    def run(times):
        for _ in range(times):
            potential.compute(*arguments, threads=threads)

    return run


def training(potential, structures, threads: int = 1):
    """(evaluation, step) of a batch; a step is the loss gradient on energies and forces, and Muon's move."""
    training_set, loss, optimizer = TrainingSet(potential, structures), Loss(), muon(potential, threads)

    def evaluate(times):
        for _ in range(times):
            training_set.predict(None, threads=threads)

    def step(times):
        for _ in range(times):
            optimizer.step(potential.parameters, training_set.loss_and_gradient(None, loss, threads=threads).gradient)

    return evaluate, step


def muon(potential, threads: int = 1) -> Muon:
    """The optimizer of a step: as in a training, but with a rate that leaves the potential what it is."""
    return Muon(weight_matrices(potential.parameter_slices), lr=1e-9, threads=threads)


def moves(potential):
    """times -> that many moves of the optimizer along one gradient."""
    optimizer, gradient = muon(potential), np.random.default_rng(3).standard_normal(len(potential.parameters))

    def run(times):
        for _ in range(times):
            optimizer.step(potential.parameters, gradient)

    return run
