"""Networks over composition schemes: exact derivatives, symmetries, and schemes that do not hold together."""

import numpy as np
import pytest
from differences import check_loss_gradient, derivative
from random_structures import SYMBOLS, crystal, molecule

import nbcore
from nbcore import CompositionScheme, so3
from nbcore.data import Structure
from nbcore.train import Loss, TrainingSet

SOLID = {"basis": "solid", "n": 2, "cutoff": 2.5, "envelope": "none"}
POWER = {"basis": "damped_power", "n": 3, "cutoff": 3.0, "r_min": 1.0, "envelope": "none"}
BESSEL = {"basis": "bessel", "n": 3, "cutoff": 40.0, "envelope": "smooth"}
LOCAL = {"basis": "bessel", "n": 4, "cutoff": 3.2}


def program(parity="o3"):
    """Two sets over a local level: parts that overlap, and two halves of everything; readouts on all three."""
    gates = [
        dict(gate="density", name="sum", l_max=2, radial=LOCAL),
        dict(gate="mix", name="A", inputs=["sum"], channels=3),
        dict(gate="self_product", name="B", inputs=["A"], l_max=1, correlation=2),
        dict(gate="mix", name="psi", inputs=["B"], channels=3),
        dict(gate="mix", name="e0", inputs=["psi"], channels=1, l_max=0),
        dict(gate="zeroth_order", name="moment", nodes="parts", inputs=["psi"], l_max=2, l_out=2, radial=SOLID),
        dict(gate="mix", name="phi", nodes="parts", inputs=["moment"], channels=3, share="species"),
        dict(gate="self_product", name="products", nodes="parts", inputs=["phi"], l_max=1, correlation=3),
        dict(gate="mix", name="chi", nodes="parts", inputs=["products", "phi"], channels=3, l_max=1),
        dict(gate="mix", name="e1", nodes="parts", inputs=["chi"], channels=1, l_max=0),
        dict(gate="first_order_relative", name="pairs", nodes="halves", inputs=["chi"], l_max=2, l_out=1, radial=POWER),
        dict(gate="zeroth_order", name="sums", nodes="halves", inputs=["chi"], l_max=1, l_out=1, radial=BESSEL),
        dict(gate="mix", name="of_pairs", nodes="halves", inputs=["pairs"], channels=2),
        dict(gate="mix", name="of_sums", nodes="halves", inputs=["sums"], channels=2),
        dict(gate="mix", name="both", nodes="halves", inputs=["of_pairs", "of_sums"], channels=2),
        dict(gate="self_product", name="square", nodes="halves", inputs=["both"], l_max=0, correlation=2),
        dict(gate="mix", name="e2", nodes="halves", inputs=["square"], channels=1, l_max=0),
        dict(gate="first_order_relative", name="top", nodes="all", inputs=["both"], l_max=2, l_out=0, radial=POWER),
        dict(gate="mix", name="e3", nodes="all", inputs=["top"], channels=1, l_max=0),
    ]
    sets = [{"name": "parts", "classes": 2}, {"name": "halves", "children": "parts"},
            {"name": "all", "children": "halves"}]  # fmt: skip
    return {"gates": gates, "readout": ["e0", "e1", "e2", "e3"], "parity": parity, "sets": sets}


def network(parity="o3"):
    return nbcore.Potential({"species": sorted(SYMBOLS, key=nbcore.species.NUMBERS.get), "program": program(parity)}, 4)


def scheme_for(n, images=None, order=None):
    """Parts of three to five atoms that share atoms, on centroids, atoms and free affine combinations."""
    rng = np.random.default_rng(n)
    order = np.arange(n) if order is None else order
    parts = [order[k : k + 4] for k in range(0, n - 1, 3)]
    place = [np.full(len(p), 1 / len(p)) if k % 2 else rng.random(len(p)) for k, p in enumerate(parts)]
    place = [p / p.sum() for p in place]
    scheme = CompositionScheme(n)
    shifts = None if images is None else [images[p] for p in parts]
    ordered = [c[np.argsort(p)] if images is None else c[_order(p, images)] for p, c in zip(parts, place, strict=True)]
    scheme.add("parts", parts, classes=np.arange(len(parts)) % 2, positions=ordered, images=shifts)
    half = len(parts) // 2
    scheme.add("halves", [range(half + 1), range(half, len(parts))], children="parts")  # one part in both
    scheme.add("all", [[0, 1]], children="halves")
    return scheme


def _order(p, images):
    return np.lexsort((images[p][:, 2], images[p][:, 1], images[p][:, 0], p))


def cases():
    rng = np.random.default_rng(2)
    x, species = molecule(rng, 11)
    yield "molecule", (x, species, None, False), scheme_for(11)
    x, species, cell, pbc = crystal(rng, 8)
    yield "crystal", (x, species, cell, pbc), scheme_for(8, rng.integers(-1, 2, (8, 3)))


CASES = {name: (structure, scheme) for name, structure, scheme in cases()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("parity", ["o3", "so3"])
def test_forces_and_virial(name, parity):
    """Along random displacements and strains, through positions of parts and of parts of parts."""
    potential, ((x, species, cell, pbc), scheme) = network(parity), CASES[name]
    r = potential.compute(x, species, cell, pbc, scheme=scheme)
    assert abs(r.energies.sum() - r.energy) < 1e-12 * max(1, abs(r.energy))
    assert np.abs(r.forces.sum(axis=0)).max() < 1e-12 * np.abs(r.forces).max()
    rng = np.random.default_rng(1)
    for _ in range(3):
        v = rng.standard_normal(x.shape)
        value, error = derivative(lambda t, v=v: potential.compute(x + t * v, species, cell, pbc, scheme=scheme).energy)
        assert error < 1e-6 * abs(value)
        assert abs(value + np.sum(r.forces * v)) < 1e-9 * max(1, abs(value)) + 5 * error
        s = rng.standard_normal((3, 3))

        def strained(t, s=s):
            F = np.eye(3) + t * s
            return potential.compute(x @ F.T, species, None if cell is None else cell @ F.T, pbc, scheme=scheme).energy

        value, error = derivative(strained, 0.02)
        assert abs(value + np.sum(r.virial * s)) < 1e-9 * max(1, abs(value)) + 5 * error


@pytest.mark.parametrize("name", CASES)
def test_rotation_translation_permutation(name):
    """Any orthogonal matrix, a shift, atoms in another order with the scheme renumbered; parts in another."""
    potential, ((x, species, cell, pbc), scheme) = network(), CASES[name]
    r = potential.compute(x, species, cell, pbc, scheme=scheme)
    rng = np.random.default_rng(3)
    for R in [*so3.random_rotations(3, rng), -np.eye(3), np.diag([1.0, -1, -1])]:
        got = potential.compute(x @ R.T + rng.standard_normal(3), species, None if cell is None else cell @ R.T, pbc,
                                scheme=scheme)  # fmt: skip
        assert abs(got.energy - r.energy) < 1e-12 * max(1, abs(r.energy))
        assert np.abs(got.forces - r.forces @ R.T).max() < 1e-11 * np.abs(r.forces).max()
    order = rng.permutation(len(x))  # atom k of the new structure was atom order[k]
    new = np.argsort(order)
    moved = CompositionScheme(len(x))
    for s in scheme.sets:
        first, rows = s["child_first"], range(len(s["classes"]))
        children = [s["child"][first[k] : first[k + 1]] for k in rows]
        images = [s["child_image"][first[k] : first[k + 1]] for k in rows]
        below = new if s["children"] == "atoms" else np.arange(s["child"].max(initial=-1) + 1)
        place = []
        for k in rows:
            a = slice(s["atom_first"][k], s["atom_first"][k + 1])
            key = np.column_stack([new[s["atom"][a]], s["image"][a]])
            place.append(s["coefficient"][a][np.lexsort(key.T[::-1])])
        moved.add(s["name"], [below[c] for c in children], s["children"], s["classes"], place, images)
    got = potential.compute(x[order], [species[k] for k in order], cell, pbc, scheme=moved)
    assert abs(got.energy - r.energy) < 1e-12 * max(1, abs(r.energy))
    assert np.abs(got.forces - r.forces[order]).max() < 1e-11 * np.abs(r.forces).max()


def labelled(name, seed):
    (x, species, cell, pbc), scheme = CASES[name]
    rng = np.random.default_rng(seed)
    s = Structure(x, np.array([nbcore.species.NUMBERS[k] for k in species]), cell, np.broadcast_to(np.array(pbc), 3),
                  rng.standard_normal(), rng.standard_normal(x.shape), scheme=scheme)  # fmt: skip
    if pbc:
        w = rng.standard_normal((3, 3))
        s.stress = 0.1 * (w + w.T)
    return s


def test_loss_gradient():
    """Every array of parameters, structures with different schemes in one batch."""
    potential = network()
    training_set = TrainingSet(potential, [labelled(name, k) for k, name in enumerate(CASES)])
    loss = Loss(energy_weight=2.0, forces_weight=3.0, stress_weight=50.0)
    gradient = training_set.loss_and_gradient(loss=loss, threads=2).gradient
    assert np.array_equal(gradient, training_set.loss_and_gradient(loss=loss, threads=1).gradient)
    check_loss_gradient(training_set, loss, gradient)
    whole = TrainingSet(potential, training_set.structures, 10**6).loss_and_gradient(loss=loss).gradient
    assert np.abs(whole - gradient).max() < 1e-11 * np.abs(gradient).max()


@pytest.mark.parametrize("n", [80, 150])
def test_blocks_and_threads(n):
    """Several blocks give what one gives, and any number of threads the same bits."""
    potential, (x, species) = network(), molecule(np.random.default_rng(n), n)
    scheme = scheme_for(n)
    one, two = (potential.compute(x, species, scheme=scheme, threads=t) for t in (1, 2))
    assert one.energy == two.energy and np.array_equal(one.forces, two.forces)
    assert np.array_equal(one.energies, two.energies) and np.array_equal(one.virial, two.virial)
    s = Structure(x, np.array([nbcore.species.NUMBERS[k] for k in species]), scheme=scheme)
    for block in (n, 20):
        closed = TrainingSet(potential, [s], block).predict()
        assert abs(closed.energies[0] - one.energy) < 1e-11 * abs(one.energy)
        assert np.abs(closed.forces[0] - one.forces).max() < 1e-11 * np.abs(one.forces).max()
        assert np.abs(closed.virials[0] - one.virial).max() < 1e-10 * np.abs(one.virial).max()


@pytest.mark.parametrize("periodic", [False, True])
def test_explicit_neighbourhoods_are_the_flat_network(periodic):
    """Neighbourhoods of neighbourhoods as a scheme: the energy and the forces of the same gates on atoms."""
    rng = np.random.default_rng(6)
    x, species, cell, pbc = crystal(rng, 6) if periodic else (*molecule(rng, 9), None, False)

    def gates(first, second):
        on = {} if first == "atoms" else {"nodes": first}
        last = {} if first == "atoms" else {"nodes": second}
        gates = [
            dict(gate="density", name="sum1", l_max=2, radial=LOCAL, **on),
            dict(gate="mix", name="psi1", inputs=["sum1"], channels=4, l_max=1, **on),
            dict(gate="zeroth_order", name="sum2", inputs=["psi1"], l_max=2, l_out=1, radial=LOCAL, **last),
            dict(gate="mix", name="A2", inputs=["sum2"], channels=4, **last),
            dict(gate="self_product", name="B2", inputs=["A2"], l_max=0, correlation=2, **last),
            dict(gate="mix", name="e", inputs=["B2"], channels=1, l_max=0, **last),
        ]
        if first != "atoms":  # weights per class of nodes, here per species
            sets = [{"name": "level1", "classes": 3}, {"name": "level2", "children": "level1", "classes": 3}]
            return {"gates": gates, "readout": ["e"], "sets": sets}
        return {"gates": gates, "readout": ["e"]}

    ordered = sorted(SYMBOLS, key=nbcore.species.NUMBERS.get)
    flat = nbcore.Potential({"species": ordered, "program": gates("atoms", "atoms")}, 1)
    deep = nbcore.Potential({"species": ordered, "program": gates("level1", "level2")}, 1)
    assert np.array_equal(flat.parameters, deep.parameters)
    scheme = CompositionScheme.neighbourhoods(x, 3.2, cell=cell, pbc=pbc)
    for name in ("level1", "level2"):
        scheme[name]["classes"][:] = [ordered.index(s) for s in species]
    a, b = flat.compute(x, species, cell, pbc), deep.compute(x, species, cell, pbc, scheme=scheme)
    assert abs(a.energy - b.energy) < 1e-12 * abs(a.energy)
    assert np.abs(a.forces - b.forces).max() < 1e-12 * np.abs(a.forces).max()
    assert np.abs(a.virial - b.virial).max() < 1e-12 * np.abs(a.virial).max()


def test_coulomb_energy_by_hand():
    """Charges q and a pair gate with 1/r give sum q_i q_j / |R_i - R_j| of the parts."""
    program = {
        "gates": [
            dict(gate="density", name="own", l_max=0, radial=LOCAL, nodes="parts"),
            dict(gate="mix", name="q", inputs=["own"], channels=1, nodes="parts"),
            dict(gate="first_order_relative", name="pairs", nodes="system", inputs=["q"], l_max=0, radial_mode="all",
                 radial={"basis": "inverse_power", "n": 3, "cutoff": 1.0, "r_min": 0.1, "envelope": "none"}),
            dict(gate="mix", name="e", nodes="system", inputs=["pairs"], channels=1),
        ],
        "sets": [{"name": "parts"}, {"name": "system", "children": "parts"}], "readout": ["e"],
    }  # fmt: skip
    potential = nbcore.Potential({"species": ["H"], "program": program}, 0)
    potential.parameters[:] = 0
    potential.parameters[potential.parameter_slices["e.W0e"][0]] = [0, 0, np.sqrt(3)]
    x = np.array([[0.0, 0, 0], [0, 0, 1], [4, 0, 0], [4, 1, 0], [4, 0, 1.0]])
    scheme = CompositionScheme.from_labels([0, 0, 1, 1, 1])
    potential.parameters[potential.parameter_slices["q.W0e"][0]] = 1.0
    r = potential.compute(x, ["H"] * 5, scheme=scheme)
    near = potential.compute(x[:2], ["H"] * 2, scheme=CompositionScheme.from_labels([0, 0]))
    assert near.energy == 0  # a single part meets nobody

    def charge(part):  # what density and mix make of one part's atoms about its centroid
        d = np.linalg.norm(part - part.mean(axis=0), axis=1)
        n = np.arange(1, 5)[:, None]
        envelope = 1 - 28 * (d / 3.2) ** 6 + 48 * (d / 3.2) ** 7 - 21 * (d / 3.2) ** 8
        return np.sum(np.sqrt(2 / 3.2) * np.sin(n * np.pi * d / 3.2) / d * envelope) / np.sqrt(4)

    R = np.linalg.norm(x[:2].mean(axis=0) - x[2:].mean(axis=0))
    assert abs(r.energy - 2 * charge(x[:2]) * charge(x[2:]) / R) < 1e-12 * abs(r.energy)


def test_tree_of_everything():
    """The preset: a cluster of labelled parts, and cubes in space; save, load, golden cases, pickles."""
    x, species = molecule(np.random.default_rng(8), 40)
    for options, labels in (({"labels": "mol"}, {"mol": np.arange(40) // 5}), ({"part_size": 2.5}, {})):
        potential = nbcore.presets.tree(SYMBOLS, 3.2, channels=4, tree_levels=3, tree_channels=3, **options)
        scheme = potential.scheme(x, labels=labels)
        r = potential.compute(x, species, scheme=scheme)
        v = np.random.default_rng(0).standard_normal(x.shape)
        value, error = derivative(lambda t: potential.compute(x + t * v, species, scheme=scheme).energy)  # noqa: B023
        assert abs(value + np.sum(r.forces * v)) < 1e-9 * max(1, abs(value)) + 5 * error
        # weights are shared from the second level on: a deeper tree has the same parameters
        deeper = nbcore.presets.tree(SYMBOLS, 3.2, channels=4, tree_levels=5, tree_channels=3, **options)
        assert deeper.parameters.shape == potential.parameters.shape


@pytest.mark.parametrize("parity", ["o3", "so3"])
def test_the_paper_over_parts(parity):
    """kondor with labels: forces against differences, rotations, and all arrays of parameters are used."""
    potential = nbcore.presets.kondor(SYMBOLS, 3.2, channels=3, levels=1, labels="mol", parity=parity, seed=2)
    x, species = molecule(np.random.default_rng(8), 9)
    labels = np.array([0, 0, 1, 1, 1, 2, 2, 2, 2])
    scheme = potential.scheme(x, labels={"mol": labels})
    r = potential.compute(x, species, scheme=scheme)
    v = np.random.default_rng(0).standard_normal(x.shape)
    value, error = derivative(lambda t: potential.compute(x + t * v, species, scheme=scheme).energy)
    assert abs(value + np.sum(r.forces * v)) < 1e-9 * max(1, abs(value)) + 5 * error
    R = so3.random_rotations(1, np.random.default_rng(4))[0]
    turned = potential.compute(x @ R.T, species, scheme=scheme)
    assert abs(turned.energy - r.energy) < 1e-12 * max(1, np.abs(r.energies).max())
    numbers = np.array([nbcore.species.NUMBERS[s] for s in species])
    s = Structure(x, numbers, None, np.zeros(3, bool), 1.0, v, labels={"mol": labels})
    gradient = TrainingSet(potential, [s]).loss_and_gradient().gradient
    for name, (where, _) in potential.parameter_slices.items():
        assert np.any(gradient[where]), name
    with pytest.raises(ValueError, match='labels go with algebra "real"'):
        nbcore.presets.kondor(SYMBOLS, 3.2, labels="mol", algebra="complex")


def test_model_file(tmp_path):
    potential = nbcore.presets.tree(SYMBOLS, 3.2, channels=4, tree_levels=3, labels="mol")
    x, species = molecule(np.random.default_rng(8), 12)
    scheme = potential.scheme(x, labels={"mol": np.arange(12) // 4})
    path = tmp_path / "tree.nbcore"
    potential.save(path)
    again = nbcore.Potential.load(path)
    assert again.compute(x, species, scheme=scheme).energy == potential.compute(x, species, scheme=scheme).energy
    from nbcore.model_file import check_golden

    assert len(check_golden(str(path))) == 2


def test_atoms_wrapped_back_into_the_cell():
    """Atoms moved by cell vectors, one by one, while the scheme is held: the same energy and forces."""
    rng = np.random.default_rng(11)
    cell = np.array([[9.0, 0, 0], [1.0, 8.5, 0], [-0.7, 0.4, 9.4]])
    x, species, cell, pbc = crystal(rng, 60, cell=cell)
    for options, labels in (({"part_size": 3.0}, {}), ({"labels": "mol"}, {"mol": np.arange(60) // 6})):
        potential = nbcore.presets.tree(SYMBOLS, 3.2, channels=4, tree_levels=3, **options)
        scheme = potential.scheme(x, cell, pbc, labels)
        moved = x + 0.4 * rng.standard_normal(x.shape)
        a = potential.compute(moved, species, cell, pbc, scheme=scheme)
        b = potential.compute(moved + rng.integers(-2, 3, x.shape) @ cell, species, cell, pbc, scheme=scheme)
        assert abs(a.energy - b.energy) < 1e-10 * abs(a.energy)
        assert np.abs(a.forces - b.forces).max() < 1e-10 * np.abs(a.forces).max()
        assert np.abs(a.virial - b.virial).max() < 1e-10 * np.abs(a.virial).max()


def test_ase_holds_the_scheme(tmp_path):
    from ase import Atoms

    from nbcore.ase import NBCoreCalculator

    potential = nbcore.presets.tree(SYMBOLS, 3.2, channels=4, tree_levels=3, labels="mol")
    path = tmp_path / "tree.nbcore"
    potential.save(path)
    x, species = molecule(np.random.default_rng(8), 12)
    atoms = Atoms(species, x)
    atoms.new_array("mol", np.arange(12) // 4)
    atoms.calc = NBCoreCalculator(path)
    scheme = potential.scheme(x, labels={"mol": np.arange(12) // 4})
    assert atoms.get_potential_energy() == potential.compute(x, species, scheme=scheme).energy
    held = atoms.calc.scheme
    atoms.positions += 0.1 * np.random.default_rng(1).standard_normal(x.shape)
    assert atoms.get_potential_energy() == potential.compute(atoms.positions, species, scheme=scheme).energy
    assert atoms.calc.scheme is held


def test_no_scheme_is_an_error():
    potential = network()
    x, species = molecule(np.random.default_rng(8), 6)
    with pytest.raises(ValueError, match='composition scheme with the set "parts"; the structure has no scheme'):
        potential.compute(x, species)
    with pytest.raises(ValueError, match="the composition scheme is one of 5 atoms, the structure has 6"):
        potential.compute(x, species, scheme=CompositionScheme.from_labels([0, 0, 1, 1, 1]))
    labelled = nbcore.presets.tree(SYMBOLS, 3.2, channels=4, labels="mol")
    with pytest.raises(ValueError, match="per-atom label 'mol'.*there are none"):
        labelled.scheme(x)


PROGRAMS = [
    (lambda p: p["sets"][1].update(children="nobody"), "neither the atoms nor an earlier set"),
    (lambda p: p["sets"][1].update(name="parts"), 'two sets are called "parts"'),
    (lambda p: p["gates"][5].update(nodes="nobody"), 'its nodes "nobody"'),
    (lambda p: p["gates"][5].update(nodes="halves"), 'is a state of "atoms", expected is one of "parts"'),
    (lambda p: p["gates"][9].update(inputs=["psi"]), 'expected is one of "parts"'),
    (lambda p: p["gates"][10].update(nodes="atoms", inputs=["psi"]), "would jump where a neighbour passes the cutoff"),
    (
        lambda p: p["gates"][5].update(gate="zeroth_order_dots", radial=BESSEL),
        "both ends of an edge, so parents and children must be of one set",
    ),
    (lambda p: p["gates"][11].update(radial=SOLID), "must have the basis solid all"),
    (lambda p: p["gates"][0].update(radial=LOCAL | {"envelope": "none"}), "a basis of neighbours needs an envelope"),
    (lambda p: p["gates"][3].update(weights="A"), '"weights" must name an earlier gate with the same parameters'),
]


@pytest.mark.parametrize("change, text", PROGRAMS)
def test_programs_that_do_not_fit(change, text):
    p = program()
    p["gates"][11]["nodes"] = "halves"
    if "solid" in text:
        p["gates"].insert(12, dict(gate="zeroth_order", name="more", nodes="halves", inputs=["chi"], radial=BESSEL))
    change(p)
    with pytest.raises(ValueError, match=text):
        nbcore.Potential({"species": SYMBOLS[:1], "program": p})
