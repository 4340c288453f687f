"""Models of MACE against what mace-torch computed: files and numbers of tests/oracles/make_mace.py."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from torch_writer import torch_file

import nbcore
from nbcore import results as results_of_data
from nbcore import train
from nbcore.cli import main
from nbcore.errors import InputError
from nbcore.importing import import_model
from nbcore.importing.pickles import Inert, Name
from nbcore.importing.torch_file import TorchFile, children
from nbcore.new_elements import add_elements

ORACLES = Path(__file__).parents[1] / "oracles"
VARIANTS = [
    "plain",
    "states",
    "single",
    "so3",
    "heads",
    "edges",
    "density",
    "soft",
    "nonlinear",
    "gate",
    "charged",
    "cutoff",
]
INPUTS = {"total_charge": -1, "total_spin": 2}  #: of the variant "charged"


def results(variant):
    """label -> {positions, numbers, cell, energy, forces, stress}, and the same of other heads."""
    found = {}
    with np.load(ORACLES / f"mace_{variant}.npz") as file:
        for name in file.files:
            label, _, key = name.rpartition("/")
            found.setdefault(label, {})[key] = file[name]
    return found


def compare(potential, structure, expected, forces=1e-10):
    cell = structure["cell"]
    r = potential.compute(structure["positions"], structure["numbers"], cell, bool(cell.any()), threads=1)
    np.testing.assert_allclose(r.energy, expected["energy"], rtol=1e-11, atol=0)
    np.testing.assert_allclose(r.forces, expected["forces"], rtol=0, atol=forces)
    if cell.any():
        np.testing.assert_allclose(r.stress, expected["stress"], rtol=0, atol=1e-11)


@pytest.mark.parametrize("variant", VARIANTS)
def test_energies_forces_and_stresses(variant):
    path = ORACLES / f"mace_{variant}.model"
    heads = ["first", "second"] if variant in ("heads", "nonlinear", "gate") else [None]
    expected = results(variant)
    for head in heads:
        potential = import_model(path, head, INPUTS if variant == "charged" else None)
        potential.radial_splines = False  # their error is 1e-9, that of the comparison less
        for label in ("acac", "cluster", "triclinic"):
            key = label if head in (None, "first") else f"{label}/{head}"
            # coupling tensors in single precision are rounded, nbcore's are not
            compare(potential, expected[label], expected[key], 1e-9 if variant == "single" else 1e-10)


def test_charge_and_spin_are_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = ORACLES / "mace_charged.model"
    for inputs, why in [
        (None, "reads total_charge, total_spin .*--input total_charge=0 --input total_spin=1"),
        ({"total_charge": 0}, "reads total_charge, total_spin"),
        (INPUTS | {"total_charge": 7}, "no row for 7, but those of -2 to 2"),
        (INPUTS | {"field": 1}, "reads no input field, but total_charge, total_spin"),
    ]:
        with pytest.raises(InputError, match=why):
            import_model(path, inputs=inputs)
    with pytest.raises(InputError, match="reads no input total_spin"):
        import_model(ORACLES / "mace_soft.model", inputs={"total_spin": 1})
    assert main(["import", str(path), "--input", "total_charge"]) == 2
    assert main(["import", str(path), "--input", "total_charge=-1", "--input", "total_spin=2"]) == 0
    about = nbcore.load("mace_charged.nbcore").description["about"]
    assert "total_charge = -1, total_spin = 2" in about["description"] and "Traceback" not in capsys.readouterr().err


def test_splines_are_within_their_error():
    potential, expected = import_model(ORACLES / "mace_states.model"), results("states")["acac"]
    r = potential.compute(expected["positions"], expected["numbers"], threads=1)
    np.testing.assert_allclose(r.energy, expected["energy"], rtol=1e-9)
    np.testing.assert_allclose(r.forces, expected["forces"], rtol=0, atol=1e-7)


def test_the_file_says_where_it_comes_from(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = ORACLES / "mace_single.model"
    assert main(["import", str(source), "--licence", "MIT"]) == 0
    out = capsys.readouterr().out
    assert "mace_single.nbcore" in out and "MIT" in out and "H C O" in out
    potential = nbcore.load("mace_single.nbcore")
    about = potential.description["about"]
    assert (
        about["licence"] == "MIT"
        and "mace_single.model" in about["origin"]
        and "ScaleShiftMACE" in about["description"]
    )
    assert potential.description["preset"] == "mace"
    structure = results("single")["acac"]
    a = potential.compute(structure["positions"], structure["numbers"], threads=1)
    b = import_model(source).compute(structure["positions"], structure["numbers"], threads=1)
    assert a.energy == b.energy and np.array_equal(a.forces, b.forces)
    assert main(["inspect", "mace_single.nbcore"]) == 0
    assert "licence" in capsys.readouterr().out


def test_no_input_is_replaced(tmp_path, capsys):
    path = tmp_path / "a.nbcore"
    content = (ORACLES / "mace_single.model").read_bytes()
    path.write_bytes(content)
    assert main(["import", str(path), "--output", str(path)]) == 6
    assert path.read_bytes() == content
    assert main(["import", str(tmp_path / "none.model")]) == 6
    (tmp_path / "text.model").write_text("no model")
    assert main(["import", str(tmp_path / "text.model"), "--output", str(tmp_path / "b.nbcore")]) == 3
    assert not (tmp_path / "b.nbcore").exists()
    assert "Traceback" not in capsys.readouterr().err


# ---- what is not known is refused by its name ----


def changed(tmp_path, change):
    """The model of "states" with something else in it."""
    module = TorchFile(ORACLES / "mace_states.model").load()
    change(module)
    path = tmp_path / "changed.model"
    path.write_bytes(torch_file(plain(module, {})))
    return path


def plain(thing, seen):
    """The same tree with what torch_writer can write."""
    if isinstance(thing, Inert):
        made = Inert(thing.path, plain(thing.args, seen))
        made.state = plain(thing.state, seen)
        return made
    if isinstance(thing, dict):
        return {key: plain(value, seen) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return type(thing)(plain(value, seen) for value in thing)
    if isinstance(thing, set | frozenset):
        return sorted(thing)
    return thing


def at(module, path):
    for name in path.split("."):
        module = children(module)[name]
    return module


def set_class(path, name):
    def change(module):
        at(module, path).path = name

    return change


def set_tensor(path, name, value):
    def change(module):
        state = at(module, path).state
        for kind in ("_parameters", "_buffers"):
            if name in state[kind]:
                state[kind][name] = value(state[kind][name])

    return change


def set_attribute(path, name, value):
    def change(module):
        (at(module, path) if path else module).state[name] = value

    return change


def without_couplings(module):
    at(module, "interactions.1.conv_tp").state.pop("__codegen__")


def other_function(module):
    at(module, "readouts.2.non_linearity.acts.0").state["f"] = Name("torch.abs")


def lost_tensor(module):
    at(module, "products.0.symmetric_contractions.contractions.0").state["_buffers"].pop("U_matrix_2")


def wrong_tensor(module):
    buffers = at(module, "products.0.symmetric_contractions.contractions.1").state["_buffers"]
    buffers["U_matrix_2"] = buffers["U_matrix_2"] + 0.1


CHANGES = {
    "dipole": (lambda m: setattr(m, "path", "mace.modules.models.AtomicDipolesMACE"), "AtomicDipolesMACE.*dipoles"),
    "class inside": (set_class("interactions.1", "mace.modules.blocks.RealAgnosticAttResidualInteractionBlock"),
                     "interactions.1 is of the class .*RealAgnosticAttResidualInteractionBlock"),
    "lora": (set_class("interactions.0.linear", "mace.modules.lora.LoRAO3Linear"), "LoRAO3Linear.*merge"),
    "cuequivariance": (set_class("products.0.symmetric_contractions",
                                 "cuequivariance_torch.operations.symmetric_contraction.SymmetricContraction"),
                       "mace_cueq_to_e3nn"),
    "no tensors": (lost_tensor, "U_matrix_2"),
    "other tensors": (wrong_tensor, "hold products that nbcore's basis does not"),
    "couplings": (without_couplings, r"coupling tensor of l = \(1, 2, 1\) is not in the file"),
    "function": (other_function, "function is abs"),
    "no module": (lambda m: children(m)["interactions"].state["_modules"].update({"1": [1, 2]}),
                  "interactions.1 is no module but a list"),
    "nothing": (lambda m: children(m)["products"].state["_modules"].update({"1": None}), "products.1"),
    "not finite": (set_tensor("node_embedding.linear", "weight", lambda w: w * np.nan), "not finite"),
    "shape": (set_tensor("products.1.linear", "weight", lambda w: w[:-1]), "products.1.linear.*weights|shape"),
    "script": (lambda m: setattr(m, "path", "__torch__.mace.modules.models.ScaleShiftMACE"), "TorchScript"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_refusals_name_what_is_not_known(tmp_path, case):
    change, why = CHANGES[case]
    path = changed(tmp_path, change)
    with pytest.raises(InputError, match=why) as e:
        import_model(path)
    assert str(e.value).startswith(str(path)) or "changed.model" in str(e.value)


def older(module):
    """Without what the first versions of the program did not write, wherever it stands."""
    for name in ("heads", "apply_cutoff", "num_heads", "edge_irreps", "cueq_config", "oeq_config", "use_reduced_cg",
                 "use_agnostic_product", "pair_repulsion", "embedding_specs", "use_embedding_readout",
                 "use_last_readout_only", "distance_transform", "keep_last_layer_irreps", "use_so3"):  # fmt: skip
        if isinstance(module.state, dict):
            module.state.pop(name, None)
    for inside in children(module).values():
        if isinstance(inside, Inert):
            older(inside)


@pytest.mark.parametrize("change", [lambda module: None, older], ids=["as it is", "older"])
def test_a_model_that_was_written_again_is_the_same(tmp_path, change):
    path, expected = changed(tmp_path, change), results("states")["acac"]
    potential = import_model(path)
    potential.radial_splines = False
    compare(potential, expected, expected)


def test_weights_alone_are_refused(tmp_path):
    path = tmp_path / "state_dict.model"
    path.write_bytes(torch_file({"node_embedding.linear.weight": np.zeros(3)}))
    with pytest.raises(InputError, match="dictionary; expected a whole MACE model"):
        import_model(path)


def test_checkpoints_of_sevennet_are_told_apart():
    path = ORACLES / "sevennet_parity.pth"
    with np.load(ORACLES / "sevennet_parity.npz") as file:
        keys = [name for name in file.files if name.startswith("acac/")]
        s = {name.partition("/")[2]: file[name] for name in keys}
    potential = import_model(path)
    potential.radial_splines = False
    assert "sevennet_parity.pth" in potential.description["about"]["origin"]
    np.testing.assert_allclose(
        potential.compute(s["positions"], s["numbers"], threads=1).energy, s["energy"], rtol=1e-9
    )
    with pytest.raises(InputError, match="has no heads"):
        import_model(path, "first")


def test_heads_are_named():
    with pytest.raises(InputError, match="heads first, second: choose one with --head"):
        import_model(ORACLES / "mace_heads.model")
    with pytest.raises(InputError, match="no head 'third', there are first, second"):
        import_model(ORACLES / "mace_heads.model", "third")


def forces_error(potential, structures):
    return results_of_data.compare("x", structures, potential.compute_many(structures)).forces_rmse


@pytest.mark.parametrize("variant", ["density", "nonlinear"])
def test_loss_gradient_and_file(variant, tmp_path):
    """Of energies and forces, along a random direction of all parameters, against differences; saved and loaded."""
    potential = import_model(ORACLES / f"mace_{variant}.model", "first" if variant == "nonlinear" else None)
    s, rng = results(variant)["cluster"], np.random.default_rng(0)
    atoms = Atoms(s["numbers"], s["positions"])
    r = potential.compute(s["positions"], s["numbers"], threads=1)
    forces = r.forces + rng.normal(0, 0.3, r.forces.shape)
    atoms.calc = SinglePointCalculator(atoms, energy=r.energy + 1.0, forces=forces)
    _, gradient = train.loss_and_gradient(potential, [atoms], threads=1)
    start = potential.parameters.copy()
    direction = rng.standard_normal(start.size) * np.maximum(np.abs(start), 0.1)

    def loss(t):
        potential.parameters[:] = start + t * direction
        return train.loss_and_gradient(potential, [atoms], threads=1)[0]

    h = 1e-4
    slope = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
    assert abs(gradient @ direction - slope) < 1e-6 * max(abs(slope), np.abs(gradient).max())
    potential.parameters[:] = start
    potential.save(tmp_path / "a.nbcore")
    again = nbcore.load(tmp_path / "a.nbcore").compute(s["positions"], s["numbers"], threads=1)
    assert again.energy == r.energy and np.array_equal(again.forces, r.forces)
    with pytest.raises(InputError, match="radii of the elements|see elements"):
        add_elements(potential, {"N": -1.0})


def test_an_imported_model_is_trained_further():
    """Towards a model that it is not: errors fall, and the weights of the file are those that move."""
    potential, other = import_model(ORACLES / "mace_plain.model"), import_model(ORACLES / "mace_plain.model")
    rng = np.random.default_rng(0)
    where, _ = other.parameter_slices["energy1.W0e"]
    other.parameters[where] *= 1.5
    s = results("plain")["acac"]
    structures = []
    for _ in range(8):
        x = s["positions"] + rng.normal(0, 0.05, s["positions"].shape)
        r = other.compute(x, s["numbers"], threads=1)
        atoms = Atoms(s["numbers"], x)
        atoms.calc = SinglePointCalculator(atoms, energy=r.energy, forces=r.forces)
        structures.append(atoms)
    before = forces_error(potential, structures)
    train.fit(potential, structures, valid=structures[:2], max_epochs=40, threads=1, quiet=True)
    assert forces_error(potential, structures) < 0.5 * before
