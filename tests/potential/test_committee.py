"""Committees against means and standard deviations in NumPy, member by member; their files; what is refused."""

import json
import pickle

import numpy as np
import pytest

import nbcore
from nbcore._core import read_model_file, write_model_file
from nbcore.errors import InputError, ModelFileError

WATER = np.array([[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]]), ["O", "H", "H"], 6 * np.eye(3), True


def member(k, **options):
    return nbcore.presets.nbody(["H", "O"], **{"cutoff": 4.0, "channels": 4, "l_harmonics": 2, "seed": k, **options})


def committee(n=3, scaled=True, **options):
    made = nbcore.Committee([member(k, **options) for k in range(n)])
    if scaled:
        scales = {"kind": "committee", "energy": 0.5, "forces": {"H": 2.0, "O": 3.0}}
        made._core.set_scales(json.dumps(scales))
    return made


def test_means_and_spreads():
    made = committee(outputs=["dipole"])
    cluster = *WATER[:2], None, False
    for structure in (WATER, cluster):
        r, single = made.compute(*structure, uncertainty=True), [m.compute(*structure) for m in made.members]
        for name in ("energy", "forces", "virial", "energies"):
            assert np.allclose(getattr(r, name), np.mean([getattr(s, name) for s in single], axis=0), atol=1e-12), name
        spread = np.sqrt(np.var([s.forces for s in single], axis=0, ddof=1).mean(axis=1))
        expected = np.array([3.0, 2.0, 2.0]) * spread
        assert np.allclose(r.uncertainty.forces, expected, rtol=1e-12) and r.uncertainty.grades is None
        assert np.isclose(r.uncertainty.energy, 0.5 * np.linalg.norm(expected), rtol=1e-12)
    assert np.allclose(r.outputs["dipole"], np.mean([s.outputs["dipole"] for s in single], axis=0))
    assert np.allclose(made.compute(*WATER).stress, np.mean([m.compute(*WATER).stress for m in made.members], axis=0))
    assert made.compute(*WATER).uncertainty is None


def test_forces_are_derivatives_of_the_mean_energy():
    made, h = committee(), 1e-5
    step = np.zeros((3, 3))
    step[1, 2] = h
    up, down = (made.compute(WATER[0] + sign * step, *WATER[1:]).energy for sign in (1, -1))
    assert np.isclose(made.compute(*WATER).forces[1, 2], -(up - down) / (2 * h), rtol=1e-6)


def test_second_derivatives_are_those_of_the_mean():
    made = committee()
    assert np.allclose(made.hessian(*WATER), np.mean([m.hessian(*WATER) for m in made.members], axis=0), atol=1e-13)
    v = np.random.default_rng(0).normal(size=(3, 3))
    h, strain = made.hvp(*WATER[:2], v, *WATER[2:], strain=np.diag([0.1, 0, 0])), 1e-4 * np.diag([0.1, 0, 0])
    ends = [made.compute((WATER[0] + s * 1e-4 * v) @ (np.eye(3) + s * strain), WATER[1],
                         WATER[2] @ (np.eye(3) + s * strain), True) for s in (1, -1)]  # fmt: skip
    assert np.allclose(h.product, -(ends[0].forces - ends[1].forces) / 2e-4, atol=1e-5)
    assert np.allclose(h.virial, (ends[0].virial - ends[1].virial) / 2e-4, atol=1e-5)


def test_every_way_to_compute_gives_the_same():
    made = committee()
    expected = made.compute(*WATER, uncertainty=True)
    prepared = made.compute_many([made.prepare(*WATER)], uncertainty=True)[0]
    bounded = made.compute(*WATER, uncertainty=True, max_bytes=1e9)
    copied = pickle.loads(pickle.dumps(made)).compute(*WATER, uncertainty=True)
    for other in (prepared, bounded, copied, made.compute(*WATER, threads=2, uncertainty=True)):
        assert other.energy == expected.energy and np.array_equal(other.forces, expected.forces)
        assert other.uncertainty.energy == expected.uncertainty.energy
    made.precision = "float32"
    single = made.compute(*WATER)
    assert {m.precision for m in made.members} == {"float32"} and np.isclose(single.energy, expected.energy, rtol=1e-5)


def test_committees_in_one_file(tmp_path):
    made = committee()
    made.annotate(about={"author": "me"})
    made.save(tmp_path / "c.nbcore")
    read = nbcore.load(tmp_path / "c.nbcore")
    assert isinstance(read, nbcore.Committee) and len(read) == 3 and read.uncertainty == made.uncertainty
    assert nbcore.Committee.load(tmp_path / "c.nbcore").description == made.description
    assert made.description["members"] == 3 and made.description["about"] == {"author": "me"}
    expected = made.compute(*WATER, uncertainty=True)
    again = read.compute(*WATER, uncertainty=True)
    assert again.energy == expected.energy and np.array_equal(again.uncertainty.forces, expected.uncertainty.forces)
    evaluator = nbcore.evaluator.Evaluator(tmp_path / "c.nbcore", skin=0.5)
    assert evaluator.uncertainty == "committee"
    numbers, forces, spread = np.array([8, 1, 1], np.intc), np.empty((3, 3)), np.empty(3)
    for _ in range(3):  # the kept list, too
        energy, of_energy = evaluator.evaluate_uncertainty(
            WATER[0], numbers, WATER[2], True, forces, forces_uncertainty=spread
        )
        assert energy == expected.energy and of_energy == expected.uncertainty.energy
        assert np.array_equal(forces, expected.forces) and np.array_equal(spread, expected.uncertainty.forces)
    with pytest.raises(InputError, match="grades"):
        evaluator.evaluate_uncertainty(WATER[0], numbers, WATER[2], True, grades=spread)
    made.members[0].save(tmp_path / "one.nbcore")
    assert isinstance(nbcore.load(tmp_path / "one.nbcore"), nbcore.Potential)
    with pytest.raises(InputError, match="no committee"):
        nbcore.Committee.load(tmp_path / "one.nbcore")
    with pytest.raises(ModelFileError, match="Committee.load"):
        nbcore.Potential.load(tmp_path / "c.nbcore")


def test_versions():
    made = committee()
    before = made.version
    assert made.version == before
    made.members[1].parameters[0] += 1
    assert made.version != before
    before = made.version
    made._core.set_scales(json.dumps({"kind": "committee", "energy": 1.0, "forces": {"H": 2.0, "O": 3.0}}))
    assert made.version != before


@pytest.mark.parametrize(("options", "words"), [
    ({"cutoff": 4.5}, "cutoff"), ({"outputs": ["dipole"]}, "outputs"),
    ({"outputs": ["dipole"], "energy": False}, "energies"),
])  # fmt: skip
def test_members_that_differ(options, words):
    with pytest.raises(InputError, match=f"member 1.*{words}"):
        nbcore.Committee([member(0), member(1, **options)])


def test_other_elements_and_too_few():
    with pytest.raises(InputError, match="elements"):
        nbcore.Committee([member(0), nbcore.presets.nbody(["H", "C"], 4.0, channels=4)])
    for members in ([], [member(0)]):
        with pytest.raises(InputError, match="at least two members"):
            nbcore.Committee(members)
    with pytest.raises(InputError, match="never compared with data"):
        committee(scaled=False).compute(*WATER, uncertainty=True)


def rename(old, new):
    return lambda d, t: t.update({k.replace(old, new): t.pop(k) for k in list(t)})


HOSTILE = [
    (lambda d, t: d.update(committee=[]), "member"),
    (lambda d, t: d.update(committee=3), "committee"),
    (lambda d, t: d.update(committee=["x"]), "committee"),
    (lambda d, t: d["committee"].append({}), "member 3"),
    (lambda d, t: d["committee"][2].update(species=["H", "C"]), "member 2"),
    (lambda d, t: d["committee"][1].update(committee=[]), "member 1"),
    (lambda d, t: d["committee"][1].update(uncertainty={"kind": "last_layer"}), "member 1.*go together"),
    (rename("member_2.", "member_7."), "member 2.*missing"),
    (lambda d, t: d["uncertainty"].update(kind="last_layer"), "committee"),
    (lambda d, t: d["uncertainty"].update(energy=-1.0), "positive"),
    (lambda d, t: d["uncertainty"].update(forces={"H": 1.0}), "O"),
    (lambda d, t: d.update(uncertainty=7), "uncertainty"),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_files_that_make_no_sense(tmp_path, number):
    committee().save(tmp_path / "good.nbcore")
    text, arrays = read_model_file(tmp_path / "good.nbcore")
    description = json.loads(text)
    spoil, words = HOSTILE[number]
    spoil(description, arrays)
    write_model_file(tmp_path / "bad.nbcore", json.dumps(description), arrays)
    for read in (nbcore.load, nbcore.evaluator.Evaluator):
        with pytest.raises(ModelFileError, match=words):
            read(tmp_path / "bad.nbcore")
