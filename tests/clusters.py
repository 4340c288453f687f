"""Sums over clusters, every tuple of neighbours written out, coupled with SymPy's coefficients: what ACE stands for."""

import functools
import itertools

import numpy as np
from scipy.special import sph_harm_y
from sympy.physics.quantum.cg import CG


@functools.cache
def coupling(l1, l2, l3):
    C = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    for m1, m2 in itertools.product(range(-l1, l1 + 1), range(-l2, l2 + 1)):
        if abs(m1 + m2) <= l3:
            C[m1 + l1, m2 + l2, m1 + m2 + l3] = float(CG(l1, m1, l2, m2, l3, m1 + m2).doit())
    return C


def real_from_complex(l):  # noqa: E741
    """U with Y_real = U Y_complex."""
    U = np.zeros((2 * l + 1, 2 * l + 1), complex)
    U[l, l] = 1
    for m in range(1, l + 1):
        sign = (-1) ** m
        U[l + m, l + m], U[l + m, l - m] = sign / np.sqrt(2), 1 / np.sqrt(2)
        U[l - m, l - m], U[l - m, l + m] = 1j / np.sqrt(2), -1j * sign / np.sqrt(2)
    return U


@functools.cache
def invariants(ls, equal):
    """Symmetric tensors [m_1] ... [m_nu] that rotations leave alone, orthonormal, in the order of the gate."""
    chains = [([ls[0]], np.eye(2 * ls[0] + 1))]
    for l in ls[1:]:
        chains = [([*Ls, L], np.tensordot(T, coupling(Ls[-1], l, L), 1))
                  for Ls, T in chains for L in range(abs(Ls[-1] - l), Ls[-1] + l + 1)]  # fmt: skip
    found = []
    for _, T in sorted((c for c in chains if c[0][-1] == 0), key=lambda c: c[0]):
        T = T[..., 0]
        for axis, l in enumerate(ls):  # sum T A_complex = sum T conj(U) A_real
            T = np.moveaxis(np.tensordot(T, real_from_complex(l).conj(), (axis, 1)), -1, axis)
        T = T.real if np.abs(T.real).max() > np.abs(T.imag).max() else T.imag
        runs = np.cumsum([not e for e in equal])
        same = [p for p in itertools.permutations(range(len(ls))) if all(runs[k] == runs[j] for k, j in enumerate(p))]
        T = sum(np.transpose(T, p) for p in same) / len(same)
        for _ in range(2):
            T = T - sum(((u * T).sum() * u for u in found), np.zeros(T.shape))
        if (norm := np.linalg.norm(T)) > 1e-7:
            T = T / norm
            first = T.ravel()[np.argmax(np.abs(T.ravel()) > 1e-9)]
            found.append(T * np.sign(first))
    return found


def clusters(vectors, species, n_species, R, l_max, n_max):
    """B of one centre: for each function the sum over all tuples of neighbours. R: radial functions [n][neighbour]."""
    r = np.linalg.norm(vectors, axis=1)
    theta, phi = np.arccos(vectors[:, 2] / r), np.arctan2(vectors[:, 1], vectors[:, 0])
    B = []
    for nu, (top, n) in enumerate(zip(l_max, n_max, strict=True), start=1):
        types = [(l, z, k) for l in range(top + 1) for z in range(n_species) for k in range(n)]
        phis = {}
        for l, z, k in types:
            Y = np.array([sph_harm_y(l, m, theta, phi) for m in range(-l, l + 1)])
            phis[l, z, k] = np.sqrt(4 * np.pi) * (real_from_complex(l) @ Y).real * R[k] * (species == z)
        for chosen in itertools.combinations_with_replacement(types, nu):
            ls = tuple(t[0] for t in chosen)
            if sum(ls) % 2:
                continue
            for T in invariants(ls, tuple(a == b for a, b in zip(chosen, (None, *chosen), strict=False))):
                letters = "abcd"[:nu]
                tuples = ",".join(f"{m}{m.upper()}" for m in letters)  # components and neighbours of each factor
                per_tuple = np.einsum(f"{letters},{tuples}->{letters.upper()}", T, *(phis[t] for t in chosen))
                B.append(per_tuple.sum())
    return np.array(B)
