"""Structures in LAMMPS' form and their data files; what LAMMPS computes for them, and what Python does."""

from typing import NamedTuple

import numpy as np

from nbcore.presets import nbody

#: elements of the atom types: not in the order of the model, one of them twice
TYPES = ["O", "H", "C", "H"]
NUMBERS = {"H": 1, "C": 6, "O": 8}
NKTV2P = {"metal": 1.6021765e6, "real": 68568.415}
CUTOFF = 3.2


class System(NamedTuple):
    """Atoms in a box whose vectors are lower triangular."""

    positions: np.ndarray
    types: np.ndarray  #: from 1
    cell: np.ndarray
    boundary: str = "p p p"

    @property
    def numbers(self):
        return np.array([NUMBERS[TYPES[t - 1]] for t in self.types])

    @property
    def pbc(self):
        return [word == "p" for word in self.boundary.split()]


def model(path="m.nbcore", levels=2, seed=3, repulsion=None, **options):
    """A network with random weights, saved and returned; repulsion: radii of cores (ZBL)."""
    given = {"channels": 6, "l_harmonics": 2, "l_states": 1, "n_radial": 4, "correlation": 2} | options
    E0s = {"H": -1.5, "C": -3.0, "O": -2.25}
    potential = nbody(species=["C", "H", "O"], cutoff=CUTOFF, levels=levels, seed=seed, E0s=E0s, **given)
    if repulsion:
        potential.repulsion = repulsion
    potential.annotate(shortest_distances={"H-O": 0.9, "C-H": 1.0, "C-O": 1.1})
    potential.save(path, overwrite=True)
    return potential


def lattice(rng, n, cell, noise=0.25):
    """Atoms on a simple lattice in a cell, shaken."""
    grid = np.stack(np.meshgrid(*[np.arange(k) for k in n], indexing="ij"), -1).reshape(-1, 3)
    return (grid + 0.5) / n @ cell + rng.uniform(-noise, noise, grid.shape)


def systems():
    """The structures by name."""
    rng = np.random.default_rng(7)

    def of(positions, cell, boundary="p p p"):
        return System(positions, rng.integers(1, 5, len(positions)), cell, boundary)

    box = np.diag([11.0, 10.0, 12.0])
    tilted = np.array([[10.0, 0, 0], [3.0, 9.5, 0], [-2.5, 2.0, 9.0]])
    small = np.array([[3.7, 0, 0], [0.4, 3.9, 0], [0.0, -0.5, 4.1]])
    slab = lattice(rng, (6, 6, 3), np.diag([11.0, 10.0, 5.5])) + [0, 0, 9.0]
    return {
        "bulk": of(lattice(rng, (6, 5, 6), box), box),
        "slab": of(slab, np.diag([11.0, 10.0, 24.0]), "p p f"),
        "molecule": of(lattice(rng, (2, 2, 2), 4 * np.eye(3)) + 22.0, 45 * np.eye(3), "f f f"),
        "molecule in a periodic box": of(lattice(rng, (2, 2, 2), 4 * np.eye(3)) + 28.0, 30 * np.eye(3)),
        "triclinic": of(lattice(rng, (5, 5, 5), tilted), tilted),
        "small box": of(lattice(rng, (2, 2, 2), small, 0.15), small),
        "one atom": of(np.array([[1.0, 2.0, 3.0]]), 9 * np.eye(3)),
    }


def write_data(path, system, ids=None):
    """A data file; atoms in any order, ids that leave gaps unless they are given. Returns the ids."""
    rng = np.random.default_rng(len(system.types))
    n, c = len(system.types), system.cell
    if ids is None:
        ids = rng.permutation(np.arange(3, 3 + 7 * n, 7))
    lines = ["of the tests", "", f"{n} atoms", f"{max(4, system.types.max())} atom types", ""]
    lines += [f"0 {c[k, k]:.17g} {a}lo {a}hi" for k, a in enumerate("xyz")]
    if c[1, 0] or c[2, 0] or c[2, 1]:
        lines.append(f"{c[1, 0]:.17g} {c[2, 0]:.17g} {c[2, 1]:.17g} xy xz yz")
    lines += ["", "Atoms # atomic", ""]
    lines += [
        f"{ids[k]} {system.types[k]} " + " ".join(f"{x:.17g}" for x in system.positions[k]) for k in rng.permutation(n)
    ]
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    return ids


MASSES = "mass 1 15.999\nmass 2 1.008\nmass 3 12.011\nmass 4 2.014\n"


def head(system, data, style="nbcore", units="metal", before="", model="m.nbcore"):
    """Input up to the pair style; `before` stands before the box is made."""
    return (
        f"clear\nunits {units}\nboundary {system.boundary}\n{before}\nread_data {data}\n{MASSES}"
        f"neighbor 0.7 bin\npair_style {style}\npair_coeff * * {model} {' '.join(TYPES)}\n"
    )


COMPUTES = """
compute peatom all pe/atom
compute atomstress all stress/atom NULL virial
compute centroid all centroid/stress/atom NULL virial
compute w all pressure NULL virial
compute sums all reduce sum c_peatom c_atomstress[*] c_centroid[*]
"""
#: prints one evaluation; sums over atoms, too
REPORT = """
thermo_style custom step pe c_w[*] c_sums[*]
dump d all custom 1 {dump} id fx fy fz c_peatom c_centroid[*]
dump_modify d sort id format float %.17g
run 0
print "RESULT {name} pe $(pe:%.17g) w $(c_w[1]:%.17g) $(c_w[2]:%.17g) $(c_w[3]:%.17g) $(c_w[4]:%.17g) $(c_w[5]:%.17g) $(c_w[6]:%.17g)"
print "SUMS {name} $(c_sums[1]:%.17g) $(c_sums[2]:%.17g) $(c_sums[3]:%.17g) $(c_sums[4]:%.17g) $(c_sums[5]:%.17g) $(c_sums[6]:%.17g) $(c_sums[7]:%.17g) $(c_sums[8]:%.17g) $(c_sums[9]:%.17g) $(c_sums[10]:%.17g) $(c_sums[11]:%.17g) $(c_sums[12]:%.17g) $(c_sums[13]:%.17g) $(c_sums[14]:%.17g) $(c_sums[15]:%.17g) $(c_sums[16]:%.17g)"
undump d
"""  # noqa: E501
VOIGT = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
FULL = [*VOIGT, (1, 0), (2, 0), (2, 1)]


def report(name, again=False):
    """The lines that print what `read_report` reads; `again`: since the last `clear`."""
    return ("" if again else COMPUTES) + REPORT.format(
        name=name.replace(" ", "_"), dump=f"dump.{name.replace(' ', '_')}"
    )


class Report(NamedTuple):
    """One evaluation by LAMMPS, in its units; arrays by ascending ids."""

    energy: float
    virial: np.ndarray  #: six components, energy
    forces: np.ndarray
    energies: np.ndarray
    virials: np.ndarray  #: (N, 9) per atom
    sums: np.ndarray  #: of the energies, of six and of nine components of the virials over atoms


def read_report(said, name, volume, units="metal"):
    """What `report` printed and dumped."""
    word = name.replace(" ", "_")
    lines = [line.split() for line in said.splitlines()]
    found = next(line for line in lines if line[:2] == ["RESULT", word])
    sums = np.array(next(line for line in lines if line[:2] == ["SUMS", word])[2:], dtype=float)
    rows = np.loadtxt(f"dump.{word}", skiprows=9, ndmin=2)
    unit = volume / NKTV2P[units]
    sums[1:] *= -1 / NKTV2P[units]
    return Report(
        float(found[3]), unit * np.array(found[5:], dtype=float), rows[:, 1:4], rows[:, 4],
        -rows[:, 5:] / NKTV2P[units], sums,
    )  # fmt: skip
