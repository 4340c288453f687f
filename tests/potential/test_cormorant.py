"""The preset cormorant against its equations in plain NumPy, atom by atom and edge by edge."""

import itertools

import numpy as np
import pytest
from brute import envelope, harmonics, natural, radial_functions
from random_structures import molecule

import nbcore
from nbcore.so3 import real_clebsch_gordan

CUTOFF, L = 3.2, 3
RADIAL = {"basis": "bessel", "n": 4, "cutoff": CUTOFF, "envelope": "polynomial", "power": 5}


def coupled(a, b, l3, o3):
    """Channel-wise product of parts [2l+1][channel] or [2l+1], or None where there is none of that l3."""
    l1, l2 = (len(a) - 1) // 2, (len(b) - 1) // 2
    if not abs(l1 - l2) <= l3 <= l1 + l2 or (o3 and not natural(l1, l2, l3)):
        return None
    b = b if b.ndim == 2 else np.repeat(b[:, None], a.shape[1], axis=1)
    return np.einsum("xyz,xc,yc->zc", real_clebsch_gordan(l1, l2, l3), a, b)


def products(F, w, l_max, o3):
    """F + F x F with a weight per part, pair and channel, over the square root of their number."""
    out, at = [], 0
    for l3 in range(l_max + 1):
        terms = [F[l3]]
        for a, b in itertools.combinations_with_replacement(range(L + 1), 2):
            x = coupled(F[a], F[b], l3, o3)
            if x is not None and not (a == b and l3 % 2):  # antisymmetric: no product of a part with itself
                terms.append(x)
        out.append(sum(w[at + k] * x for k, x in enumerate(terms)) / np.sqrt(len(terms)))
        at += len(terms)
    assert at == len(w)
    return out


def silu(x):
    return 1.679 * x / (1 + np.exp(-x))


def site_energies(potential, x, species):
    """Before scale and E0s."""
    W = {name: potential.parameters[s].reshape(shape) for name, (s, shape) in potential.parameter_slices.items()}
    levels, o3 = potential.levels, potential.description["options"]["parity"] == "o3"
    symbols, n = potential.description["species"], len(x)
    bonds = [(i, j, x[j] - x[i]) for i, j in itertools.permutations(range(n), 2)]
    bonds = [bond for bond in bonds if np.linalg.norm(bond[2]) < CUTOFF]
    assert len(bonds) > n

    def radial(r):
        return radial_functions(RADIAL, r) / np.arange(1, RADIAL["n"] + 1)

    def mixed(name, i, joined):
        """joined[l]: arrays [2l+1][channel] side by side; one matrix for all species, or one for each."""
        result = []
        for l, arrays in enumerate(joined):
            w = W[f"{name}.W{l}" + ("eo"[l % 2] if o3 else "")]
            F = np.concatenate(arrays, axis=1)
            result.append(F @ w[i if len(w) > 1 else 0] / np.sqrt(F.shape[1]))
        return result

    kind, energy = [symbols.index(s) for s in species], np.zeros(n)
    F, B = {}, {}
    for level in range(1, levels + 1):
        F[level] = []
        for i in range(n):
            joined = [[] for _ in range(L + 1)]
            around = [(j, r, np.linalg.norm(r)) for k, j, r in bonds if k == i]
            if level == 1:
                for l in range(L + 1):
                    A = np.zeros((2 * l + 1, len(symbols), RADIAL["n"]))
                    for j, r, length in around:
                        A[:, kind[j]] += harmonics(l, r)[:, None] * radial(length)
                    joined[l].append(A.reshape(2 * l + 1, -1))
                F[level].append(mixed("psi1", kind[i], joined))
                continue
            R, V = W[f"sum{level}.R"], W[f"sum{level}.V"]
            G = []  # of every edge, w[l2][channel]
            for j, _, length in around:
                dots = [np.sum(a * b, axis=0) / np.sqrt(len(a)) for s in range(level - 1, 0, -1)
                        for a, b in zip(F[s][i], F[s][j], strict=True)]  # fmt: skip
                dots = envelope(RADIAL, length) * np.concatenate(dots)
                G.append(np.einsum("n,lnc->lc", radial(length), R) / np.sqrt(len(radial(length)))
                         + np.einsum("k,lkc->lc", dots, V) / np.sqrt(len(dots)))  # fmt: skip
            for l3 in range(L + 1):
                joined[l3] += [F[level - 1][i][l3], B[level - 1][i][l3]]
                for l2, l1 in itertools.product(range(L + 1), repeat=2):
                    terms = [coupled(g[l2] * F[level - 1][j][l1], harmonics(l2, r), l3, o3)
                             for (j, r, _), g in zip(around, G, strict=True)]  # fmt: skip
                    if not any(t is None for t in terms):
                        joined[l3].append(sum(terms))
            F[level].append(mixed(f"psi{level}", kind[i], joined))
        l_max = L if level < levels else 0
        B[level] = [products(F[level][i], W[f"product{level}.w"][kind[i]], l_max, o3) for i in range(n)]
        energy += [mixed(f"energy{level}", kind[i], [[B[level][i][0]]])[0].item() for i in range(n)]
    for i in range(n):
        hidden = mixed("hidden", kind[i], [[B[level][i][0] for level in range(1, levels + 1)]])
        energy[i] += mixed("energy", kind[i], [[silu(hidden[0])]])[0].item()
    return energy


@pytest.mark.parametrize("parity, levels", [("o3", 3), ("so3", 2)])
def test_the_equations(parity, levels):
    x, species = molecule(np.random.default_rng(4), 6)
    E0s = {"H": 1.5, "C": -2.0, "O": 0.25}
    potential = nbcore.presets.cormorant(species=["H", "C", "O"], cutoff=CUTOFF, channels=3, levels=levels,
                                         n_radial=RADIAL["n"], parity=parity, E0s=E0s, seed=8)  # fmt: skip
    expected = potential.scale * site_energies(potential, x, species) + [E0s[s] for s in species]
    got = potential.compute(x, species).energies
    assert np.ptp(expected) > 0.1
    assert np.abs(got - expected).max() < 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize(
    "change, text",
    [(dict(cutoff=-1.0), "cutoff"), (dict(levels=0), "levels"), (dict(channels=0), "channels"),
     (dict(l_states=11), "l_states must be"), (dict(l_harmonics=11), "l_harmonics must be"),
     (dict(n_radial=65), "n_radial")],
)  # fmt: skip
def test_refusals(change, text):
    with pytest.raises(ValueError, match=text):
        nbcore.presets.cormorant(**{"species": ["H"], "cutoff": 3.0, **change})


def test_model_file(tmp_path):
    """The same bits from the file, and its options."""
    potential = nbcore.presets.cormorant(species=["H", "C"], cutoff=3.0, channels=4, l_states=2)
    potential.save(tmp_path / "a.nbcore")
    again = nbcore.Potential.load(tmp_path / "a.nbcore")
    assert again.description["options"] == potential.description["options"] and again.levels == 4
    x, species = molecule(np.random.default_rng(1), 5, ["H", "C"])
    assert np.array_equal(again.compute(x, species).forces, potential.compute(x, species).forces)
