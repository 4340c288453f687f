"""ANI's own weights in nbcore's gates, and the folders that they are published in; the numbers are of make_ani.py.

torchani's forces are off by some 1e-8 of the largest one (differences of its energies agree with nbcore's to 1e-9).
"""

import bz2
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from differences import derivative

import nbcore
from nbcore.errors import InputError
from nbcore.importing.ani import HARTREE, from_ani
from nbcore.presets.ani import Functions

HERE = Path(__file__).resolve().parent
ENERGIES = {"H": -0.5, "C": -37.8, "N": -54.5, "O": -74.9}


def read(variant):
    """Elements, functions, layers of each element, and what torchani computes."""
    with np.load(HERE / f"ani_{variant}.npz") as data:
        arrays = dict(data)
    about = json.loads(str(arrays.pop("about")))
    networks = {}
    for symbol in about["species"]:
        n = sum(key.startswith(f"weights/{symbol}.") for key in arrays)
        networks[symbol] = [(arrays[f"weights/{symbol}.{k}"], arrays[f"biases/{symbol}.{k}"]) for k in range(n)]
    return about["species"], Functions(**about["functions"]), networks, arrays


@pytest.mark.parametrize("variant", ["order", "grid"])
@pytest.mark.parametrize("structure", ["acac", "cluster", "triclinic"])
def test_energies_and_forces(variant, structure):
    species, functions, networks, arrays = read(variant)
    potential = from_ani(species, functions, networks, dict.fromkeys(species, 0.0), unit=1.0)
    s = {key: arrays[f"{structure}/{key}"] for key in ("positions", "numbers", "cell", "energy", "forces")}
    found = potential.compute(s["positions"], s["numbers"], cell=s["cell"], pbc=bool(s["cell"].any()))
    assert abs(found.energy - s["energy"]) < 1e-10 * abs(s["energy"])
    assert np.abs(found.forces - s["forces"]).max() < 3e-8 * np.abs(s["forces"]).max()


def test_forces_are_derivatives():
    species, functions, networks, arrays = read("grid")
    potential = from_ani(species, functions, networks, dict.fromkeys(species, 0.0), unit=1.0)
    r, numbers = arrays["acac/positions"], arrays["acac/numbers"]
    v = np.random.default_rng(1).standard_normal(r.shape)
    value, error = derivative(lambda t: np.array(potential.compute(r + t * v, numbers).energy), h=2e-4)
    along = -np.sum(potential.compute(r, numbers).forces * v)
    assert error < 1e-7 * abs(value) and abs(along - value) < 1e-9 * abs(value) + 5 * error


def write_folder(folder, members):
    """A folder of files as ANI networks are published in, of the variant "order"."""
    species, f, networks, _ = read("order")
    words = {"TM": [1], "Rcr": [f.cutoff], "Rca": [f.angular_cutoff], "EtaR": [f.eta], "ShfR": f.shifts,
             "Zeta": [f.zeta], "ShfZ": f.angles, "EtaA": [f.angular_eta], "ShfA": f.angular_shifts}  # fmt: skip
    lines = [
        f"{key} = [{','.join(f'{x!r}' for x in v)}]" if len(v) > 1 else f"{key} = {v[0]!r}" for key, v in words.items()
    ]
    folder.mkdir()
    (folder / "rOCH.params").write_text("\n".join([*lines, f"Atyp = [{','.join(species)}]"]))
    (folder / "sae_linfit.dat").write_text("\n".join(f"{s},{k}={ENERGIES[s]}" for k, s in enumerate(species)))
    for member in range(members):
        place = folder / f"train{member}" / "networks"
        place.mkdir(parents=True)
        for symbol, layers in networks.items():
            text = [f"!header\ninputsize={layers[0][0].shape[1]};\natom_net {symbol} $"]
            for k, (weights, biases) in enumerate(layers, start=1):
                kinds = {"wparam": weights + 0.01 * member, "bparam": biases}
                for kind, x in kinds.items():
                    (place / f"ANN-{symbol}.nnf-l{k}.{kind}").write_bytes(x.astype("<f4").tobytes())
                text.append(
                    f"layer [\nnodes={len(biases)};\nactivation={9 if k < len(layers) else 6};\nbtchnorm=0;\n"
                    f"weights=FILE:ANN-{symbol}.nnf-l{k}.wparam[{weights.size}];\n"
                    f"biases=FILE:ANN-{symbol}.nnf-l{k}.bparam[{biases.size}];\n]"
                )
            (place / f"ANN-{symbol}.nnf").write_bytes(b"123=\n" + bz2.compress(("\n".join(text) + "\n$").encode()))
    return networks


def test_folders(tmp_path):
    """One network is a potential, several are a committee; energies in eV, E0s from the table of the folder."""
    networks = write_folder(tmp_path / "ani", 3)
    species, functions, _, arrays = read("order")
    rounded = {s: [tuple(a.astype("f4") for a in layer) for layer in layers] for s, layers in networks.items()}
    expected = from_ani(species, functions, rounded, ENERGIES)
    r, numbers = arrays["acac/positions"], arrays["acac/numbers"]
    committee = nbcore.import_model(tmp_path / "ani")
    assert isinstance(committee, nbcore.Committee) and len(committee) == 3
    first, other = (committee.members[k].compute(r, numbers).energy for k in (0, 1))
    assert abs(first - expected.compute(r, numbers).energy) < 1e-9 and abs(first - other) > 1e-3
    assert committee.members[0].E0s["C"] == ENERGIES["C"] * HARTREE
    shutil.copytree(tmp_path / "ani" / "train1" / "networks", tmp_path / "ani" / "networks")
    for k in range(3):
        shutil.rmtree(tmp_path / "ani" / f"train{k}")
    single = nbcore.import_model(tmp_path / "ani" / "rOCH.params")
    assert abs(single.compute(r, numbers).energy - other) < 1e-9
    single.save(tmp_path / "ani.nbcore")
    again = nbcore.Potential.load(tmp_path / "ani.nbcore")
    assert again.compute(r, numbers).energy == single.compute(r, numbers).energy
    assert again.description["about"]["licence"]


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("rOCH.params", lambda b: b"", "there are no elements Atyp"),
        ("rOCH.params", lambda b: b.replace(b"TM = 1", b"TM = 2"), "TM = 2"),
        ("rOCH.params", lambda b: b.replace(b"EtaR = 16.0", b"EtaR = [16.0,8.0]"), "EtaR has 2 numbers"),
        ("sae_linfit.dat", lambda b: b.replace(b"H,2", b"N,2"), "an energy for each of O C H"),
        ("train0/networks/ANN-H.nnf", lambda b: b[:40], "no network of ANI, or it is damaged"),
        ("train0/networks/ANN-H.nnf-l1.wparam", lambda b: b[:-4], "finite numbers of single precision"),
        ("train0/networks/ANN-H.nnf-l2.bparam", lambda b: b"\xff" * len(b), "finite numbers"),
    ],
)
def test_what_is_damaged_or_not_known_is_named(tmp_path, file, change, said):
    write_folder(tmp_path / "ani", 1)
    path = tmp_path / "ani" / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=said):
        nbcore.import_model(tmp_path / "ani")


def test_another_activation_is_refused(tmp_path):
    write_folder(tmp_path / "ani", 1)
    path = tmp_path / "ani" / "train0" / "networks" / "ANN-C.nnf"
    text = bz2.decompress(path.read_bytes().partition(b"\n")[2]).replace(b"activation=9", b"activation=5")
    path.write_bytes(b"1=\n" + bz2.compress(text))
    with pytest.raises(InputError, match="activation 5; nbcore knows celu"):
        nbcore.import_model(tmp_path / "ani")
