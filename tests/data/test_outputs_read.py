"""Covariant labels in files: keys, shapes, what is refused, and back to a file."""

import numpy as np
import pytest

from nbcore.data import read, read_sets, write_extxyz
from nbcore.errors import InputError

ROWS = "O 0 0 0 {a}\nH 0 0 1 {b}\nH 0.9 0 -0.3 {c}\nH 3 3 3 {d}\n"
KNOWN = ["dipole", "polarizability", "hyperpolarizability"]


def frame(comment, columns="", rows=("", "", "", "")):
    names = dict(zip("abcd", rows, strict=True))
    return f"4\nProperties=species:S:1:pos:R:3{columns} {comment}\n" + ROWS.format(**names)


def wrote(tmp_path, *frames):
    path = tmp_path / "data.xyz"
    path.write_text("".join(frames))
    return path


def symmetric(rank, rng):
    from nbcore.outputs import Output

    output = Output("t", rank)
    return output.cartesian(rng.normal(size=output.components))


def numbers(tensor):
    return " ".join(repr(float(x)) for x in np.ravel(tensor))


def test_known_names(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {name: symmetric(rank, rng) for rank, name in enumerate(KNOWN, start=1)}
    path = wrote(tmp_path, frame(" ".join(f'{name}="{numbers(t)}"' for name, t in tensors.items())))
    structure = read(path, outputs=KNOWN)[0]
    assert structure.energy is None
    for name, tensor in tensors.items():
        np.testing.assert_allclose(structure.outputs[name], tensor, rtol=1e-12, atol=1e-14)
    assert read(path, outputs=KNOWN).reading.files[0].keys == {name: name for name in KNOWN}
    assert read(path, require=()).reading.remarks and not read(path, require=())[0].outputs


def test_keys_six_numbers_and_atoms(tmp_path):
    rng = np.random.default_rng(1)
    alpha, arrows = symmetric(2, rng), rng.normal(size=(4, 3))
    six = alpha[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    path = wrote(tmp_path, frame(f'alpha="{numbers(six)}"', ":arrow:R:3", [numbers(a) for a in arrows]))
    outputs = {"polarizability": {"key": "alpha", "unit": "bohr^3"}, "arrow": {"rank": 1, "per": "atom"}}
    structure = read(path, outputs=outputs)[0]
    np.testing.assert_allclose(structure.outputs["polarizability"], alpha, rtol=1e-12)
    np.testing.assert_allclose(structure.outputs["arrow"], arrows, rtol=1e-12)


def test_round_trip(tmp_path):
    rng = np.random.default_rng(2)
    text = f'dipole="1 2 3" polarizability="{numbers(symmetric(2, rng))}"'
    outputs = {"dipole": {}, "polarizability": {}, "shift": {"rank": 2, "per": "atom"}}
    rows = [numbers(symmetric(2, rng)) for _ in range(4)]
    data = read(wrote(tmp_path, frame(text, ":shift:R:9", rows)), outputs=outputs)
    write_extxyz(data, tmp_path / "again.xyz")
    for name, tensor in read(tmp_path / "again.xyz", outputs=outputs)[0].outputs.items():
        np.testing.assert_allclose(tensor, data[0].outputs[name], rtol=0, atol=1e-10)
    atoms = data[0].to_ase()
    assert atoms.info["dipole"].tolist() == [1, 2, 3] and atoms.arrays["shift"].shape == (4, 3, 3)


def test_noise_is_remarked_on(tmp_path):
    data = read(wrote(tmp_path, frame('polarizability="3 0.03 0 0 3 0 0 0 3"')), outputs=["polarizability"])
    assert data[0].outputs["polarizability"][0, 1] == data[0].outputs["polarizability"][1, 0] == pytest.approx(0.015)
    assert "symmetric part" in " ".join(data.reading.remarks)


@pytest.mark.parametrize(
    "comment, message",
    [
        ('dipole="1 2"', "dipole must be 3 numbers"),
        ('dipole="1 nan 2"', "not finite"),
        ('dipole="a b c"', "could not convert|must be 3 numbers"),
        ('polarizability="1 2 3 4 5 6 7 8 9"', "not symmetric"),
        ('polarizability="1 2 3 4"', "must be 9 or 6 numbers"),
        ('dipole="1 2 3" REF_dipole="1 2 3"', r"two candidates for the dipole.*\n.*\[outputs.dipole\]"),
        ("mu=3", r"no frame has a dipole"),
    ],
)
def test_refused(tmp_path, comment, message):
    name = "polarizability" if "polar" in comment else "dipole"
    with pytest.raises(InputError, match=message):
        read(wrote(tmp_path, frame(comment)), outputs=[name])


def test_missing_in_some_frames(tmp_path):
    path = wrote(tmp_path, frame('dipole="1 2 3"'), frame("name=x"))
    with pytest.raises(InputError, match="frame 1.*no dipole"):
        read(path, outputs=["dipole"])
    data = read(path, outputs=["dipole"], missing="mask")
    assert [len(s.outputs) for s in data] == [1, 0] and data.reading.missing == {"dipole": 1}


def test_configuration(tmp_path):
    from nbcore import config

    frames = [frame(f'dipole="{k} 2 3"').replace("H 0 0 1 ", f"H 0 0 1.0{k}") for k in range(6)]
    path = wrote(tmp_path, *frames)
    made = config.from_dict(
        {"name": "x", "data": {"train": str(path)}, "model": {"cutoff": 3.0}, "outputs": {"dipole": {"unit": "D"}}}
    )
    sets = read_sets(made)
    assert len(sets.train) + len(sets.valid) == 6 and sets.E0.source == "none" and set(sets.E0.energies.values()) == {0}
    config.write_config(made, tmp_path / "train.toml")
    again = config.load(tmp_path / "train.toml", ["outputs.dipole.weight=2", "outputs.extra.rank=2"])
    assert again.outputs["dipole"].weight == 2 and again.outputs["dipole"].unit == "D"
    assert again.outputs["extra"].rank == 2 and again.output_labels()["dipole"]["rank"] == 1
    for tables, message in [
        ({"dipole": {"wieght": 1}}, r"\[outputs.dipole\] wieght: no such key. Did you mean weight"),
        ({"dipole": {"rank": 9}}, r"\[outputs.dipole\] rank: expected"),
        ({"moment": {}}, "rank is needed"),
        ({"dipole": 3}, r"write \[outputs.dipole\]"),
        ({"forces": {"rank": 1}}, "none of energy, forces"),
    ]:
        with pytest.raises(config.ConfigError, match=message):
            config.from_dict(
                {"name": "x", "data": {"train": "a"}, "model": {"cutoff": 3.0}, "outputs": tables}, "train.toml"
            )
    model = {"cutoff": 3.0, "preset": "cormorant"}
    with pytest.raises(config.ConfigError, match="cormorant gives energies alone.*nbody"):
        config.from_dict({"name": "x", "data": {"train": "a"}, "model": model, "outputs": {"dipole": {}}})
