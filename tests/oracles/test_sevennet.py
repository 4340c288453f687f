"""Checkpoints of SevenNet in nbcore's gates: its energies and forces in double. make_sevennet.py made the files."""

from pathlib import Path

import numpy as np
import pytest

import nbcore
from nbcore.cli import main
from nbcore.errors import InputError
from nbcore.importing.sevennet import from_sevennet, is_sevennet
from nbcore.importing.torch_file import TorchFile

HERE = Path(__file__).resolve().parent
VARIANTS = sorted(p.stem.removeprefix("sevennet_") for p in HERE.glob("sevennet_*.pth"))


def test_the_command_line_reads_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["import", str(HERE / "sevennet_manual.pth"), "--licence", "MIT", "--output", "a.nbcore"]) == 0
    assert "imported from sevennet_manual.pth (SevenNet, written by sevenn 0.13.0)" in capsys.readouterr().out
    again, potential = nbcore.Potential.load("a.nbcore"), from_sevennet(checkpoint("manual"))
    r, numbers = np.array([[0, 0, 0], [0, 0.1, 0.97], [1.2, 0, -0.3]]), [8, 1, 6]
    assert again.compute(r, numbers).energy == potential.compute(r, numbers).energy
    assert again.description["about"]["licence"] == "MIT"
    assert main(["import", str(HERE / "sevennet_manual.pth"), "--head", "one"]) != 0
    assert "a checkpoint of SevenNet has no heads" in capsys.readouterr().err


def checkpoint(variant):
    return TorchFile(HERE / f"sevennet_{variant}.pth").load()


def test_there_are_files():
    assert VARIANTS == ["manual", "parity"]
    assert is_sevennet(checkpoint("manual")) and not is_sevennet({"config": {}}) and not is_sevennet([1])


@pytest.mark.parametrize("variant", VARIANTS)
def test_energies_and_forces(variant):
    potential = from_sevennet(checkpoint(variant))
    assert potential.species == ["H", "C", "O"]
    with np.load(HERE / f"sevennet_{variant}.npz") as data:
        arrays = dict(data)
    for structure in ("acac", "cluster", "triclinic"):
        s = {key: arrays[f"{structure}/{key}"] for key in ("positions", "numbers", "cell", "energy", "forces")}
        for potential.radial_splines in (True, False):
            found = potential.compute(s["positions"], s["numbers"], cell=s["cell"], pbc=bool(s["cell"].any()))
            assert abs(found.energy - s["energy"]) < 1e-10 * abs(s["energy"])
            assert np.abs(found.forces - s["forces"]).max() < 1e-8 * np.abs(s["forces"]).max()


@pytest.mark.parametrize(
    "change, text",
    [
        ({"use_modality": True}, "several data sets"),
        ({"_normalize_sph": False}, "_normalize_sph is 'False'|_normalize_sph is 'False': nbcore knows True alone"),
        ({"use_bias_in_linear": True}, "use_bias_in_linear"),
        ({"act_radial": "ssp"}, "act_radial is 'ssp'"),
        ({"interaction_type": "mace"}, "interaction_type is 'mace': nbcore knows 'nequip' alone"),
        ({"readout_as_fcn": True}, "readout_fcn_activation is 'relu'"),
        ({"self_connection_type": "attention"}, "self_connection_type 'attention' is not known"),
        ({"cutoff_function": {"cutoff_function_name": "cosine"}}, "nbcore knows 'poly_cut' and 'XPLOR'"),
        ({"irreps_manual": ["6x0e", "6y"]}, "irreps_manual has 2 states, expected 4"),
        ({"version": "today"}, "version is 'today'"),
        ({"cutoff": "4"}, "config: cutoff is '4'"),
        ({"_type_map": {6: 0, 1: 7}}, "_type_map gives no number to each element"),
    ],
)
def test_what_is_not_known_is_refused(change, text):
    known = checkpoint("manual")
    with pytest.raises(InputError, match=text) as error:
        from_sevennet({**known, "config": {**known["config"], **change}}, "a.pth")
    assert str(error.value).startswith("a.pth: ")


def test_weights_without_a_meaning_are_refused():
    known = checkpoint("parity")
    weights = known["model_state_dict"]
    with pytest.raises(InputError, match="weights more: nbcore does not know what they do"):
        from_sevennet({**known, "model_state_dict": {**weights, "more": np.ones(3, "f4")}})
    for key in ("1_convolution.denominator", "reduce_hidden_to_energy.linear.weight"):
        with pytest.raises(InputError, match=f"it lacks the weights {key}"):
            from_sevennet({**known, "model_state_dict": {k: v for k, v in weights.items() if k != key}})
    flipped = {k: -v if "_w3j_1_1_2" in k else v for k, v in weights.items()}  # of another e3nn: the sign is read
    assert not np.array_equal(
        from_sevennet({**known, "model_state_dict": flipped}).parameters, from_sevennet(known).parameters
    )
    broken = {k: 2 * v if "_w3j_1_1_2" in k else v for k, v in weights.items()}
    with pytest.raises(InputError, match="the coupling tensor of l = 1, 1 and 2 in the file is none that nbcore knows"):
        from_sevennet({**known, "model_state_dict": broken})
