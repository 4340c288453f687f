"""SciPy's L-BFGS-B in the place of Adam: loss and exact gradient are one NumPy vector, so any optimizer will do."""

import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

import nbcore
from nbcore import train

folder = Path(__file__).parent.parent / "molecule"
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000

data = train.read(folder / "train.xyz", isolated_atoms=folder / "isolated_atoms.xyz")
learn, valid = nbcore.data.split(data, [0.9, 0.1], seed=1)
potential = nbcore.presets.nbody(species=data.species, cutoff=4.0, channels=8, levels=1, correlation=2, seed=1)
potential.E0s = nbcore.data.reference_energies(data).energies
train.calibrate(potential, learn)  # energies in units of the usual force, sums over neighbours by their usual number

loss = train.Loss(energy_weight=10.0, forces_weight=100.0)
fun = train.objective(potential, learn, loss)  # theta -> (loss, gradient)
validation = train.TrainingSet(potential, valid)
best = np.inf, potential.parameters.copy()


def force_rmse(training_set):
    """RMSE over force components, meV/Angstrom."""
    predicted = training_set.predict().forces
    labels = [s.forces for s in training_set.structures]
    return 1000 * np.sqrt(np.mean((np.concatenate(predicted) - np.concatenate(labels)) ** 2))


def after_each_step(theta):
    """Keeps the parameters that are best on data the optimizer does not see."""
    global best
    after_each_step.count += 1
    potential.parameters[:] = theta
    error = force_rmse(validation)
    if error < best[0]:
        best = error, theta.copy()
    if after_each_step.count % 100 == 0:
        print(f"step {after_each_step.count:4}   valid F {error:6.1f} meV/Å   best {best[0]:6.1f}", flush=True)


after_each_step.count = 0
options = dict(maxiter=steps, maxcor=30)
result = minimize(
    fun, potential.parameters.copy(), jac=True, method="L-BFGS-B", callback=after_each_step, options=options
)
potential.parameters[:] = best[1]
print(f"{result.nfev} evaluations, loss {result.fun:.4g}, best valid F {best[0]:.1f} meV/Å of {len(valid)} structures")
potential.save("lbfgs.nbcore")
