"""Bad input to potentials and presets: the kind of error, and that its text says what and where."""

import numpy as np
import pytest
from random_structures import network

import nbcore
from nbcore.errors import InputError, ModelFileError, SpeciesError

GOOD = dict(positions=np.array([[0, 0, 0], [1.0, 0, 0.2], [0.1, 1.2, 0]]), species=["O", "H", "H"])


@pytest.mark.parametrize(
    "change, error, text",
    [
        (dict(positions=np.zeros((3, 2))), InputError, r"positions must have shape \(N, 3\), got \(3, 2\)"),
        (dict(positions=np.zeros(9)), InputError, r"positions must have shape"),
        (dict(positions=np.zeros((4, 3))), InputError, r"with N = 3 species, got \(4, 3\)"),
        (dict(positions=np.full((3, 3), "x")), TypeError, "positions must be numbers"),
        (dict(positions=None), TypeError, "positions"),
        (dict(positions=np.zeros((3, 3), dtype=complex)), TypeError, "positions must be numbers"),
        (dict(species=["O", "H"]), InputError, r"N = 2 species, got \(3, 3\)"),
        (dict(species=["O", "H", "Xx"]), SpeciesError, "Xx"),
        (dict(species=["O", "H", "He"]), SpeciesError, r"He \(atom 2\) is not an element of this model \(H C O\)"),
        (dict(species=[8, 1, 2]), SpeciesError, "He"),
        (dict(species=[8.0, 1.0, 1.0]), TypeError, "species must be symbols or atomic numbers"),
        (dict(species=[8, 1, -1]), SpeciesError, r"Z=-1 \(atom 2\)"),
        (dict(cell=np.eye(2), pbc=True), InputError, "cell"),
        (dict(cell="cubic", pbc=True), TypeError, "cell must be numbers"),
        (dict(cell=np.full((3, 3), np.nan), pbc=True), InputError, "nan"),
        (dict(cell=np.diag([5.0, 5.0, 0.0]), pbc=True), InputError, "vector c is zero"),
        (dict(cell=np.eye(3) * 5, pbc=[True, False]), InputError, "pbc must be one or three booleans"),
        (dict(cell=np.eye(3) * 5, pbc="yes"), InputError, "pbc must be one or three booleans"),
    ],
)
def test_bad_input(change, error, text):
    """An error that says what came; the potential is as good as before."""
    potential = network("nbody-1")
    before = potential.compute(**GOOD)
    with pytest.raises(error, match=text):
        potential.compute(**(GOOD | change))
    assert potential.compute(**GOOD).energy == before.energy


def test_unknown_element_is_also_a_key_error():
    with pytest.raises(KeyError):
        network("nbody-1").compute([[0, 0, 0.0]], ["U"])


@pytest.mark.parametrize(
    "options",
    [dict(cutoff=0.0), dict(cutoff=-1.0), dict(cutoff=np.nan), dict(cutoff=np.inf), dict(channels=0), dict(channels=2.),
     dict(l_harmonics=11), dict(l_states=-1), dict(levels=0), dict(correlation=4), dict(n_radial=0), dict(parity="o4"),
     dict(species=[]), dict(species=["Xx"]), dict(levels=1.5), dict(seed=-1), dict(E0s={"He": -1.0})],
)  # fmt: skip
def test_bad_networks(options):
    with pytest.raises(InputError):
        nbcore.presets.nbody(**(dict(species=["H"], cutoff=3.0, channels=4) | options))


def test_not_a_model(tmp_path):
    (tmp_path / "no.nbcore").write_text("hello")
    with pytest.raises(ModelFileError):
        nbcore.Potential.load(tmp_path / "no.nbcore")
    with pytest.raises(FileNotFoundError):
        nbcore.Potential.load(tmp_path / "absent.nbcore")
    with pytest.raises(IsADirectoryError):
        nbcore.Potential.load(tmp_path)


def test_left_handed_cells_lists_and_integers_are_fine():
    potential = network("nbody-1")
    x, species = GOOD["positions"], GOOD["species"]
    r = potential.compute(x, species, 4 * np.eye(3), True)
    left = potential.compute(x, species, 4 * np.eye(3)[[1, 0, 2]], True)
    assert abs(left.energy - r.energy) < 1e-12 and np.abs(left.stress - r.stress).max() < 1e-12
    assert potential.compute(x.tolist(), [8, 1, 1], [4, 4, 4], [1, 1, 1]).energy == r.energy
    assert potential.compute(np.asfortranarray(x), species, 4 * np.eye(3), True).energy == r.energy
    backwards = potential.compute(x[::-1].copy()[::-1], tuple(species), 4 * np.eye(3), np.array([True] * 3))
    assert np.array_equal(backwards.forces, r.forces)
