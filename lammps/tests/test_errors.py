"""What does not fit stops all ranks with one message that says why: never a hang, never a number."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from systems import MASSES, TYPES, System, head, model, systems, write_data

import nbcore
from nbcore.presets import nbody, tree

SYSTEMS = systems()
START = f"units metal\natom_modify map array\nread_data s.data\n{MASSES}neighbor 0.7 bin\n"
COEFF = f"pair_coeff * * m.nbcore {' '.join(TYPES)}\n"


@pytest.fixture(autouse=True)
def files(here):
    """A model, a structure, and models that do not fit."""
    potential = model()
    write_data("s.data", SYSTEMS["slab"]._replace(boundary="p p p"))
    whole = bytearray(Path("m.nbcore").read_bytes())
    Path("short.nbcore").write_bytes(whole[: len(whole) // 2])
    whole[-100] ^= 1
    Path("flipped.nbcore").write_bytes(whole)
    Path("empty.nbcore").touch()
    Path("text.nbcore").write_text("no model\n" * 100)
    Path("folder.nbcore").mkdir()
    members = [nbody(["H", "C", "O"], 3.2, channels=4, levels=1, seed=seed) for seed in (1, 2)]
    nbcore.Committee(members).save("committee.nbcore")
    nbody(["H", "C", "O"], 3.2, channels=4, outputs=["dipole"], energy=False).save("dipole.nbcore")
    gates = [
        {"gate": "leaf", "name": "charge_of"},
        {"gate": "mix", "name": "own", "inputs": ["charge_of"], "channels": 1},
    ]
    program = {"gates": gates, "readout": ["own"]}
    nbcore.Potential({"species": ["H", "C", "O"], "program": program}, seed=1).save("leaf.nbcore")
    tree(["H", "C", "O"], 3.0, channels=4, l_harmonics=2, tree_levels=2, part_size=2.0).save("tree.nbcore")
    return potential


STYLE = START + "pair_style nbcore\n"
RUN = STYLE + COEFF + "run 0\n"


def of(name, elements="O H C H"):
    """Input in which the model and the elements are these."""
    return f"{STYLE}pair_coeff * * {name}.nbcore {elements}\nrun 0\n"


#: input, and what the message says
CASES = {
    "unknown element": (of("m", "O H Si H"), "atom type 3 is given as Si, which m.nbcore does not know"),
    "no element": (of("m", "O H X H"), "its elements are H C O"),
    "lower case": (of("m", "O h C H"), "atom type 2 is given as h"),
    "mixed order": (of("m", "H O C H"), "atom type 1 is given as H, but its mass 15.999 is that of O"),
    "too few": (of("m", "O H C"), "3 elements were given for 4 atom types"),
    "too many": (of("m", "O H C H H"), "5 elements were given for 4"),
    "some types": (STYLE + "pair_coeff 1 1 m.nbcore O H C H\n", "* *"),
    "all NULL": (of("m", "NULL NULL NULL NULL"), "all atom types are NULL"),
    "NULL alone": (of("m", "O H C NULL"), "ot set"),
    "units": (RUN.replace("metal", "lj"), "give units metal or units real, not lj"),
    "newton": ("newton off\n" + RUN, "give newton on"),
    "exclude": (RUN.replace("run 0", "neigh_modify exclude type 1 2\nrun 0"), "exclude takes away"),
    "include": (
        START + "group some type 1 2\natom_modify first some\nneigh_modify include some\npair_style nbcore\n" + COEFF
        + "run 0\n", "include takes away"),
    "word": (START + "pair_style nbcore ghost\n", "unknown word ghost"),
    "precision": (START + "pair_style nbcore precision half\n", "float64 or float32, not half"),
    "no value": (START + "pair_style nbcore threads\n", "threads wants a value"),
    "threads": (START + "pair_style nbcore threads 0\n", "threads must be at least 1"),
    "absent": (of("absent"), "cannot open the model absent.nbcore: No such file"),
    "folder": (of("folder"), "cannot read the model folder.nbcore: Is a directory"),
    "short": (of("short"), "short.nbcore: "),
    "flipped": (of("flipped"), "flipped.nbcore: "),
    "empty": (of("empty"), "empty.nbcore: "),
    "no model": (of("text"), "text.nbcore: "),
    "no energy": (of("dipole"), "no energy and no forces"),
    "leaf states": (of("leaf"), "leaf states"),
    "scheme": (of("tree"), "composition scheme"),
    "grade": (STYLE + COEFF + "fix g all pair 1 nbcore grade 0\n", "m.nbcore has no extrapolation grades"),
    "grade of a committee": (
        of("committee") + "fix g all pair 1 nbcore grade 0\n", "committee.nbcore is a committee, and only single"),
    "other value": (STYLE + COEFF + "fix g all pair 1 nbcore grades 0\nrun 0\n", "grades"),
    "comm mode": (
        RUN.replace("nbcore\n", "nbcore ghosts\n").replace("bin", "multi\ncomm_modify mode multi"),
        "comm_modify mode single"),
}  # fmt: skip


#: what users get wrong most is tried on more numbers of ranks
EVERYWHERE = ["unknown element", "mixed order", "units", "short", "flipped"]


@pytest.mark.parametrize(
    "case, ranks", [(case, 3) for case in CASES] + [(case, ranks) for case in EVERYWHERE for ranks in (1, 2, 4, 8)]
)
def test_one_message_on_any_number_of_ranks(lammps, case, ranks):
    script, words = CASES[case]
    said = lammps.run(script, ranks, fails=True, timeout=60)
    errors = [line for line in said.splitlines() if line.startswith("ERROR")]
    assert len(errors) == 1, said
    assert words in errors[0], errors


@pytest.mark.parametrize("style", ["", "ghosts", "exchange"])
@pytest.mark.parametrize("ranks", [1, 3, 4])
def test_atoms_on_top_of_each_other_are_named_by_id(lammps, ranks, style):
    """It is one rank that sees them; all stop."""
    system = SYSTEMS["slab"]
    positions = system.positions.copy()
    positions[5] = positions[40] + [0.01, 0, 0]
    bad = System(positions, system.types, system.cell, system.boundary)
    ids = write_data("s.data", bad)
    said = lammps.run(head(bad, "s.data", f"nbcore {style}") + "run 0\n", ranks, fails=True, timeout=60)
    (error,) = [line for line in said.splitlines() if line.startswith("ERROR")]
    assert "are 0.01 Angstrom apart, closer than 0.1" in error
    for k in (5, 40):
        assert f"atom {ids[k]} ({TYPES[system.types[k] - 1]})" in error
    assert np.isfinite(positions).all()


def test_bonded_neighbours_are_neighbours(lammps):
    """special_bonds would take them out of the lists."""
    lines = ["bonded", "", "3 atoms", "1 bonds", "4 atom types", "1 bond types", ""]
    lines += ["0 9 xlo xhi", "0 9 ylo yhi", "0 9 zlo zhi", "", "Atoms # bond", ""]
    lines += ["1 1 1 1 1 1", "2 1 2 2 1 1", "3 1 3 4 1 1", "", "Bonds", "", "1 1 1 2", ""]
    Path("bonds.data").write_text("\n".join(lines))
    start = f"units metal\natom_style bond\nspecial_bonds lj/coul {{}}\nbond_style zero\nread_data bonds.data\n{MASSES}"
    script = start + "bond_coeff *\npair_style nbcore\n" + COEFF + 'run 0\nprint "RESULT $(pe:%.17g)"\n'
    for ranks in (1, 3):
        said = lammps.run(script.format("0.0 1.0 1.0"), ranks, fails=True, timeout=60)
        assert "special_bonds takes bonded atoms out" in said
    potential = nbcore.load("m.nbcore")
    x = np.array([[1.0, 1, 1], [2, 1, 1], [4, 1, 1]])
    expected = potential.compute(x, ["O", "H", "C"], 9 * np.eye(3), True).energy
    for factors in ("1.0 1.0 1.0", "1e-50 1e-50 1e-50"):
        said = lammps.run(script.format(factors))
        (found,) = [line.split()[1] for line in said.splitlines() if line.startswith("RESULT")]
        assert abs(float(found) - expected) < 1e-10


def test_a_plugin_without_its_other_half(lammps):
    """The plugin says what is missing."""
    shutil.copy(lammps.plugin, "lonely_plugin.so")
    script = "plugin unload pair nbcore\nplugin load ./lonely_plugin.so\n" + START + "pair_style nbcore\n"
    said = lammps.run(script, 2, fails=True, load=False)
    assert said.count("pair_style nbcore is not available") == 1 and "libpair_nbcore.so" in said
