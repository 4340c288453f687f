"""Whatever decides the bits of a training is compared when it is continued; a checkpoint without sense is an error."""

import numpy as np
import pytest

import nbcore
from nbcore import sealed, train
from nbcore.data import Structure
from nbcore.errors import CheckpointError
from nbcore.presets import nbody
from nbcore.train import checkpoint

PROGRAM = dict(species=["H"], cutoff=3.0, channels=2, levels=1, l_harmonics=1, n_radial=3, E0s={"H": -13.0})
SETTINGS = dict(schedule="plateau", valid=0.25, quiet=True, batch_size=2)


def data(n=8, shift=0.0):
    rng = np.random.default_rng(0)
    structures = []
    for k in range(n):
        positions = np.array([[0, 0, 0], [0.8, 0, 0], [0, 0.9, 0.1]]) + rng.normal(0, 0.05, (3, 3))
        forces = rng.normal(0, 1, (3, 3))
        structures.append(Structure(positions, [1] * 3, energy=-39 + shift + 0.1 * k, forces=forces))
    return structures


def fit(folder, potential=None, structures=None, **settings):
    potential = potential or nbody(**PROGRAM, seed=3)
    return train.fit(potential, structures or data(), folder=folder, **{**SETTINGS, "max_epochs": 2, **settings})


def test_a_run_goes_on_with_the_same_potential(tmp_path):
    whole = fit(tmp_path / "whole", max_epochs=4)
    fit(tmp_path / "parts", max_epochs=2)
    parts = fit(tmp_path / "parts", max_epochs=4)
    assert np.array_equal(whole.potential.parameters, parts.potential.parameters)
    again = fit(tmp_path / "parts", parts.potential, max_epochs=5)  # in the same program, with what was reached
    assert len(again.history) == 5


def weighted(structures):
    """The same, with other weights of one label."""
    for s in structures:
        s.label_weights = {"energy": 0.5}
    return structures


CHANGES = {
    "other parameters|the network has changed": lambda: dict(potential=nbody(**PROGRAM, seed=4)),
    "the network": lambda: dict(potential=nbody(**{**PROGRAM, "channels": 3}, seed=3)),
    "train has changed": lambda: dict(structures=data(shift=1e-9)),
    "train has changed|valid has changed": lambda: dict(structures=weighted(data())),
    "E0s": lambda: dict(potential=nbody(**{**PROGRAM, "E0s": {"H": -13.1}}, seed=3)),
    "batch_size": lambda: dict(batch_size=3),
    "lr": lambda: dict(lr=1e-3),
    "seed": lambda: dict(seed=2),
    'precision = "float32"; .* says "float64"': lambda: dict(precision="float64"),
}


@pytest.mark.parametrize("text", CHANGES)
def test_another_run_is_refused(tmp_path, text):
    fit(tmp_path / "run")
    before = (tmp_path / "run" / "last.ckpt").read_bytes()
    with pytest.raises(CheckpointError, match=f"(?s)({text}).*restart"):
        fit(tmp_path / "run", **{"max_epochs": 4, **CHANGES[text]()})
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == before


def one_bit(potential):
    potential.parameters[0] = np.nextafter(potential.parameters[0], 9)
    return potential


def test_one_bit_of_the_first_parameters(tmp_path):
    """Of a potential that was trained before, whose scales are kept."""
    trained = fit(None).potential
    trained.save(tmp_path / "m.nbcore")
    fit(tmp_path / "run", nbcore.Potential.load(tmp_path / "m.nbcore"))
    with pytest.raises(CheckpointError, match="other parameters"):
        fit(tmp_path / "run", one_bit(nbcore.Potential.load(tmp_path / "m.nbcore")), max_epochs=4)
    fit(tmp_path / "run", nbcore.Potential.load(tmp_path / "m.nbcore"), max_epochs=4)


SENSELESS = {
    "one parameter": lambda a, t: a.update(parameters=a["parameters"][:1]),
    "single precision": lambda a, t: a.update(average=a["average"].astype("f4")),
    "best NaN": lambda a, t: a.update(best=np.nan * a["best"]),
    "no order": lambda a, t: a.pop("order"),
    "order twice": lambda a, t: a.update(order=np.zeros_like(a["order"])),
    "epoch text": lambda a, t: t.update(epoch="2"),
    "position negative": lambda a, t: t.update(position=-1),
    "random nothing": lambda a, t: t.update(random=None),
    "history a number": lambda a, t: t.update(history=7),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_a_sealed_checkpoint_without_sense(tmp_path, name):
    fit(tmp_path / "run")
    path = tmp_path / "run" / "last.ckpt"
    arrays, plain = sealed.read(checkpoint.KIND, path)
    SENSELESS[name](arrays, plain["trainer"])
    path.write_bytes(sealed.encode(checkpoint.KIND, arrays, plain))
    with pytest.raises(CheckpointError, match="(?s)last.ckpt does not fit.*restart"):
        fit(tmp_path / "run", max_epochs=4)
