"""Folders of n2p2 against the symmetry functions, scalings and perceptrons of its manual, written out in NumPy.

A published network, of water (two elements, 27 and 30 functions), was compared by hand with the numbers of n2p2 itself:
energies to 1e-15, forces to 1e-14 of themselves.
"""

import itertools

import numpy as np
import pytest
from structures import structures

import nbcore
from nbcore.errors import InputError
from nbcore.importing.n2p2 import ENERGIES, LENGTHS
from nbcore.species import symbols

ELEMENTS = ["O", "H", "C"]  # as the file has them, not by number
CUTOFFS = {1: lambda x: 0.5 * (np.cos(np.pi * x) + 1), 2: lambda x: np.tanh(1 - x) ** 3,
           6: lambda x: ((15 - 6 * x) * x - 10) * x**3 + 1}  # fmt: skip
ACTIVATIONS = {"t": np.tanh, "p": lambda x: np.logaddexp(0, x), "l": lambda x: x}


def functions(rng):
    """Rows of symfunction_short in an order that is not n2p2's: two cutoffs, all types."""
    rows = []
    for element in ELEMENTS:
        for other in ELEMENTS:
            rows += [(element, 2, other, eta, shift, cutoff) for eta, shift, cutoff in
                     [(0.3, 1.0, 7.0), (0.05, 0.0, 8.0), (0.02, 0.0, 7.0)]]  # fmt: skip
        for a, b in itertools.combinations_with_replacement(ELEMENTS, 2):
            kind = 3 if a == b else 9
            rows += [(element, kind, b, a, 0.03, 1.0, 2.0, 7.0), (element, kind, b, a, 0.01, -1.0, 1.0, 7.0)]
    rows.append(("H", 2, "O", 0.05, 0.0, 8.0))  # is there already: both weights count
    return [rows[k] for k in rng.permutation(len(rows))]


def in_order(rows, element):
    """n2p2 sorts the functions of an element by type, cutoff, eta, shift, zeta, lambda, elements."""

    def key(row):
        if row[1] == 2:
            _, kind, a, eta, shift, cutoff = row
            return (kind, cutoff, eta, shift, 0, 0, ELEMENTS.index(a), 0)
        _, kind, a, b, eta, sign, zeta, cutoff = row
        return (kind, cutoff, eta, 0, zeta, sign, ELEMENTS.index(a), ELEMENTS.index(b))

    return sorted((row for row in rows if row[0] == element), key=key)


def value(row, f, r, types, names):
    """A symmetry function from the vectors to the neighbours."""
    d = np.linalg.norm(r, axis=1)
    if row[1] == 2:
        _, _, a, eta, shift, cutoff = row
        return sum(np.exp(-eta * (x - shift) ** 2) * f(x / cutoff) for x, t in zip(d, types, strict=True)
                   if names[t] == a and x < cutoff)  # fmt: skip
    _, kind, a, b, eta, sign, zeta, cutoff = row
    total = 0.0
    for j, k in itertools.combinations(range(len(d)), 2):
        if sorted((names[types[j]], names[types[k]])) != sorted((a, b)) or max(d[j], d[k]) >= cutoff:
            continue
        side = np.linalg.norm(r[j] - r[k])
        if kind == 3 and side >= cutoff:
            continue
        squares = d[j] ** 2 + d[k] ** 2 + (side**2 if kind == 3 else 0)
        ends = f(d[j] / cutoff) * f(d[k] / cutoff) * (f(side / cutoff) if kind == 3 else 1)
        cosine = r[j] @ r[k] / (d[j] * d[k])
        total += 2 ** (1 - zeta) * (1 + sign * cosine) ** zeta * np.exp(-eta * squares) * ends
    return total


CASES = [
    dict(cutoff_type=1, flags=[], letters="t l", nodes=[4]),
    dict(cutoff_type=2, flags=["scale_symmetry_functions", "center_symmetry_functions"], letters="t p l", nodes=[4, 3],
         limits=(-0.3, 1.2), norm=(-2.5, 40.0)),
    dict(cutoff_type=6, flags=["scale_symmetry_functions"], letters="p l", nodes=[5], atoms={"H": -0.5}),
    dict(cutoff_type=2, flags=["scale_symmetry_functions_sigma"], letters="t l", nodes=[3], limits=(0.1, 2.0)),
    dict(cutoff_type=2, flags=["center_symmetry_functions"], letters="t l", nodes=[3]),
]  # fmt: skip


def write(folder, case, rng):
    """The folder, and the energy of the atom of an element as a function of its neighbours."""
    folder.mkdir()
    rows = functions(rng)
    low, high = case.get("limits", (0.0, 1.0))
    mean_energy, conv_energy = case.get("norm", (0.0, 1.0))
    nodes = " ".join(map(str, case["nodes"]))
    lines = [f"elements {' '.join(ELEMENTS)}   # in any order", f"cutoff_type {case['cutoff_type']}", *case["flags"],
             f"scale_min_short {low}", f"scale_max_short {high}", f"global_nodes_short {nodes}",
             f"global_activation_short {case['letters']}", "", "# comment"]  # fmt: skip
    lines += [f"mean_energy {mean_energy}", f"conv_energy {conv_energy}", "conv_length 3.0"] if "norm" in case else []
    lines += [f"atom_energy {e} {x}" for e, x in case.get("atoms", {}).items()]
    lines += [f"symfunction_short {' '.join(map(str, row))}" for row in rows]
    (folder / "input.nn").write_text("\n".join(lines))
    scaling, networks = ["# comment"], {}
    for number, element in enumerate(ELEMENTS, start=1):
        ordered = in_order(rows, element)
        table = rng.uniform(0.5, 2.0, (len(ordered), 4)) * [0.1, 3.0, 1.0, 0.7]
        scaling += [f"{number} {k + 1} " + " ".join(f"{x!r}" for x in row.tolist()) for k, row in enumerate(table)]
        widths = [len(ordered), *case["nodes"], 1]
        layers = [(rng.standard_normal((n, m)) / n**0.5, rng.standard_normal(m))
                  for n, m in zip(widths, widths[1:], strict=False)]  # fmt: skip
        text = ["# comment"]
        for l, (W, b) in enumerate(layers):  # noqa: E741
            text += [f"{W[i, j]!r} a 1 {l} {i + 1} {l + 1} {j + 1}" for i, j in np.ndindex(W.shape)]
            text += [f"{x!r} b 1 {l + 1} {j + 1}" for j, x in enumerate(b)]
        number_of = {"H": 1, "C": 6, "O": 8}[element]
        (folder / f"weights.{number_of:03d}.data").write_text(
            "\n".join(text).replace("np.float64(", "").replace(")", "")
        )
        networks[element] = ordered, table, layers
    (folder / "scaling.data").write_text("\n".join(scaling))

    def energy(element, r, types):
        ordered, table, layers = networks[element]
        G = np.array([value(row, CUTOFFS[case["cutoff_type"]], r, types, ELEMENTS) for row in ordered])
        least, most, mean, sigma = table.T
        match case["flags"]:
            case ["scale_symmetry_functions"]:
                G = low + (high - low) * (G - least) / (most - least)
            case ["scale_symmetry_functions", "center_symmetry_functions"]:
                G = low + (high - low) * (G - mean) / (most - least)
            case ["scale_symmetry_functions_sigma"]:
                G = low + (high - low) * (G - mean) / sigma
            case ["center_symmetry_functions"]:
                G = G - mean
        for (W, b), letter in zip(layers, case["letters"].split(), strict=True):
            G = ACTIVATIONS[letter](G @ W + b)
        return G[0] / conv_energy + mean_energy + case.get("atoms", {}).get(element, 0.0)

    return energy


@pytest.mark.parametrize("number", range(len(CASES)))
def test_energies(tmp_path, number):
    energy = write(tmp_path / "nn", CASES[number], np.random.default_rng(number))
    potential = nbcore.import_model(tmp_path / "nn", length_unit="Bohr", energy_unit="Hartree")
    s = structures()["cluster"]
    r, names = s["positions"] / LENGTHS["Bohr"], symbols(s["numbers"])
    expected = 0.0
    for i, name in enumerate(names):
        others = np.arange(len(r)) != i
        expected += energy(name, r[others] - r[i], [ELEMENTS.index(n) for n in np.array(names)[others]])
    found = potential.compute(s["positions"], s["numbers"])
    assert abs(found.energy - expected * ENERGIES["Hartree"]) < 1e-11 * abs(found.energy)
    potential.save(tmp_path / "nn.nbcore")
    assert nbcore.Potential.load(tmp_path / "nn.nbcore").compute(s["positions"], s["numbers"]).energy == found.energy


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("input.nn", "cutoff_type 2", "cutoff_type 3", "cutoff_type 3; nbcore knows 1, 2, 6"),
        ("input.nn", "cutoff_type 2", "cutoff_type 2 0.3", "without an inner radius"),
        ("input.nn", "global_activation_short t p l", "global_activation_short t g l", "nbcore knows t and p"),
        ("input.nn", "# comment", "normalize_nodes", "normalize_nodes: nbcore does not know what this changes"),
        ("input.nn", "# comment", "symfunction_short H 12 0.1 0.0 6.0", "nbcore knows the types 2, 3 and 9"),
        ("input.nn", "# comment", "symfunction_short N 2 H 0.1 0.0 6.0", "N, which are not among the elements"),
        ("input.nn", "scale_min_short -0.3", "scale_min_short low", "expected a number, got low"),
        ("scaling.data", "\n2 3 ", "\n2 99 ", "a row for each of the 22 functions of H"),
        ("weights.008.data", " b 1 2 1", " b 1 2 9", "expected a weight of layers of"),
        ("weights.001.data", " b 1 1 1", " b 1 1 2", "are missing"),
    ],
)
def test_what_is_damaged_or_not_known_is_named(tmp_path, file, old, new, said):
    write(tmp_path / "nn", CASES[1], np.random.default_rng(0))
    path = tmp_path / "nn" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        nbcore.import_model(tmp_path / "nn", length_unit="Bohr", energy_unit="Hartree")


def test_units_have_to_be_said(tmp_path):
    write(tmp_path / "nn", CASES[0], np.random.default_rng(0))
    with pytest.raises(InputError, match=r"do not say their units: length_unit \(--length-unit\) must be one of"):
        nbcore.import_model(tmp_path / "nn")
    with pytest.raises(InputError, match="energy_unit .* got 'Rydberg'"):
        nbcore.import_model(tmp_path / "nn" / "input.nn", length_unit="Bohr", energy_unit="Rydberg")
