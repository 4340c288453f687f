"""A potential that is linear in its parameters, in NumPy, with exact gradients: what a training needs of one.

E = sum over pairs of sum_k theta_k phi_k(r), phi_k(r) = exp(-2 (r - c_k)^2) - exp(-2 (cutoff - c_k)^2).
"""

import json
from types import SimpleNamespace

import numpy as np

from nbcore.data import Structure, Structures
from nbcore.train import Loss
from nbcore.train.partials import cut, sum_of
from nbcore.train.training_set import BatchResult


class PairModel:
    species, cutoff, levels, outputs, has_energy = ["H", "C"], 4.0, 1, {}, True

    def __init__(self, n=6, seed=1):
        self.parameters = 0.1 * np.random.default_rng(seed).normal(size=n)
        self.centres = np.linspace(0.8, 3.2, n)
        self.E0s = {"H": -1.0, "C": -2.0}
        self.parameter_slices = {"near.W": (slice(0, n // 2), (n // 2,)), "far.R": (slice(n // 2, n), (n - n // 2,))}
        gates = [{"name": "near", "gate": "mix"}, {"name": "far", "gate": "pairs", "radial": {}}]
        self.description = {"preset": "pair", "options": {}, "program": {"gates": gates, "readout": []}}

    def annotate(self, **notes):
        self.description.update(notes)

    def features(self, s):
        """(A, B): energies A @ theta, forces B @ theta, of one structure."""
        n, i, j = len(s.numbers), *np.triu_indices(len(s.numbers), 1)
        vector = s.positions[j] - s.positions[i]
        r = np.linalg.norm(vector, axis=1)
        i, j, vector, r = (x[r < self.cutoff] for x in (i, j, vector, r))
        x = r[:, None] - self.centres
        phi = np.exp(-2 * x**2) - np.exp(-2 * (self.cutoff - self.centres) ** 2)
        slope = -4 * x * np.exp(-2 * x**2)
        pull = slope[:, None, :] * (vector / r[:, None])[:, :, None]
        forces = np.zeros((n, 3, len(self.centres)))
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        return phi.sum(axis=0), forces

    def save(self, path):
        content = {"parameters": self.parameters.tolist(), "description": self.description}
        with open(path, "w") as f:
            json.dump(content, f)


class PairTrainingSet:
    def __init__(self, potential, structures):
        self.potential, self.structures = potential, structures
        self.features = [potential.features(s) for s in structures]

    def predict(self, indices=None, threads=None, loss=None, precision="float64"):
        theta = self.potential.parameters
        chosen = range(len(self.structures)) if indices is None else indices
        free = [sum(self.potential.E0s[x] for x in self.structures[i].symbols) for i in chosen]
        energies = [float(self.features[i][0] @ theta) + e for i, e in zip(chosen, free, strict=True)]
        forces = [self.features[i][1] @ theta for i in chosen]
        result = SimpleNamespace(energies=energies, forces=forces, stress=[None] * len(energies))
        structures, losses = [self.structures[i] for i in chosen], np.zeros(len(energies))
        for k, s in enumerate(structures if loss else []):
            one = SimpleNamespace(energies=energies[k : k + 1], forces=forces[k : k + 1], stress=[None])
            losses[k] = loss_of([s], one, loss)
        mean = loss and loss_of(structures, result, loss)
        nothing = [None] * len(energies)
        return BatchResult(mean, None, np.array(energies), forces, nothing, nothing, losses, [{}] * len(energies))

    # what a Trainer asks for: partials of a batch, sums over groups of them, the gradient from the sum of all

    def trees(self, batch):
        atoms = np.array([len(self.structures[k].numbers) for k in batch])
        return [cut(atoms, atoms.astype(float))]

    def widths(self, precision):
        return [len(self.potential.parameters)]

    def sums(self, batch, loss, threads, precision, parts, rows=None):
        (groups,) = parts
        indices = [batch[place] for group in groups for partial in group for place in partial.places]
        found = [sum_of([self.gradient_of(batch[p.places], loss) for p in group]) / len(batch) for group in groups]
        if rows is not None:
            rows[0][:] = found
        return self.predict(indices, loss=loss), [np.array(found)]

    def gradient(self, totals, precision, out=None):
        gradient = np.empty_like(totals[0]) if out is None else out
        gradient[:] = totals[0]
        return gradient

    def gradient_of(self, indices, loss):
        """Of the sum of the losses."""
        result, gradient = self.predict(indices), np.zeros_like(self.potential.parameters)
        for k, i in enumerate(indices):
            s, (a, b) = self.structures[i], self.features[i]
            n = len(s.numbers)
            gradient += 2 * loss.energy_weight * (result.energies[k] - s.energy) / n**2 * a
            gradient += 2 * loss.forces_weight / (3 * n) * np.einsum("ic,icp->p", result.forces[k] - s.forces, b)
        return gradient

    def loss_and_gradient(self, indices, loss, threads=None, precision="float64"):
        result = self.predict(indices, loss=loss)
        return result._replace(gradient=self.gradient_of(indices, loss) / len(indices))


def molecules(n, seed=0, hidden=None):
    """n random clusters of 5 atoms, labelled by another PairModel: the training can reach zero error."""
    rng = np.random.default_rng(seed)
    corners = 1.5 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1.0]])
    model = hidden or PairModel(seed=99)
    structures = []
    for k in range(n):
        s = Structure(corners + 0.15 * rng.normal(size=(5, 3)), np.array([6, 6, 1, 1, 1]), file="made.xyz", frame=k)
        structures.append(s)
    labels = PairTrainingSet(model, structures).predict()
    for s, energy, forces in zip(structures, labels.energies, labels.forces, strict=True):
        s.energy, s.forces = energy, forces
    return Structures(structures)


def loss_of(structures, result, loss):
    """The formula of the loss, written out."""
    total = 0.0
    for s, energy, forces, stress in zip(structures, result.energies, result.forces, result.stress, strict=True):
        n, of_structure = len(s.numbers), 0.0
        if s.energy is not None:
            of_structure += loss.energy_weight * _rho(np.array((energy - s.energy) / n), loss)
        if s.forces is not None:
            of_structure += loss.forces_weight / (3 * n) * _rho(forces - s.forces, loss)
        if s.stress is not None and stress is not None:
            of_structure += loss.stress_weight / 9 * _rho(stress - s.stress, loss)
        total += s.weight * of_structure
    return total / len(structures)


def _rho(x, loss):
    if loss.kind == "l2":
        return float(np.sum(x * x))
    size = np.abs(x)
    if loss.kind == "l1":
        return float(np.sum(size))
    delta = loss.huber_delta
    if loss.kind == "log_cosh":
        return float(np.sum(delta**2 * np.log(np.cosh(size / delta))))
    return float(np.sum(np.where(size <= delta, 0.5 * x * x, delta * (size - 0.5 * delta))))


__all__ = ["Loss", "PairModel", "PairTrainingSet", "loss_of", "molecules"]
