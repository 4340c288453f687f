"""Structures with labels, ready for training: neighbour lists made once, loss and exact gradient in C++."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nbcore import _core
from nbcore._threads import threads as number_of_threads
from nbcore.errors import InputError, NumericsError
from nbcore.scheme import core_scheme


@dataclass
class Loss:
    """Mean over structures of weight (w_E rho((E - E*)/N) + w_F/(3N) sum rho(F - F*) + w_S/9 sum rho(S - S*)).

    kind: "l2" (rho = x^2), "l1" (|x|), "huber" (x^2/2 below huber_delta, linear above). Units: eV/atom, eV/Angstrom,
    eV/Angstrom^3 (S: stress). A label that is missing contributes exactly nothing.
    """

    kind: str = "l2"
    huber_delta: float = 0.01
    energy_weight: float = 1.0
    forces_weight: float = 100.0
    stress_weight: float = 1.0

    def __post_init__(self):
        if self.kind not in ("l2", "l1", "huber"):
            raise InputError(f'loss kind must be "l2", "l1" or "huber", got {self.kind!r}')
        for name in ("huber_delta", "energy_weight", "forces_weight", "stress_weight"):
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0:
                raise InputError(f"{name} must be a number of at least 0, got {value!r}")


class Evaluation(NamedTuple):
    """Loss, gradient and predictions of a batch, in its order."""

    loss: float  #: mean over the structures
    gradient: np.ndarray | None  #: (n_parameters,)
    energies: np.ndarray  #: (n,) eV
    forces: list  #: of (N, 3) eV/Angstrom
    stress: list  #: of (3, 3) eV/Angstrom^3 or None
    virials: list  #: of (3, 3) eV
    losses: np.ndarray  #: (n,) per structure


class TrainingSet:
    """Structures and a potential, with everything that depends on positions alone made once.

    potential: nbcore.Potential; its parameters may change between calls, its E0s, cutoff and elements may not.
    structures: sequence of nbcore structures, as `nbcore.train.read` gives them.

    Raises SpeciesError (an element the potential lacks), NumericsError (atoms on top of each other), InputError.
    """

    def __init__(self, potential, structures):
        self.potential = potential
        self.structures = structures
        self._cells = [np.zeros((3, 3)) if s.cell is None else np.asarray(s.cell, dtype=float) for s in structures]
        items = [
            {
                "positions": s.positions,
                "numbers": [int(z) for z in s.numbers],
                "cell": cell,
                "pbc": [bool(b) for b in s.pbc],
                "energy": s.energy,
                "forces": s.forces,
                "stress": s.stress if all(s.pbc) else None,
                "weight": s.weight,
                "scheme": core_scheme(potential, s),
                "leaves": getattr(s, "leaves", {}),
            }
            for s, cell in zip(structures, self._cells, strict=True)
        ]
        self._core = _core.TrainingSet(potential._core, items)

    def __len__(self):
        return len(self._cells)

    @property
    def average_neighbours(self) -> float:
        """Mean number of neighbours of an atom within the cutoff."""
        return self._core.average_neighbours()

    def _evaluate(self, indices, loss, threads, gradient):
        batch = list(range(len(self))) if indices is None else [int(k) for k in indices]
        value, energies, forces, virials, losses = self._core.evaluate(
            batch, loss.kind, loss.huber_delta, loss.energy_weight, loss.forces_weight, loss.stress_weight,
            number_of_threads(threads), gradient,
        )  # fmt: skip
        stress = [
            -w / abs(np.linalg.det(self._cells[k])) if all(self.structures[k].pbc) else None
            for k, w in zip(batch, virials, strict=True)
        ]
        bad = [self.structures[k] for k, x, e in zip(batch, losses, energies, strict=True) if not np.isfinite(x + e)]
        if bad or (gradient is not None and not np.all(np.isfinite(gradient))):
            bad = bad or [self.structures[k] for k in batch]
            names = ", ".join(f"{getattr(s, 'file', '')} frame {getattr(s, 'frame', '?')}" for s in bad[:3])
            raise NumericsError(f"the loss is not finite ({names})")
        return Evaluation(value, gradient, energies, forces, stress, virials, losses)

    def loss_and_gradient(self, indices=None, loss: Loss | None = None, threads: int | None = None) -> Evaluation:
        """Loss and its exact gradient by all parameters, for the structures `indices` (all by default).

        The same bits for any number of threads. Raises NumericsError, naming structures, where something is not finite.
        """
        gradient = np.empty(len(self.potential.parameters))
        return self._evaluate(indices, loss or Loss(), threads, gradient)

    def predict(self, indices=None, threads: int | None = None, loss: Loss | None = None) -> Evaluation:
        """Energies, forces, stresses (and the loss, no gradient) of the structures `indices`, all by default."""
        return self._evaluate(indices, loss or Loss(), threads, None)


def calibrate(potential, structures) -> None:
    """Sets the scales of a new potential from data, so that training starts from numbers of order one.

    The energy scale becomes the RMS of the forces (without forces, the spread of the energies per atom, E0s removed).
    Gate by gate the gain of every mixing is chosen such that part l of its output has an RMS of 1/(l + 1) over a few
    structures: one for scalars, less for fine angular detail. At last the weights of the readouts, in which the energy
    is linear, are fitted to the energies in their strongest directions: binding energies of several eV per atom need
    not be learned in small steps.
    """
    labelled = [s.forces for s in structures if s.forces is not None]
    scale = (
        float(np.sqrt(np.mean(np.concatenate(labelled) ** 2)))
        if labelled
        else float(np.std(_binding(potential, structures)))
    )
    potential.scale = scale if scale > 0 else 1.0

    sample = [structures[k] for k in np.unique(np.linspace(0, len(structures) - 1, 64).astype(int))]
    training_set = TrainingSet(potential, sample)
    factors = {}  # a gate with the weights of another has its gain, too
    for slot, gate in enumerate(potential.description["program"]["gates"]):
        if gate["gate"] == "mix":
            for part, (l, _, _) in enumerate(potential._core.slots()[slot][2]):
                source = (gate.get("weights", gate["name"]), part)
                if source not in factors:
                    rms = training_set._core.slot_rms(list(range(0, len(sample), 4)))[slot][part]
                    factors[source] = 1 / (1 + l) / rms if rms > 0 else 1.0
                potential.set_gain(gate["name"], part, factors[source])
    _fit_readouts(potential, training_set)


def _binding(potential, structures):
    """Energies per atom without E0s."""
    from nbcore.species import symbols

    E0s = potential.E0s
    with_energy = [s for s in structures if s.energy is not None]
    return [(s.energy - sum(E0s[x] for x in symbols(s.numbers))) / len(s.numbers) for s in with_energy] or [1.0]


def _fit_readouts(potential, training_set, tolerance=0.03):
    """Minimum-norm least squares of energies per atom in the readouts' weights; weak directions are left alone."""
    program = potential.description["program"]
    slices = [s for name, (s, _) in potential.parameter_slices.items() if name.split(".")[0] in program["readout"]]
    columns = np.concatenate([np.arange(s.start, s.stop) for s in slices])
    potential.parameters[columns] = 0
    only_energy = Loss(energy_weight=1.0, forces_weight=0.0, stress_weight=0.0)
    rows, targets = [], []
    for k, s in enumerate(training_set.structures):
        if s.energy is None:
            continue
        result = training_set.loss_and_gradient([k], only_energy, threads=1)
        residual = (s.energy - result.energies[0]) / len(s.numbers)
        if residual != 0:  # the gradient of weight x residual^2 holds the features of the readouts
            rows.append(result.gradient[columns] / (-2 * s.weight * residual))
            targets.append(residual)
    if rows:
        u, sigma, vt = np.linalg.svd(np.array(rows), full_matrices=False)
        keep = sigma > tolerance * sigma[0]
        potential.parameters[columns] = vt[keep].T @ ((u[:, keep].T @ np.array(targets)) / sigma[keep])
