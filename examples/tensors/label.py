"""Makes the data of this example: dipoles and polarizabilities of small molecules by the dipole interaction model.

Every atom has a charge, which depends on its bonds, and a polarizability; induced dipoles polarize each other
(Applequist, Carl and Fung 1972, damped as by Thole 1981). In a field E

    p_i = alpha_i (E - sum over j of T_ij p_j),    alpha = sum over i, j of (A^-1)_ij,  A = diag(1/alpha_i) + T

and the field of the charges gives the induced part of the dipole. Atomic units: e bohr and bohr^3.
"""

import sys
from pathlib import Path

import numpy as np

BOHR = 0.529177210903
ALPHA = {"O": 5.7, "C": 11.3, "H": 2.8}  # bohr^3
PULL = {"O": 0.33, "C": 0.06, "H": 0.0}  # charge that a bonded atom takes from a hydrogen, at 1 Angstrom
MOLECULES = {  # symbols and positions, Angstrom
    "water": ("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]),
    "methanol": ("COHHHH", [[0, 0, 0], [1.42, 0, 0], [1.74, 0.9, 0], [-0.37, 1.03, 0], [-0.37, -0.5, 0.89],
                            [-0.37, -0.5, -0.89]]),
    "methane": ("CHHHH", 0.629 * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])),
}  # fmt: skip


def tensors(symbols, x):
    """(dipole (3,) e bohr, polarizability (3, 3) bohr^3) of atoms at x, Angstrom."""
    n, r = len(symbols), np.array(x)[None] - np.array(x)[:, None]
    d = np.linalg.norm(r, axis=2) + np.eye(n)
    bonded = np.exp(-(((d - 1.0) / 0.45) ** 4)) * (1 - np.eye(n))
    pull = np.array([PULL[s] for s in symbols])
    charges = -np.sum(bonded * (pull[:, None] - pull[None]) * d, axis=1)
    alpha = np.array([ALPHA[s] for s in symbols])
    r, d = r / BOHR, d / BOHR
    v = np.minimum(d / (1.662 * np.outer(alpha, alpha) ** (1 / 6)), 1.0)  # Thole's damping
    off = 1 - np.eye(n)
    far, near = (4 * v**3 - 3 * v**4) * off / d**3, v**4 * off / d**3
    T = (
        far[:, :, None, None] * np.eye(3)
        - 3 * near[:, :, None, None] * np.einsum("ija,ijb->ijab", r, r) / d[:, :, None, None] ** 2
    )
    A = np.transpose(T, (0, 2, 1, 3)).reshape(3 * n, 3 * n) + np.diag(np.repeat(1 / alpha, 3))
    field = -np.einsum("ij,j,ija->ia", far, charges, r)
    response = np.linalg.inv(A)
    dipole = charges @ (np.array(x) / BOHR) + (response @ field.ravel()).reshape(n, 3).sum(axis=0)
    return dipole, response.reshape(n, 3, n, 3).sum(axis=(0, 2))


def frames(count, seed):
    """Distorted molecules in random orientations, as extended XYZ."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        symbols, x = MOLECULES[list(MOLECULES)[k % 3]]
        x = np.array(x) + 0.06 * rng.standard_normal((len(symbols), 3))
        x = x @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
        dipole, alpha = tensors(symbols, x)
        comment = f'dipole="{" ".join(f"{v:.8f}" for v in dipole)}" '
        comment += f'polarizability="{" ".join(f"{v:.8f}" for v in alpha.ravel())}" pbc="F F F"'
        rows = [f"{s} {a:.8f} {b:.8f} {c:.8f}" for s, (a, b, c) in zip(symbols, x, strict=True)]
        yield "\n".join([str(len(symbols)), f"Properties=species:S:1:pos:R:3 {comment}", *rows]) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    (folder / "train.xyz").write_text("".join(frames(300, 1)))
    (folder / "test.xyz").write_text("".join(frames(60, 2)))
