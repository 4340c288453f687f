"""Whatever decides the bits of a run of `nbcore md` is compared when it is continued, and said by name."""

import copy
import os
import shutil
import signal
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms, FixCom

from nbcore import files, load, md, sealed
from nbcore.ase import NBCoreCalculator
from nbcore.cli import main
from nbcore.errors import CheckpointError
from nbcore.presets import nbody

SETTINGS = md.Settings("langevin", temperature=50, timestep=1.0, every=2, log_every=1)


@pytest.fixture(scope="module")
def potential():
    potential = nbody(species=["C"], cutoff=3.5, channels=4, l_harmonics=1, n_radial=4, levels=1, radial_layers=[8, 4])
    crystal = bulk("C", "diamond", a=3.6, cubic=True)
    crystal.rattle(0.02, seed=1)
    forces = potential.compute(crystal.positions, crystal.numbers, crystal.cell.array, True).forces
    potential.scale = 0.05 / np.sqrt(np.mean(forces**2))
    return potential


def crystal(potential):
    atoms = bulk("C", "diamond", a=3.6, cubic=True)
    atoms.rattle(0.02, seed=1)
    atoms.calc = NBCoreCalculator(potential)
    return atoms


def changed(name, value):
    def change(potential, atoms):
        setattr(potential, name, value)

    return change


def heavier(potential, atoms):
    masses = atoms.get_masses()
    masses[3] = 13.003
    atoms.set_masses(masses)


def parameter(potential, atoms):
    potential.parameters[3] *= 1 + 1e-15


CHANGES = {
    "masses": (heavier, "other masses"),
    "one bit of a parameter": (parameter, "another potential"),
    "precision": (changed("precision", "float32"), "another potential"),
    "splines": (changed("radial_splines", False), "another potential"),
    "scale": (changed("scale", 0.01), "another potential"),
    "E0s": (changed("E0s", {"C": 1.0}), "another potential"),
    "held atoms": (lambda p, atoms: atoms.set_constraint(FixAtoms([0])), "other constraints"),
    "held centre": (lambda p, atoms: atoms.set_constraint(FixCom()), "other constraints"),
    "positions": (lambda p, atoms: atoms.translate([0, 0, 1e-12]), "another structure"),
    "cell": (lambda p, atoms: atoms.set_cell(atoms.cell * 1.001), "another structure"),
    "periods": (lambda p, atoms: atoms.set_pbc([1, 1, 0]), "another structure"),
    "leaf states": (lambda p, atoms: atoms.new_array("charge", np.ones(len(atoms))), "leaf states"),
    "charges": (lambda p, atoms: atoms.set_initial_charges(np.ones(len(atoms))), "charges"),
    "calculator": (lambda p, atoms: setattr(atoms, "calc", LennardJones()), "another potential"),
    "memory": (lambda p, atoms: setattr(atoms.calc, "max_bytes", 1e9), "another potential"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_run_is_refused_by_name(tmp_path, potential, name):
    md.simulate(crystal(potential), SETTINGS, 3, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    change, text = CHANGES[name]
    other = copy.deepcopy(potential)
    atoms = crystal(other)
    change(other, atoms)
    with pytest.raises(CheckpointError, match=f"made with .*{text}.*\n--restart"):
        md.simulate(atoms, SETTINGS, 6, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert md.simulate(crystal(potential), SETTINGS, 6, tmp_path) == 6


@pytest.mark.parametrize("key, value", [
    ("ensemble", "nve"), ("temperature", 51.0), ("timestep", 0.5), ("friction", 1.0), ("seed", 2), ("every", 3),
    ("log_every", 2), ("precision", "float32"), ("max_bytes", 1e9),
])  # fmt: skip
def test_other_settings_are_refused_by_name(tmp_path, potential, key, value):
    md.simulate(crystal(potential), SETTINGS, 3, tmp_path)
    with pytest.raises(CheckpointError, match=f"{key} = .*; now it is {value}"):
        md.simulate(crystal(potential), replace(SETTINGS, **{key: value}), 6, tmp_path)


def test_parameters_of_a_calculator(tmp_path):
    def atoms(**kwargs):
        atoms = Atoms("Ar2", [[0, 0, 0], [1.2, 0, 0]])
        atoms.calc = LennardJones(**kwargs)
        return atoms

    md.simulate(atoms(sigma=1.1), SETTINGS, 1, tmp_path)
    md.simulate(atoms(sigma=1.1), SETTINGS, 2, tmp_path)
    with pytest.raises(CheckpointError, match="another potential"):
        md.simulate(atoms(sigma=1.11), SETTINGS, 3, tmp_path)


def test_a_model_by_path(tmp_path, potential):
    """The file may move, and neither threads nor skin nor notes in it count; another model does."""
    potential.save(tmp_path / "m.nbcore")

    def atoms(path, **kwargs):
        atoms = crystal(potential)
        atoms.calc = NBCoreCalculator(path, **kwargs)
        return atoms

    run = tmp_path / "run"
    md.simulate(atoms(tmp_path / "m.nbcore"), SETTINGS, 1, run)
    shutil.move(tmp_path / "m.nbcore", tmp_path / "other.nbcore")
    md.simulate(atoms(tmp_path / "other.nbcore", skin=0.0, threads=2), SETTINGS, 2, run)
    loaded = load(tmp_path / "other.nbcore")
    loaded.annotate(certificate={"passed": True, "of": "", "checks": []})  # as `nbcore verify` does
    loaded.save(tmp_path / "other.nbcore")
    assert md.simulate(atoms(tmp_path / "other.nbcore"), SETTINGS, 3, run) == 3
    with pytest.raises(CheckpointError, match="another potential"):
        md.simulate(atoms(tmp_path / "other.nbcore", precision="float32"), SETTINGS, 4, run)
    potential.save(tmp_path / "m.nbcore")
    other = nbody(species=["C"], cutoff=3.5, channels=4, l_harmonics=1, n_radial=4, levels=1)
    other.save(tmp_path / "m.nbcore")
    with pytest.raises(CheckpointError, match="another potential"):
        md.simulate(atoms(tmp_path / "m.nbcore"), SETTINGS, 4, run)


def test_masses_on_the_command_line(tmp_path, potential, monkeypatch, capsys):
    """Deuterium is not hydrogen: the masses of the file belong to the run."""
    monkeypatch.chdir(tmp_path)
    potential.save("m.nbcore")
    atoms = crystal(potential)
    heavy = atoms.copy()
    heavier(None, heavy)
    for name, a in (("light", atoms), ("heavy", heavy)):
        a.calc = None
        a.set_masses(a.get_masses())
        ase.io.write(f"{name}.xyz", a, columns=["symbols", "positions", "masses"])
    arguments = "--nve --timestep 1fs --quiet --output run".split()
    assert main(["md", "m.nbcore", "light.xyz", *arguments, "--time", "2fs"]) == 0
    assert main(["md", "m.nbcore", "heavy.xyz", *arguments, "--time", "4fs"]) == 4
    assert "made with other masses" in " ".join(capsys.readouterr().err.split())


# ---- damage ----


def test_every_flipped_bit_and_every_length_is_an_error(tmp_path, potential):
    md.simulate(crystal(potential), SETTINGS, 2, tmp_path)
    state = tmp_path / md.STATE
    content = state.read_bytes()
    for k in [*range(0, len(content), 5), *range(len(content) - 200, len(content))]:
        broken = bytearray(content)
        broken[k] ^= 1 << (k % 8)
        state.write_bytes(broken)
        with pytest.raises(CheckpointError, match="state.npz.*--restart"):
            md.load_state(tmp_path)
    for length in [*range(0, len(content), 37), len(content) - 1]:
        state.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="state.npz.*--restart"):
            md.load_state(tmp_path)
    for other in (content + b"x", b"nbcore", b"nbcore state of a simulation 2", np.zeros(9).tobytes()):
        state.write_bytes(other)
        with pytest.raises(CheckpointError, match="state.npz.*--restart"):
            md.load_state(tmp_path)
    state.write_bytes(content)
    assert md.load_state(tmp_path)["step"] == 2
    with np.load(state) as arrays:  # still an archive that NumPy reads
        assert "array positions" in arrays.files


SENSELESS = {
    "no step": lambda a, w: w.pop("step"),
    "step a text": lambda a, w: w.update(step="many"),
    "step negative": lambda a, w: w.update(step=-1),
    "sizes one": lambda a, w: w.update(sizes=[0]),
    "sizes negative": lambda a, w: w.update(sizes=[-5, 0]),
    "about a list": lambda a, w: w.update(about=[]),
    "random nothing": lambda a, w: w.update(rng=None),
    "random other": lambda a, w: w["rng"].update(bit_generator="Evil"),
    "positions short": lambda a, w: a.update(positions=a["positions"][:-1]),
    "positions NaN": lambda a, w: a.update(positions=np.nan * a["positions"]),
    "momenta texts": lambda a, w: a.update(momenta=np.full((8, 3), "x")),
    "no momenta": lambda a, w: a.pop("momenta"),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_a_sealed_state_without_sense_is_an_error(tmp_path, potential, name):
    md.simulate(crystal(potential), SETTINGS, 2, tmp_path)
    log = (tmp_path / md.LOG).read_bytes()
    arrays, words = sealed.read(md.KIND, tmp_path / md.STATE)
    SENSELESS[name](arrays, words)
    (tmp_path / md.STATE).write_bytes(sealed.encode(md.KIND, arrays, words))
    with pytest.raises(CheckpointError, match="state.npz.*--restart"):
        md.simulate(crystal(potential), SETTINGS, 4, tmp_path)
    assert (tmp_path / md.LOG).read_bytes() == log


def deadly(function, last):
    """The function, at whose `last` call the program is killed."""
    calls = 0

    def call(*arguments):
        nonlocal calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    return call


def test_killed_before_the_first_frame(tmp_path, potential):
    """From the first instant on the folder is the run's: the same command goes on."""
    for call in range(1, 12):
        folder = tmp_path / str(call)
        child = os.fork()
        if child == 0:
            os.fsync = deadly(os.fsync, call)
            md.simulate(crystal(potential), SETTINGS, 2, folder)
            os._exit(0)
        ended = os.waitpid(child, 0)[1] == 0
        assert md.simulate(crystal(potential), SETTINGS, 2, folder) == 2
        assert len(md.read_log(folder)[0]) == 3 and files.owned(folder, "nbcore md")
        if ended:
            break
    assert call > 4
