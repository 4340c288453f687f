"""Examples of phonons, vibrations and i-PI, against the Hessian of a repeated crystal and ASE's server."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest
from ase import units
from ase.calculators.socketio import SocketIOCalculator

import nbcore
from nbcore.ase import NBCoreCalculator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def silicon(tmp_path_factory):
    """A bound random crystal: pairs of atoms that repel each other, under a hydrostatic stress."""
    pot = nbcore.presets.nbody(["Si", "C"], cutoff=4.0, channels=4, l_harmonics=1, l_states=0, levels=1, correlation=2)
    pot.repulsion = {"Si-Si": 4.0, "C-Si": 4.0, "C-C": 4.0}
    path = tmp_path_factory.mktemp("silicon") / "si.nbcore"
    pot.save(path)
    return path, pot, ase.build.bulk("SiC", "zincblende", a=4.36)


def test_frequencies_are_those_of_the_repeated_crystal(silicon):
    """At the wave vectors that fit into it, all of them together."""
    _, pot, atoms = silicon
    phonons = module(EXAMPLES / "phonons" / "dispersion.py")
    repeats = (2, 3, 2)
    cells, H = phonons.force_constants(pot, atoms, repeats)
    found = [phonons.frequencies(atoms, repeats, cells, H, np.array(k) / repeats) for k in np.ndindex(*repeats)]
    crystal = atoms.repeat(repeats)
    full = pot.hessian(crystal.positions, crystal.numbers, crystal.cell.array, True).reshape(2 * [3 * len(crystal)])
    masses = np.repeat(crystal.get_masses(), 3)
    squares = np.linalg.eigvalsh(full / np.sqrt(np.outer(masses, masses)))
    expected = phonons.THZ * phonons.ENERGY * np.sign(squares) * np.sqrt(np.abs(squares))
    assert np.allclose(np.sort(np.ravel(found)), expected, atol=1e-4)
    assert np.abs(found[0][np.argsort(np.abs(found[0]))[:3]]).max() < 1e-4  # sound, at the centre of the zone
    assert np.isclose(phonons.THZ * phonons.ENERGY, 15.6333, rtol=1e-5)


def test_the_programs_run(silicon, tmp_path):
    path, _, atoms = silicon
    ase.io.write(tmp_path / "cell.xyz", atoms)
    ase.io.write(tmp_path / "molecule.xyz", ase.build.molecule("SiH4")[[0]] + ase.Atoms("C", positions=[[1.9, 0, 0]]))

    def run(*words):
        words = [sys.executable, *map(str, words)]
        return subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    said = run(
        EXAMPLES / "phonons" / "dispersion.py", path, "cell.xyz", "--repeats", 2, "--points", 9, "--output", "a.png"
    )
    assert "THz; a.png" in said and (tmp_path / "a.png").stat().st_size > 5000
    assert "Zero-point energy" in run(EXAMPLES / "phonons" / "vibrations.py", path, "molecule.xyz")


def test_i_pi_driver(silicon, tmp_path):
    """Energy, forces and stress over the socket are those of the calculator."""
    path, _, atoms = silicon
    ase.io.write(tmp_path / "cell.xyz", atoms)
    name = f"nbcore_test_{tmp_path.name}"
    driver = [sys.executable, str(EXAMPLES / "i-pi" / "driver.py"), str(path), str(tmp_path / "cell.xyz")]
    with SocketIOCalculator(unixsocket=name) as server:
        client = subprocess.Popen([*driver, "--unixsocket", name])
        for strain in (0.0, 0.02):
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array * (1 + strain), scale_atoms=True)
            moved.rattle(0.05, seed=1)
            moved.calc = server
            got = moved.get_potential_energy(), moved.get_forces(), moved.get_stress()
            moved.calc = NBCoreCalculator(str(path))
            for a, b in zip(got, (moved.get_potential_energy(), moved.get_forces(), moved.get_stress()), strict=True):
                assert np.allclose(a, b, rtol=1e-8, atol=1e-8)
    assert client.wait(20) == 0


@pytest.mark.skipif(shutil.which("i-pi") is None, reason="needs i-PI (pip install ipi)")
def test_i_pi_itself(silicon, tmp_path):
    """The input of the example's page, of a crystal; i-PI's units differ from ASE's in the eighth digit."""
    path, pot, atoms = silicon
    atoms = atoms * (2, 1, 1)
    atoms.rattle(0.05, seed=2)
    standard, _ = atoms.cell.standard_form()  # i-PI's: the first vector along x, the second in the plane of x and y
    atoms = ase.Atoms(atoms.numbers, cell=standard, scaled_positions=atoms.get_scaled_positions(),
                      pbc=True)  # fmt: skip
    ase.io.write(tmp_path / "molecule.xyz", atoms)
    page = (EXAMPLES / "i-pi" / "README.md").read_text()
    text = page[page.index("<simulation>") : page.index("</simulation>")] + "</simulation>\n"
    name = f"nbcore_{tmp_path.name}"
    for before, after in {
        "time{picosecond}, conserved{electronvolt}": "virial_md",
        "stride='10'": "stride='1'",
        "> 1000 <": "> 3 <",
        "nbeads='8'": "nbeads='1'",
        "pbc='false'": "pbc='true'",
        "<address> nbcore <": f"<address> {name} <",
    }.items():
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "input.xml").write_text(text)
    server = subprocess.Popen(["i-pi", "input.xml"], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONUNBUFFERED": "1"})  # fmt: skip
    try:
        for line in server.stdout:  # until it listens
            if "Created unix socket" in line:
                break
        driver = [sys.executable, str(EXAMPLES / "i-pi" / "driver.py"), str(path), "molecule.xyz", "--unixsocket", name]
        subprocess.run(driver, cwd=tmp_path, check=True, timeout=60)
        server.communicate(timeout=60)
    finally:
        server.kill()
    assert server.returncode == 0
    rows = np.loadtxt(tmp_path / "run.out")
    assert rows[:, 0].tolist() == [0, 1, 2, 3]
    r = pot.compute(atoms.positions, atoms.numbers, atoms.cell.array, True)
    assert np.isclose(rows[0, -1], r.energy, rtol=1e-6)
    xx, yy, zz, xy, xz, yz = rows[0, 1:7] * units.Hartree / units.Bohr**3
    expected = [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]
    assert np.allclose(-r.stress, expected, rtol=0, atol=1e-6 * np.abs(r.stress).max())
    assert rows[3, -1] != rows[0, -1]
