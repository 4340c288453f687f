"""Covariant outputs of networks: they turn with the structure, are sums over atoms, and are kept in the model file."""

import copy
import pickle

import numpy as np
import pytest
from random_structures import crystal, molecule
from scipy.spatial.transform import Rotation

import nbcore
from nbcore.errors import InputError
from nbcore.outputs import Output, outputs_of
from nbcore.presets import kondor, nbody

OUTPUTS = {
    "dipole": {"charges": True}, "polarizability": {}, "hyperpolarizability": {}, "quadrupole": {"rank": 2,
    "traceless": True}, "shift": {"rank": 2, "per": "atom"}, "charge": {"rank": 0, "per": "atom"},
}  # fmt: skip
ROTATIONS = {
    "random": Rotation.random(random_state=3).as_matrix(),
    "half a turn": np.diag([1.0, -1.0, -1.0]),
    "z onto -z": Rotation.from_euler("x", np.pi).as_matrix(),
    "axes": np.eye(3)[[1, 2, 0]],
    "tiny": Rotation.from_rotvec([1e-7, -2e-7, 3e-7]).as_matrix(),
    "inversion": -np.eye(3),
    "mirror": np.diag([1.0, 1.0, -1.0]),
}


def potential(energy=True, outputs=OUTPUTS, **options):
    """Random, with tensors of order one."""
    pot = nbody(["H", "C", "O"], 3.2, channels=5, outputs=outputs, energy=energy, seed=2, **options)
    pot.parameters[:] = 3 * np.random.default_rng(1).normal(size=len(pot.parameters))
    for name, output in pot.outputs.items():
        for part in range(len(output.ls) + output.charges):
            pot.set_gain(name, part, 0.1)
    pot.offsets = {name: {"H": 0.3, "C": -0.5, "O": 1.2} for name in ("dipole", "polarizability", "charge", "shift")
                   if name in pot.outputs}  # fmt: skip
    return pot


def turned(tensor, R, rank):
    for axis in range(np.ndim(tensor) - rank, np.ndim(tensor)):
        tensor = np.moveaxis(np.tensordot(R, tensor, (1, axis)), 0, axis)
    return tensor


def close(a, b, limit=1e-12):
    assert np.abs(a - b).max() <= limit * max(np.abs(b).max(), 1e-3)


@pytest.mark.parametrize("energy", [True, False], ids=["with energy", "alone"])
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_tensors_turn_with_the_molecule(rotation, energy):
    R, rng, pot = ROTATIONS[rotation], np.random.default_rng(5), potential(energy)
    x, species = molecule(rng, 9)
    order = rng.permutation(9)
    one, two = pot.compute(x, species), pot.compute(x[order] @ R.T + [3.0, -50.0, 7.0], [species[k] for k in order])
    for name, output in pot.outputs.items():
        expected = turned(one.outputs[name], R, output.rank)
        close(two.outputs[name], expected[order] if output.per_atom else expected)
        assert one.outputs[name].shape == output.shape(9)
        assert np.abs(one.outputs[name]).max() > 1e-3
    trace = np.trace(one.outputs["quadrupole"])
    assert abs(trace) < 1e-12 * np.abs(one.outputs["quadrupole"]).max()


def test_after_training_too():
    """1e-12 also at parameters that are anything but small."""
    pot, rng = potential(False), np.random.default_rng(2)
    pot.parameters[:] *= 5
    x, species = molecule(rng, 12)
    one, two = pot.compute(x, species), pot.compute(x @ ROTATIONS["random"].T, species)
    for name, output in pot.outputs.items():
        close(two.outputs[name], turned(one.outputs[name], ROTATIONS["random"], output.rank))


def test_sums_over_atoms():
    """A structure of two molecules far apart is their sum; the dipole's charges do not reach across."""
    pot, rng = potential(outputs={k: v for k, v in OUTPUTS.items() if k != "dipole"}), np.random.default_rng(1)
    (x, a), (y, b) = molecule(rng, 6), molecule(rng, 5)
    parts, whole = [pot.compute(x, a), pot.compute(y, b)], pot.compute(np.vstack([x, y + 60.0]), a + b)
    for name, output in pot.outputs.items():
        two = [p.outputs[name] for p in parts]
        close(whole.outputs[name], np.concatenate(two) if output.per_atom else two[0] + two[1])


@pytest.mark.parametrize("energy", [True, False], ids=["with energy", "alone"])
def test_blocks_and_threads(energy):
    """A supercell is cut into blocks; its tensors are those of the cell, times eight, with any number of threads."""
    outputs = {k: v for k, v in OUTPUTS.items() if k != "dipole"}
    pot, rng = potential(energy, outputs), np.random.default_rng(4)
    x, species, cell, pbc = crystal(rng, 12, cell=np.diag([5.0, 5.5, 6.0]))
    shifts = np.array(list(np.ndindex(2, 2, 2))) @ cell
    large = (np.concatenate([x + s for s in shifts]), species * 8, 2 * cell, pbc)
    small = pot.compute(x, species, cell, pbc)
    one, three = pot.compute(*large, threads=1), pot.compute(*large, threads=3)
    for name, output in pot.outputs.items():
        expected = np.concatenate([small.outputs[name]] * 8) if output.per_atom else 8 * small.outputs[name]
        close(one.outputs[name], expected)
        assert np.array_equal(one.outputs[name], three.outputs[name])


def test_charges_by_hand():
    """mu = sum of mu_i + (q_i - mean q) r_i: what another output says of the same charges."""
    pot = potential(outputs={"dipole": {"charges": True}, "charge": {"rank": 0, "per": "atom"},
                             "arrow": {"rank": 1, "per": "atom"}})  # fmt: skip
    s = pot.parameter_slices
    for other, part in (("charge", "W0e"), ("arrow", "W1o")):
        pot.parameters[s[f"{other}.{part}"][0]] = pot.parameters[s[f"dipole.{part}"][0]]
    x, species = molecule(np.random.default_rng(8), 7)
    r = pot.compute(x, species)
    q = r.outputs["charge"] - r.outputs["charge"].mean()
    close(r.outputs["dipole"], r.outputs["arrow"].sum(axis=0) + q @ x)
    periodic = pot.compute(x, species, cell=20 * np.eye(3), pbc=(True, False, False))  # which image of an atom counts?
    assert set(periodic.outputs) == {"charge", "arrow"}


def test_forces_do_not_know_of_outputs():
    """Forces and stress of a network with outputs are the derivatives of its energy."""
    pot = potential()
    x, species = molecule(np.random.default_rng(3), 6)
    forces, d = pot.compute(x, species).forces, np.random.default_rng(4).normal(size=x.shape)
    h = 1e-4
    e = [pot.compute(x + k * h * d, species).energy for k in (-2, -1, 1, 2)]
    numeric = (e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * h)
    assert -np.sum(forces * d) == pytest.approx(numeric, rel=1e-8)


def test_without_an_energy():
    pot = potential(False)
    r = pot.compute([[0, 0, 0], [0, 0, 1.0]], ["C", "O"])
    assert not pot.has_energy and r[:5] == (None,) * 5 and set(r.outputs) == set(OUTPUTS)
    empty = pot.compute(np.zeros((0, 3)), [])
    assert np.array_equal(empty.outputs["polarizability"], np.zeros((3, 3))) and empty.outputs["charge"].shape == (0,)


@pytest.mark.parametrize("energy", [True, False], ids=["with energy", "alone"])
def test_kept_in_the_model_file(tmp_path, energy):
    pot = potential(energy)
    x, species = molecule(np.random.default_rng(6), 8)
    expected = pot.compute(x, species)
    pot.save(tmp_path / "m.nbcore")
    for other in (nbcore.Potential.load(tmp_path / "m.nbcore"), pickle.loads(pickle.dumps(pot))):
        assert other.outputs == pot.outputs and other.offsets == pot.offsets
        for name, tensor in other.compute(x, species).outputs.items():
            assert np.array_equal(tensor, expected.outputs[name])


def test_the_c_interface_says_what_it_cannot(tmp_path):
    from nbcore.ase import NBCoreCalculator

    potential(False).save(tmp_path / "m.nbcore")
    with pytest.raises(nbcore.errors.ModelFileError, match="covariant outputs alone"):
        NBCoreCalculator(tmp_path / "m.nbcore")
    potential(True).save(tmp_path / "m.nbcore")
    NBCoreCalculator(tmp_path / "m.nbcore")


def test_so3_networks_have_outputs():
    pot = nbody(["H", "C"], 3.0, channels=4, parity="so3", outputs=["dipole", "polarizability"])
    assert pot.compute([[0, 0, 0], [0, 0, 1.0]], ["C", "H"]).outputs["dipole"].shape == (3,)


@pytest.mark.parametrize("options", [dict(parity="o3"), dict(algebra="complex"), dict(levels=3, l_states=1)])
def test_kondor_has_outputs(options):
    """The paper's network, with mirror images where parity is tracked."""
    pot = kondor(["H", "C", "O"], 3.2, channels=3, outputs=["dipole", "polarizability"], energy=False, **options)
    x, species = molecule(np.random.default_rng(5), 7)
    R = ROTATIONS["mirror" if options.get("parity") == "o3" else "random"]
    one, two = pot.compute(x, species), pot.compute(x @ R.T, species)
    for name, output in pot.outputs.items():
        close(two.outputs[name], turned(one.outputs[name], R, output.rank))
        assert np.abs(one.outputs[name]).max() > 0


@pytest.mark.parametrize(
    "outputs, message",
    [
        (["moment"], "rank is needed"),
        ({"moment": {"rank": 7}}, "0 to 6"),
        ({"moment": {"rank": 2, "per": "cell"}}, '"structure" or "atom"'),
        ({"moment": {"rank": 2, "charges": True}}, "rank 1"),
        ({"moment": {"rank": 2, "colour": 1}}, "no option colour"),
        ({"energy": {"rank": 0}}, "none of energy"),
    ],
)
def test_refusals(outputs, message):
    with pytest.raises(InputError, match=message):
        outputs_of(outputs)
    with pytest.raises(InputError):
        nbody(["H"], 3.0, channels=4, outputs=outputs)


def test_programs_that_do_not_fit():
    def program(**output):
        description = copy.deepcopy(nbody(["H", "C", "O"], 3.2, channels=4, outputs=["dipole"]).description)
        description["program"]["outputs"] = {"dipole": output}
        return description

    for output, message in [
        (dict(slot="nothing"), "not the name of a gate"),
        (dict(slot="psi2"), "must have one channel"),
        (dict(slot="dipole", per="node"), '"structure" or "atom"'),
        (dict(slot="dipole", charges=True), "charges need one l = 0"),
    ]:
        with pytest.raises(InputError, match=message):
            nbcore.Potential(program(**output))
    with pytest.raises(InputError, match="leaves a network without outputs"):
        nbody(["H"], 3.0, energy=False)
    pot = nbody(["H", "C", "O"], 3.2, channels=4, outputs=["dipole"])
    with pytest.raises(InputError, match="no l = 0 part"):
        pot.offsets = {"dipole": {"H": 1.0, "C": 1.0, "O": 1.0}}


def test_conventions():
    """dipole: (y, z, x); polarizability: trace / sqrt(3) and the traceless part; norms are kept."""
    rng = np.random.default_rng(0)
    mu = rng.normal(size=3)
    np.testing.assert_allclose(Output("dipole", 1).spherical(mu), mu[[1, 2, 0]], atol=1e-15)
    alpha = rng.normal(size=(3, 3))
    alpha += alpha.T
    y = Output("polarizability", 2).spherical(alpha)
    assert y[0] == pytest.approx(np.trace(alpha) / np.sqrt(3)) and np.sum(y**2) == pytest.approx(np.sum(alpha**2))
    assert y[1] == pytest.approx(np.sqrt(2) * alpha[0, 1]) and y[3] == pytest.approx(
        (2 * alpha[2, 2] - alpha[0, 0] - alpha[1, 1]) / np.sqrt(6)
    )
    for rank in range(7):
        for traceless in (False, True):
            output = Output("t", rank, traceless)
            y = rng.normal(size=(2, output.components))
            tensor = output.cartesian(y)
            np.testing.assert_allclose(output.spherical(tensor), y, atol=1e-13)
            assert np.sum(tensor**2) == pytest.approx(np.sum(y**2))
            assert output.independent(tensor).shape == (2, (rank + 1) * (rank + 2) // 2)
