"""Evaluation in parts of bounded memory against the whole (max_bytes)."""

import re
import subprocess
import sys

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator

import nbcore
from nbcore.ase import NBCoreCalculator
from nbcore.cli import main
from nbcore.errors import InputError, NumericsError
from nbcore.evaluator import Evaluator


def crystal(repeat=(7, 4, 5), seed=0, species=("C", "O", "H")):
    """A rattled diamond lattice of several elements in a sheared cell, atoms anywhere, not only in the cell."""
    atoms = bulk("C", "diamond", a=4.6, cubic=True) * repeat
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, 0.02], [0.0, 1.1, -0.07], [0.03, 0.0, 0.95]], scale_atoms=True)
    atoms.symbols = np.random.default_rng(seed).choice(species, len(atoms))
    atoms.rattle(0.1, seed=seed)
    atoms.positions += np.random.default_rng(seed).integers(-1, 2, (len(atoms), 3)) @ atoms.cell.array
    atoms.pbc = True
    return atoms


def structure(atoms):
    return atoms.positions, atoms.numbers, atoms.cell.array, atoms.pbc


def least(potential, system, **options):
    """The bound below which the smallest parts do not fit, as the error says it."""
    with pytest.raises(InputError, match="need at least .* MB, in parts of some 64 atoms; 0.1 MB were given") as error:
        potential.compute(*system, max_bytes=1e5, **options)
    return 1e6 * float(re.search("least ([0-9.]+) MB", str(error.value))[1])


def assert_close(parts, whole, tolerance=1e-12):
    for name in ("energy", "forces", "virial", "energies"):
        a, b = getattr(parts, name), getattr(whole, name)
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max(), name
    for name, b in whole.outputs.items():
        assert np.abs(parts.outputs[name] - b).max() <= tolerance * np.abs(b).max(), name


def network(levels=2, **options):
    options = {"channels": 4, "l_harmonics": 2, "correlation": 2, "n_radial": 4} | options
    states = {"l_states": 1 if levels > 1 else 0}
    E0s = {"H": -1.0, "C": -10.0, "O": -20.0}
    return nbcore.presets.nbody(["H", "C", "O"], cutoff=3.5, levels=levels, E0s=E0s, seed=3, **states, **options)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("pbc", [True, False, (True, False, True)])
def test_agreement(levels, pbc):
    """From barely not the whole to the smallest parts; atoms far outside of the cell; one and two threads."""
    potential, atoms = network(levels), crystal()
    atoms.pbc = pbc
    if not np.all(pbc):
        atoms.wrap(pbc=True)
    system = structure(atoms)
    whole, low = potential.compute(*system), least(potential, system)
    changed = 0
    for max_bytes in low * np.geomspace(1.0, 2.0, 4):
        parts = potential.compute(*system, max_bytes=max_bytes, threads=1)
        assert_close(parts, whole)
        changed += not np.array_equal(parts.forces, whole.forces)  # or it was no test of parts
    assert changed >= 2
    parts, again = (potential.compute(*system, max_bytes=1.3 * low, threads=threads) for threads in (1, 2))
    for name in ("energy", "forces", "virial", "energies"):
        assert np.array_equal(getattr(parts, name), getattr(again, name))
    enough = potential.compute(*system, max_bytes=1e9)
    assert np.array_equal(enough.forces, whole.forces) and enough.energy == whole.energy


@pytest.mark.parametrize("repeat", [(60, 1, 1), (12, 7, 1)])
def test_thin_cells(repeat):
    """Thinner than two cutoffs, atoms see images of themselves and of one another."""
    potential, atoms = network(), crystal(repeat)
    system = structure(atoms)
    parts = potential.compute(*system, max_bytes=least(potential, system))
    whole = potential.compute(*system)
    assert_close(parts, whole)
    assert not np.array_equal(parts.forces, whole.forces)


def test_uneven_density():
    """A dense cluster in a dilute gas: parts that turn out too large are cut again."""
    rng = np.random.default_rng(4)
    gas = 4.0 * np.stack(np.meshgrid(*[np.arange(14)] * 3), -1).reshape(-1, 3) + rng.uniform(-0.8, 0.8, (14**3, 3))
    dense = bulk("C", "diamond", a=3.6, cubic=True) * (4, 4, 4)
    far = np.abs(gas - [20, 20, 20] - dense.positions.mean(0)).max(1) > 9
    positions = np.concatenate([gas[far], dense.positions + [20, 20, 20]])
    system = positions, rng.choice([1, 6, 8], len(positions)), 56 * np.eye(3), True
    potential = network()
    whole, tried = potential.compute(*system), 0
    for max_bytes in (3e6, 4e6, 6e6, 9e6):
        try:
            parts = potential.compute(*system, max_bytes=max_bytes)
        except InputError as error:
            assert float(re.search("least ([0-9.]+) MB", str(error))[1]) * 1e6 > max_bytes
            continue
        assert_close(parts, whole)
        tried += not np.array_equal(parts.forces, whole.forces)
    assert tried >= 2


def test_isolated_atoms():
    """Nobody sees anybody: reference energies exactly, no forces."""
    potential = network()
    positions = 9.0 * np.stack(np.meshgrid(*[np.arange(8)] * 3), -1).reshape(-1, 3)
    parts = potential.compute(positions, [6] * 512, max_bytes=least(potential, (positions, [6] * 512)))
    assert np.array_equal(parts.energies, potential.compute(positions, [6] * 512).energies)
    assert not np.any(parts.forces) and not np.any(parts.virial)


def test_float32():
    potential, system = network(), structure(crystal())
    potential.precision = "float32"
    parts, whole = potential.compute(*system, max_bytes=least(potential, system)), potential.compute(*system)
    assert_close(parts, whole, 2e-6)
    assert not np.array_equal(parts.forces, whole.forces)


def test_radial_networks():
    """Splines take their place in parts as in the whole."""
    potential, system = network(radial_layers=(8,)), structure(crystal())
    parts, whole = potential.compute(*system, max_bytes=least(potential, system)), potential.compute(*system)
    assert_close(parts, whole)
    assert not np.array_equal(parts.forces, whole.forces)


@pytest.mark.parametrize("energy", [True, False])
def test_outputs(energy):
    """Tensors of the structure and of its atoms."""
    atoms = crystal((5, 4, 4), species=("H", "O"))
    atoms.wrap()
    atoms.pbc = False
    outputs = {"dipole": {"charges": True}, "shielding": {"rank": 2, "per": "atom"}}
    potential = nbcore.presets.nbody(
        ["H", "O"], 3.5, channels=4, l_harmonics=2, correlation=2, n_radial=4, outputs=outputs, energy=energy
    )
    system = structure(atoms)
    parts, whole = potential.compute(*system, max_bytes=least(potential, system)), potential.compute(*system)
    assert set(parts.outputs) == set(outputs)
    for name, value in whole.outputs.items():
        assert np.abs(parts.outputs[name] - value).max() <= 1e-11 * np.abs(value).max(), name
    if energy:
        assert_close(parts, whole, 1e-11)


def test_leaf_states():
    """States of atoms that are given come along with their atoms."""
    radial = {"basis": "bessel", "n": 3, "cutoff": 3.5}
    program = {
        "gates": [
            {"gate": "leaf", "name": "field", "l": 1},
            {"gate": "mix", "name": "own", "inputs": ["field"], "channels": 3},
            {"gate": "zeroth_order", "name": "A", "inputs": ["own"], "l_max": 2, "l_out": 2, "radial": radial},
            {"gate": "mix", "name": "h", "inputs": ["A", "own"], "channels": 3},
            {"gate": "zeroth_order", "name": "B", "inputs": ["h"], "l_max": 2, "l_out": 1, "radial": radial},
            {"gate": "mix", "name": "D", "inputs": ["B"], "channels": 3},
            {"gate": "self_product", "name": "C", "inputs": ["D"], "correlation": 2, "l_max": 0},
            {"gate": "mix", "name": "e", "inputs": ["C"], "channels": 1},
        ],
        "readout": ["e"],
    }
    potential = nbcore.Potential({"species": ["H", "C", "O"], "program": program}, seed=1)
    system = structure(crystal())
    leaves = {"field": np.random.default_rng(0).normal(size=(len(system[0]), 3))}
    low = least(potential, system, leaves=leaves)
    whole = potential.compute(*system, leaves=leaves)
    parts = potential.compute(*system, leaves=leaves, max_bytes=low)
    assert_close(parts, whole)
    assert not np.array_equal(parts.forces, whole.forces)


# ---- what cannot be ----


def test_refused():
    """Amounts that are none; too little; atoms by their own numbers; nothing broken afterwards."""
    potential, atoms = network(), crystal()
    system = structure(atoms)
    for nonsense in (0, -1, 0.5, np.nan, np.inf):
        with pytest.raises(InputError, match="max_bytes must be a positive number of bytes"):
            potential.compute(*system, max_bytes=nonsense)
    for nonsense in ("4GB", True, [1], np.ones(2)):
        with pytest.raises(TypeError, match="max_bytes must be a number of bytes"):
            potential.compute(*system, max_bytes=nonsense)
    low = least(potential, system)
    close = atoms.copy()
    close.positions[700] = close.positions[77] + [0.03, 0.04, 0]
    with pytest.raises(NumericsError, match="atoms 77 and 700 are 0.05 apart"):
        potential.compute(*structure(close), max_bytes=1.5 * low)
    for bad, text in ((np.nan, "y of atom 400 is nan"), (1e30, "atom 400 lies 1e\\+30")):
        broken = atoms.copy()
        broken.positions[400, 1] = bad
        with pytest.raises(InputError, match=text):
            potential.compute(*structure(broken), max_bytes=1.5 * low)
    assert_close(potential.compute(*system, max_bytes=low), potential.compute(*system))


def test_composition_schemes_are_refused():
    """A network over parts sees the whole structure: it fits, or not."""
    potential = nbcore.presets.tree(["H", "C", "O"], 3.5, channels=4, tree_levels=2)
    atoms = crystal()
    scheme = potential.scheme(atoms.positions, atoms.cell.array, atoms.pbc)
    with pytest.raises(InputError, match="composition scheme, which cannot be cut into parts"):
        potential.compute(*structure(atoms), scheme=scheme, max_bytes=1e6)
    a, b = (potential.compute(*structure(atoms), scheme=scheme, max_bytes=m) for m in (1e9, None))
    assert np.array_equal(a.forces, b.forces)


# ---- where it is offered ----


def test_interfaces(tmp_path, capsys):
    """The evaluator, the calculator and the command line give what Python gives."""
    potential, atoms = network(), crystal()
    atoms.wrap()
    system = structure(atoms)
    low = least(potential, system)
    expected = potential.compute(*system, max_bytes=low)
    path = tmp_path / "model.nbcore"
    potential.save(path)
    forces = np.empty_like(atoms.positions)
    evaluator = Evaluator(path, max_bytes=low)
    for _ in range(3):
        energy = evaluator.evaluate(atoms.positions, atoms.numbers.astype(np.intc), atoms.cell.array, True, forces)
        assert energy == expected.energy and np.array_equal(forces, expected.forces)
    for nonsense in (-5, 0.5):
        with pytest.raises(InputError, match="max_bytes must be"):
            Evaluator(path, max_bytes=nonsense)
    for enough in (1e300, 10**400, np.float32(1e9)):
        Evaluator(path, max_bytes=enough).evaluate(
            atoms.positions, atoms.numbers.astype(np.intc), atoms.cell.array, True, forces
        )
        assert np.array_equal(forces, potential.compute(*system, max_bytes=enough).forces)
    for given in (path, potential):
        atoms.calc = NBCoreCalculator(given, max_bytes=low)
        assert np.array_equal(atoms.get_forces(), expected.forces)
    atoms.calc = None
    ase.io.write(tmp_path / "start.xyz", atoms)
    run = ["md", str(path), str(tmp_path / "start.xyz"), "--time", "2fs", "--output", str(tmp_path / "md"), "--quiet"]
    assert main([*run, "--max-bytes", "1kB"]) == 3
    assert "need at least" in capsys.readouterr().err
    for much, text in (("much", "write it as 4GB"), ("0.5", "a byte or more"), ("0", "a byte or more")):
        assert main([*run, "--max-bytes", much]) == 2
        assert text in capsys.readouterr().err
    assert main(["relax", str(path), str(tmp_path / "start.xyz"), "--max-bytes", "1kB"]) == 3
    assert "need at least" in capsys.readouterr().err
    potential.scale = 1e-3
    potential.save(path)
    assert main([*run, "--max-bytes", f"{low / 1e6:.2f} MB"]) == 0
    run[4] = "4fs"
    assert main([*run, "--max-bytes", "2GB"]) == 4  # other last bits
    assert "max_bytes =" in capsys.readouterr().err
    frame = molecule("CH3CH2OH")
    frame.calc = SinglePointCalculator(frame, energy=1.0, forces=np.zeros((len(frame), 3)))
    ase.io.write(tmp_path / "data.xyz", frame)
    assert main(["evaluate", str(path), str(tmp_path / "data.xyz"), "--max-bytes", "2GB", "--quiet"]) == 0
    assert main(["evaluate", str(path), str(tmp_path / "data.xyz"), "--max-bytes", "1kB", "--quiet"]) == 3


# ---- the bound ----

MEASURE = """
import sys
import numpy as np, nbcore
from ase.build import bulk

potential = nbcore.presets.nbody(species=["Si"], cutoff=4.0, channels=64, l_harmonics=1, correlation=1)

def peak():  # of this process: what the parent had would count in ru_maxrss
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))

piece, large = bulk("Si", cubic=True) * (4, 4, 4), bulk("Si", cubic=True) * (16, 16, 16)
bound = float(sys.argv[1])
for k in range(2):
    potential.compute(piece.positions, piece.numbers, piece.cell.array, True, threads=1)
    before = before if k else peak()
    potential.compute(large.positions, large.numbers, large.cell.array, True, threads=1, max_bytes=bound)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("bound", [250e6, 120e6, 40e6])
@pytest.mark.own_memory
def test_bound_is_kept(bound):
    """32,768 atoms that take 170 MB, twice: as a whole, in large parts, in small ones."""
    out = subprocess.run([sys.executable, "-c", MEASURE, str(bound)], capture_output=True, text=True, check=True)
    assert 0.05 * bound < float(out.stdout) < bound
