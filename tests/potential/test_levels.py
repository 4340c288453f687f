"""A network level by level on domains that exchange states of ghosts, against the whole system."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from random_structures import SYMBOLS, TRICLINIC, network, positions

import nbcore
from nbcore import _core
from nbcore.errors import InputError
from nbcore.importing import import_model

CELL = 2.4 * TRICLINIC
ORACLES = Path(__file__).parents[1] / "oracles"


def domains(x, cell, cutoff, owner, n_domains):
    """Per domain: (owned atoms, [(atom, shift) of each ghost]); ghosts are all images within the cutoff."""
    images = [np.array(s) @ cell for s in itertools.product((-1, 0, 1), repeat=3)]
    for d in range(n_domains):
        owned = np.flatnonzero(owner == d)
        ghosts = [
            (j, shift)
            for j, shift in itertools.product(range(len(x)), images)
            if (owner[j] != d or shift.any())
            and len(owned)
            and np.linalg.norm(x[j] + shift - x[owned], axis=1).min() < cutoff
        ]
        yield owned, ghosts


@pytest.mark.parametrize("name", ["nbody", "nbody-1", "nbody-3", "nbody-radial", "kondor-3", "cormorant", "nequip",
                                  "mace_nonlinear"])  # fmt: skip
@pytest.mark.parametrize("n_domains", [2, 3])
def test_domains_with_ghosts_give_the_whole_system(name, n_domains):
    rng = np.random.default_rng(11)
    potential = import_model(ORACLES / f"{name}.model", "first") if name.startswith("mace_") else network(name)
    potential.radial_splines = False
    x, numbers = positions(rng, 75, cell=CELL), rng.choice([1, 6, 8], 75)
    whole = potential.compute(x, numbers, CELL, True)

    fraction = (x @ np.linalg.inv(CELL)[:, 0]) % 1
    owner = np.minimum((fraction * 2).astype(int), 1)  # a third domain has no atoms
    parts = list(domains(x, CELL, potential.cutoff, owner, n_domains))
    runs, where = [], [None] * len(x)
    for owned, ghosts in parts:
        r = np.concatenate([x[owned], *([x[j] + shift] for j, shift in ghosts)])
        z = np.concatenate([numbers[owned], [numbers[j] for j, _ in ghosts]]).astype(int)
        runs.append(_core.DomainLevels(potential._core, r, z.tolist(), len(owned), 2, False))
        for k, atom in enumerate(owned):
            where[atom] = len(runs) - 1, k

    top = runs[0].levels
    for level in range(1, top):
        for run in runs:
            run.forward(level)
        for run, (owned, ghosts) in zip(runs, parts, strict=True):
            for k, (atom, _) in enumerate(ghosts):
                d, place = where[atom]
                run.write_states(level, [len(owned) + k], runs[d].read_states(level, [place]))
    for level in range(top, 0, -1):
        for run in runs:
            run.adjoint(level)
        if level == 1:
            break
        for run, (owned, ghosts) in zip(runs, parts, strict=True):
            for k, (atom, _) in enumerate(ghosts):
                rows = run.take_adjoints(level - 1, [len(owned) + k])
                d, place = where[atom]
                runs[d].add_adjoints(level - 1, [place], rows)

    energies, forces, virial = np.zeros(len(x)), np.zeros((len(x), 3)), np.zeros((3, 3))
    virials = np.zeros((len(x), 3, 3))
    for run, (owned, ghosts) in zip(runs, parts, strict=True):
        e, f, w, w_atoms = run.finish()
        energies[owned] += e
        np.add.at(forces, [*owned, *(atom for atom, _ in ghosts)], f)
        np.add.at(virials, [*owned, *(atom for atom, _ in ghosts)], w_atoms)
        virial += w
    size = np.abs(whole.forces).max()
    assert np.abs(energies - whole.energies).max() < 1e-12 * max(1, np.abs(whole.energies).max())
    assert np.abs(forces - whole.forces).max() < 1e-12 * size
    assert np.abs(virial - whole.virial).max() < 1e-11 * max(size, np.abs(whole.virial).max())
    assert np.abs(virials.sum(0) - whole.virial).max() < 1e-11 * max(size, np.abs(virials).max())


def test_rows_are_what_children_are_read_for():
    potential = nbcore.presets.nbody(species=SYMBOLS, cutoff=3.2, channels=6, l_states=1)
    domain = _core.DomainLevels(potential._core, np.eye(3), [1, 6, 8], 2, 1, True)
    assert domain.row_size(1) == 6 * (1 + 3)  # psi1 alone, without padding
    assert domain.row_size(2) == 0
    domain.forward(1)
    assert domain.read_states(1, [0, 2]).shape == (2, 24)


def test_wrong_domains_are_refused():
    potential = nbcore.presets.nbody(species=SYMBOLS, cutoff=3.2, channels=6, l_states=1)
    x = 1.5 * np.eye(3)
    for owned in (-1, 4):
        with pytest.raises(InputError, match="cannot own"):
            _core.DomainLevels(potential._core, x, [1, 6, 8], owned, 1, True)
    domain = _core.DomainLevels(potential._core, x, [1, 6, 8], 2, 1, True)
    for call in (domain.forward, domain.adjoint, domain.row_size):
        with pytest.raises(InputError, match="levels are 1 to 2"):
            call(3)
    for call, text in (
        (lambda: domain.read_states(1, [0]), "states of level 1 are there when it has gone forward"),
        (lambda: domain.adjoint(2), "forward went 0 of 1"),
        (lambda: domain.finish(), "2 have not"),
        (lambda: domain.forward(2), "the last one was 0, got 2"),
    ):
        with pytest.raises(InputError, match=text):
            call()
    domain.forward(1)
    with pytest.raises(InputError, match="before level 1 does"):
        domain.take_adjoints(1, [0])
    with pytest.raises(InputError, match="no atom 3"):
        domain.read_states(1, [3])
    with pytest.raises(InputError, match="rows: expected 24 numbers, got 23"):
        domain.write_states(1, [0], np.zeros(23))
