"""kondor, real and complex, against the network of the paper written out in NumPy: complex harmonics, textbook
Clebsch-Gordan coefficients, complex W."""

import itertools

import numpy as np
import pytest
from complex_states import couple, harmonics, relative, to_complex
from programs import edges_of, parameters_of, run_program
from random_structures import molecule

import nbcore
from nbcore import so3

CUTOFF, C, SYMBOLS = 3.4, 2, ["H", "C", "O"]


def structure(seed=1, n=7):
    x, species = molecule(np.random.default_rng(seed), n)
    order = np.argsort([nbcore.species.atomic_numbers([s])[0] for s in species], kind="stable")
    species = [species[k] for k in order]
    return x[order], species, [SYMBOLS.index(s) for s in species]


def potential(**options):
    return nbcore.presets.kondor(species=SYMBOLS, cutoff=CUTOFF, channels=C, seed=4, **options)


class Network:
    """The paper's network: psi^0 one-hot, eqs. (10) and (11), complex W^l, states in the complex basis."""

    def __init__(self, parameters, levels, l_states, parity):
        self.parameters, self.levels, self.l_states, self.parity = parameters, levels, l_states, parity

    def allowed(self, *ls):
        return self.parity == "so3" or sum(ls) % 2 == 0

    def weights(self, gate, l):
        letter = "" if self.parity == "so3" else "eo"[l % 2]
        W = self.parameters[f"{gate}.W{l}{letter}"][0]
        return W.view(complex)[..., 0] / np.sqrt(2 * len(W))

    def sums(self, psi, edges, l_out):
        """[s][l] of sum_j |r|^-s psi_j x r, s = 0..3; psi: [l] -> [node][m][channel]."""
        sums = [{} for _ in range(4)]
        for l1, x in psi.items():
            for l in range(abs(l1 - 1), min(l1 + 1, l_out) + 1):
                if self.allowed(l1, 1, l):
                    A = np.zeros((4, len(x), 2 * l + 1, x.shape[2]), dtype=complex)
                    for i, j, vector in zip(*edges, strict=True):
                        r = np.linalg.norm(vector)
                        weight = r ** (1.0 - np.arange(4)) * (1 - (r / CUTOFF) ** 2) ** 3
                        y = couple(x[j], l1, harmonics(1, vector)[:, None], 1, l)
                        A[:, i] += weight[:, None, None] * y
                    for s in range(4):
                        sums[s].setdefault(l, []).append(A[s])
        return sums

    def states(self, species, edges):
        psi = {0: np.eye(3)[species][:, None, :].astype(complex)}
        all_states = {}
        for level in range(1, self.levels + 1):
            l_out = 0 if level == self.levels else self.l_states
            sums = self.sums(psi, edges, 1 if level == 1 else max(self.l_states, 1))
            inputs = {l: [] for l in range(l_out + 1)}
            for l in inputs:  # eq. (10); channels: species or path, then s, then the paths' channels
                if l in sums[0]:
                    if level == 1:
                        inputs[l].append(
                            np.stack([sums[s][l][0] for s in range(4)], axis=3).reshape(len(species), 3, -1)
                        )
                    else:
                        inputs[l] += [sums[s][l][path] for path in range(len(sums[0][l])) for s in range(4)]
            for s in range(4):  # eq. (11), s by s
                A = {l: np.concatenate(parts, axis=2) for l, parts in sorted(sums[s].items())}
                for p, q in itertools.combinations_with_replacement(A, 2):
                    for L in range(abs(p - q), min(p + q, l_out) + 1):
                        if self.allowed(p, q, L):
                            inputs[L].append(couple(A[p], p, A[q], q, L))
            psi = {
                l: np.concatenate(parts, axis=2) @ self.weights(f"psi{level}", l)
                for l, parts in inputs.items()
                if parts
            }
            all_states[level] = psi
        return all_states

    def energies(self, species, edges):
        E = 0
        for level, psi in self.states(species, edges).items():
            W = self.parameters[f"energy{level}.W0" + ("e" if self.parity == "o3" else "")][0, :, 0]
            E = E + (psi[0][:, 0] @ (W[:C] - 1j * W[C:])).real / np.sqrt(2 * C)
        return E


@pytest.mark.parametrize("parity", ["so3", "o3"])
@pytest.mark.parametrize("levels, l_states", [(1, 2), (2, 0), (2, 1), (3, 2)])
def test_complex_network_is_that_of_the_paper(parity, levels, l_states):
    """States of all levels, and the energies of the C++ potential."""
    pot = potential(levels=levels, l_states=l_states, parity=parity, algebra="complex")
    x, symbols, species = structure()
    edges = edges_of(x, CUTOFF)
    oracle = Network(parameters_of(pot), levels, l_states, parity)
    states = run_program(pot.description["program"], species, edges, oracle.parameters, 3)
    for level, psi in oracle.states(species, edges).items():
        state, parts = states[f"psi{level}"]
        assert [part[0] for part in parts] == list(psi)
        assert relative(to_complex(state, parts, len(x)), list(psi.values())) < 1e-12
    energies, expected = pot.compute(x, symbols).energies, oracle.energies(species, edges)
    assert np.abs(energies - expected).max() < 1e-12 * np.abs(expected).max()


def test_unitary_covariance():
    """States of the complex network turn with the complex Wigner matrices."""
    pot = potential(levels=2, l_states=2, algebra="complex")
    x, _, species = structure()
    program, parameters = pot.description["program"], parameters_of(pot)

    def psi(positions):
        states = run_program(program, species, edges_of(positions, CUTOFF), parameters, 3)
        return to_complex(*states["psi1"], len(x)), [part[0] for part in states["psi1"][1]]

    before, ls = psi(x)
    half_turn = np.diag([-1.0, 1.0, -1.0])
    for R in [half_turn, *so3.random_rotations(3, 2)]:
        D = [so3.complex_wigner_D(l, R) for l in ls]
        assert all(np.abs(d @ d.conj().T - np.eye(len(d))).max() < 1e-14 for d in D)
        assert relative(psi(x @ R.T)[0], [d @ a for d, a in zip(D, before, strict=True)]) < 1e-12


def test_real_weights_stay_real_with_o3():
    """Real W in the basis of real harmonics are complex W without imaginary part, where no coupling is odd."""
    real, pot = potential(parity="o3"), potential(parity="o3", algebra="complex")
    for name, W in parameters_of(real).items():
        s, shape = pot.parameter_slices[name]
        target = pot.parameters[s].reshape(shape)
        target[:] = 0
        if name.startswith("psi"):
            target[..., 0] = W * np.sqrt(2)
        else:
            target[:, :C] = W * np.sqrt(2)
    x, symbols, _ = structure()
    a, b = real.compute(x, symbols), pot.compute(x, symbols)
    assert abs(a.energy - b.energy) < 1e-13 * np.abs(a.energies).sum()
    assert np.abs(a.forces - b.forces).max() < 1e-12 * np.abs(a.forces).max()


def test_parameter_counts_follow_from_the_rule():
    """Every W^l of kondor has as many rows as Clebsch-Gordan products make fragments of l."""
    l_states, channels, n_species = 2, 3, 3
    pot = nbcore.presets.kondor(species=SYMBOLS, cutoff=CUTOFF, channels=channels, levels=3, l_states=l_states)
    vector, psi = so3.Irreps.from_type((0, 1)), so3.Irreps.from_type((n_species,))
    for level in (1, 2, 3):
        l_out = l_states if level < 3 else 0
        A = psi.product(vector, max(l_states, 1)).type  # fragments of one of the four sums
        assert len(A) == (2 if level == 1 else l_states + 1)
        rows = [4 * n for n in A[: l_out + 1]] + [0] * (l_out + 1 - len(A))
        for l1, l2 in itertools.combinations_with_replacement(range(len(A)), 2):
            for l in range(abs(l1 - l2), min(l1 + l2, l_out) + 1):
                rows[l] += 4 * A[l1] * A[l2]
        got = {name.split(".")[1]: shape for name, (_, shape) in pot.parameter_slices.items() if f"psi{level}." in name}
        assert got == {f"W{l}": (1, rows[l], channels) for l in range(l_out + 1)}
        psi = so3.Irreps.from_type((channels,) * (l_out + 1))


def test_shapes_of_section_4():
    """Eq. (10) with three sums on (1, ..., 1)_L: W_0 has 3 rows, W_L 6, W_(L+1) 3, all others 9."""
    from nbcore.gates import GateRun

    for L in range(2, 6):
        radial = {"basis": "inverse_power", "n": 3, "cutoff": CUTOFF}
        spec = dict(gate="zeroth_order", l_min=1, l_max=1, l_out=L + 1, radial=radial, radial_mode="all")
        sums = GateRun(spec, [[(l, 0, 1) for l in range(L + 1)]], parity="so3")
        mix = GateRun({"gate": "mix", "channels": 1}, [sums.output_parts], parity="so3")
        assert [shape[1] for shape in mix.parameters.values()] == [3] + [9] * (L - 1) + [6, 3]


def test_unknown_algebra_is_refused():
    with pytest.raises(ValueError, match="algebra must be one of real, complex, got 'quaternion'"):
        potential(algebra="quaternion")
