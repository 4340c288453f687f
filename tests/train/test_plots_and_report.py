"""Plots are whole PNGs; the report is one file that needs no other and shows what it is given."""

import base64
import re
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest
from pair_model import PairModel, PairTrainingSet, molecules

from nbcore.results import Prediction, compare, plots, report

MODEL = PairModel()


def one_set(name, n, seed, periodic=False):
    structures = molecules(n, seed)
    result = PairTrainingSet(MODEL, structures).predict()
    stress = [None] * n
    if periodic:
        for s in structures:
            s.cell, s.pbc, s.stress = 20 * np.eye(3), np.ones(3, bool), 0.01 * np.eye(3)
        stress = [0.012 * np.eye(3)] * n
    return name, structures, [Prediction(*p) for p in zip(result.energies, result.forces, stress, strict=True)]


def picture(path):
    image = matplotlib.image.imread(path)
    assert (image[..., :3].min(axis=2) < 0.9).mean() > 0.005  # something is drawn
    return image.shape


@pytest.mark.parametrize("periodic", [False, True])
def test_parity_has_a_panel_per_label(tmp_path, periodic):
    plots.parity(tmp_path / "p.png", [one_set("train", 30, 1, periodic), one_set("hot", 9, 2, periodic)], MODEL.E0s)
    height, width, _ = picture(tmp_path / "p.png")
    assert width / height == pytest.approx(3 if periodic else 2, rel=0.02)


def test_parity_numbers_are_those_of_evaluate(tmp_path, monkeypatch):
    texts, sets = [], [one_set("hot", 9, 2)]

    def read(figure, path):
        texts.extend(t.get_text() for ax in figure.axes for t in ax.get_legend().get_texts())

    monkeypatch.setattr(plots, "_save", read)
    plots.parity(tmp_path / "p.png", sets, MODEL.E0s)
    e = compare(*sets[0])
    assert f"RMSE {1e3 * e.energy_rmse_per_atom:.3g}, MAE {1e3 * e.energy_mae_per_atom:.3g}, n 9" in texts[0]
    assert f"RMSE {1e3 * e.forces_rmse:.3g}, MAE {1e3 * e.forces_mae:.3g}, n 135" in texts[1]


@pytest.mark.parametrize("many", [False, True])
def test_no_text_lies_over_points(tmp_path, monkeypatch, many):
    """Legends and texts stay out of the panels, at any number of sets and of points."""
    figures, save = [], plots._save
    monkeypatch.setattr(plots, "_save", lambda figure, path: (figures.append(figure), save(figure, path)))
    sets = [one_set(name, 1100 if many else 20, k, True) for k, name in enumerate(("train", "valid", "test", "hot"))]
    plots.parity(tmp_path / "p.png", sets, MODEL.E0s)
    plots.error_distributions(tmp_path / "e.png", sets)
    kinds = [f"{k}_{n}" for k in ("energy", "forces", "stress") for n in ("train", "valid")]
    history = [{"epoch": e, **dict.fromkeys(kinds, 1 / e)} for e in range(1, 30)]
    plots.learning_curve(tmp_path / "l.png", history, best_epoch=28, stage_two_epoch=20)
    assert len(figures) == 3
    for figure in figures:
        panels = [ax.get_window_extent() for ax in figure.axes]
        legends = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
        assert legends and not figure.texts and not any(ax.texts for ax in figure.axes)
        for legend in legends:
            box = legend.get_window_extent().shrunk(0.999, 0.98)
            assert not any(box.overlaps(panel) for panel in panels)
            assert box.y1 <= figure.bbox.y1 and box.x1 <= figure.bbox.x1 * 1.05


def test_many_points_become_a_density(tmp_path):
    plots.parity(tmp_path / "p.png", [one_set("hot", 400, 2)], MODEL.E0s)
    plots.error_distributions(tmp_path / "e.png", [one_set("hot", 1100, 2)])
    assert picture(tmp_path / "p.png") and picture(tmp_path / "e.png")


def test_errors_without_forces_show_energies(tmp_path):
    name, structures, predictions = one_set("hot", 9, 2)
    for s in structures:
        s.forces = None
    plots.error_distributions(tmp_path / "e.png", [(name, structures, predictions)], MODEL.E0s)
    plots.parity(tmp_path / "p.png", [(name, structures, predictions)], MODEL.E0s)
    assert picture(tmp_path / "e.png") and picture(tmp_path / "p.png")


def test_learning_curve_with_gaps(tmp_path):
    empty = dict.fromkeys(f"{k}_{n}" for k in ("energy", "forces", "stress") for n in ("train", "valid"))
    history = [{"epoch": e, **empty, "energy_train": 1 / e, "forces_train": 2 / e} for e in range(1, 30)]
    plots.learning_curve(tmp_path / "l.png", history, best_epoch=28, stage_two_epoch=20)
    height, width, _ = picture(tmp_path / "l.png")
    assert width / height == pytest.approx(2, rel=0.02)


class Reader(HTMLParser):
    """Collects text and sources; complains about tags that do not close."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_report_is_one_file_with_everything_in_it(tmp_path):
    (tmp_path / "plots").mkdir()
    sets = [one_set("train", 12, 1), one_set("<hot> & cold", 9, 2)]
    plots.parity(tmp_path / "plots" / "parity.png", sets, MODEL.E0s)
    rows = [compare(*s) for s in sets]
    MODEL.annotate(
        about={"description": "A <b>test</b>", "reference": "PBE & D3", "cite": ""},
        training={
            "name": "acac",
            "files": [{"name": "t.xyz", "n": 12, "sha256": "ab12"}],
            "settings": {"training.lr": 0.01},
        },
    )
    report.write(tmp_path / "report.html", MODEL, rows, "labels  energy", ["Look <here>"], ["30 epochs"], tmp_path)
    reader = Reader()
    reader.feed((tmp_path / "report.html").read_text())
    assert not reader.open
    (source,) = reader.sources
    assert (
        base64.b64decode(source.removeprefix("data:image/png;base64,"))
        == (tmp_path / "plots" / "parity.png").read_bytes()
    )
    text = " ".join(reader.text)
    for said in (
        "<hot> & cold",
        "A <b>test</b>",
        "PBE & D3",
        "! Look <here>",
        "30 epochs",
        "labels  energy",
        "t.xyz",
        "ab12",
    ):
        assert said in text
    figures = re.findall(r"[\d.]+", text[text.index("<hot> & cold") :])
    assert f"{1e3 * rows[1].energy_rmse:.1f}" in figures and f"{1e3 * rows[1].forces_rmse:.1f}" in figures
    assert "training.lr" in text and "numpy" in text and np.__version__ in text
