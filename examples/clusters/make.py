# SPDX-License-Identifier: BSD-3-Clause
"""Make clusters of charged and polar fragments with exact energies and forces.  python make.py [--out-dir DIR]

Fragments, all of H and O: a neutral bent OH2, a cation OH3+, an anion OH-. Inside a fragment harmonic springs between
all its atoms; between fragments the Coulomb energy of their charges and nothing else. The charge of an atom follows
from its surroundings (O of OH2 -0.8 e, of OH3+ -0.5, of OH- -1.3), not from its element. Centres of fragments are 15 to
40 Angstrom apart: no local model sees from one to the other.

  train.xyz   200 clusters of 4 to 6 fragments      test.xyz   100 of the same kind      large.xyz   100 of 8 to 12

Extended XYZ: energy in eV, forces in eV/Angstrom, and a column `fragment`, the number of the fragment of each atom.
"""

import argparse
import os

import numpy as np

COULOMB = 14.399645478  # e^2/(4 pi eps0), eV Angstrom
BOND, SPRING = 0.97, {"OH": 40.0, "HH": 6.0}  # Angstrom, eV/Angstrom^2


def fragment(n_hydrogens):
    """Positions at rest (O first), charges."""
    if n_hydrogens == 1:
        return np.array([[0, 0, 0], [BOND, 0, 0]]), np.array([-1.3, 0.3])
    if n_hydrogens == 2:
        a = np.radians(104.5)
        return BOND * np.array([[0, 0, 0], [1, 0, 0], [np.cos(a), np.sin(a), 0]]), np.array([-0.8, 0.4, 0.4])
    a = 2 * np.pi / 3 * np.arange(3)
    ring = BOND * np.column_stack([0.95 * np.cos(a), 0.95 * np.sin(a), np.full(3, np.sqrt(1 - 0.95**2))])
    return np.vstack([np.zeros(3), ring]), np.array([-0.5, 0.5, 0.5, 0.5])


def random_rotation(rng):
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.linalg.det(q)


def centres(rng, n):
    """n points, each 15 to 40 Angstrom from every other; 25 to the far side of a large cluster is not enough room."""
    while True:
        points = np.zeros((0, 3))
        for _ in range(4000):
            candidate = rng.uniform(-20, 20, 3)
            d = np.linalg.norm(points - candidate, axis=1)
            if np.all(d > 15) and np.all(d < 40):
                points = np.vstack([points, candidate])
                if len(points) == n:
                    return points


def cluster(rng, n):
    """(symbols, positions, number of the fragment, energy, forces)."""
    symbols, positions, charges, owner, rest = [], [], [], [], []
    for k, centre in enumerate(centres(rng, n)):
        r, q = fragment(rng.integers(1, 4))
        symbols += ["O"] + ["H"] * (len(r) - 1)
        rest.append(r)
        positions.append(r @ random_rotation(rng).T + centre + 0.04 * rng.standard_normal(r.shape))
        charges.append(q)
        owner += [k] * len(r)
    r, q, owner = np.vstack(positions), np.concatenate(charges), np.array(owner)
    i, j = np.triu_indices(len(r), 1)
    d = r[i] - r[j]
    length = np.linalg.norm(d, axis=1)
    apart = owner[i] != owner[j]
    energy = np.where(apart, COULOMB * q[i] * q[j] / length, 0)
    slope = np.where(apart, -energy / length, 0)
    inside = np.flatnonzero(~apart)
    at_rest = np.vstack(rest)
    l0 = np.linalg.norm(at_rest[i[inside]] - at_rest[j[inside]], axis=1)
    k = np.array(
        [
            SPRING["".join(sorted(symbols[a] + symbols[b], reverse=True))]
            for a, b in zip(i[inside], j[inside], strict=True)
        ]
    )
    energy[inside] = k / 2 * (length[inside] - l0) ** 2
    slope[inside] = k * (length[inside] - l0)
    forces = np.zeros_like(r)
    np.add.at(forces, i, -slope[:, None] * d / length[:, None])
    np.add.at(forces, j, slope[:, None] * d / length[:, None])
    return symbols, r, owner, energy.sum(), forces


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out-dir", default=".", help="folder to write to (default: here)")
    folder = parser.parse_args().out_dir
    os.makedirs(folder, exist_ok=True)
    for seed, (name, count, sizes) in enumerate(
        [("train", 200, (4, 7)), ("test", 100, (4, 7)), ("large", 100, (8, 13))]
    ):
        rng = np.random.default_rng(seed)
        path = os.path.join(folder, f"{name}.xyz")
        with open(path + ".part", "w") as file:
            columns = "species:S:1:pos:R:3:forces:R:3:fragment:I:1"
            for _ in range(count):
                symbols, r, owner, energy, forces = cluster(rng, int(rng.integers(*sizes)))
                file.write(f'{len(r)}\nProperties={columns} energy={energy:.9f} pbc="F F F"\n')
                for s, x, f, k in zip(symbols, r, forces, owner, strict=True):
                    numbers = " ".join(f"{v:13.8f}" for v in [*x, *f])
                    file.write(f"{s} {numbers} {k}\n")
        os.replace(path + ".part", path)
        print(f"{path}: {count} clusters of {sizes[0]} to {sizes[1] - 1} fragments")


if __name__ == "__main__":
    main()
