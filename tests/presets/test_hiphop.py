"""hiphop where atoms leave: energies and forces end at the cutoff, with the norm that amplifies what is small."""

import numpy as np
import pytest

from nbcore import presets

CUTOFF = 4.0


def pair(potential, r):
    found = potential.compute([[0, 0, 0], [0, 0, 1.0], [0.6, 0, 1.0 + r]], ["O", "H", "O"])
    return found.energy, found.forces[2, 2]


@pytest.mark.parametrize("group_norm", [True, False])
def test_dissociation(group_norm):
    potential = presets.hiphop(species=["H", "O"], cutoff=CUTOFF, channels=4, levels=1, atom_layers=1, n_radial=6,
                               group_norm=group_norm)  # fmt: skip
    end = np.sqrt(CUTOFF**2 - 0.36)  # of the pair H, O
    apart, _ = pair(potential, end + 0.5)
    before = [abs(pair(potential, end * (1 - d))[0] - apart) for d in (0.1, 1e-2, 1e-3, 1e-4)]
    assert before[0] > 1e-6 and before[-1] < 1e-6 * before[0] and before[2] < before[0]
    assert abs(pair(potential, end * (1 - 1e-4))[1]) < 1e-3
    h = 1e-5
    for r in np.linspace(0.8 * end, 1.02 * end, 23):
        slope = (pair(potential, r + h)[0] - pair(potential, r - h)[0]) / (2 * h)
        assert abs(slope + pair(potential, r)[1]) < 1e-6 * max(1.0, abs(slope)), r
