"""The table of a gate's options is what the core does: defaults, types, ranges and choices of every option there is."""

import numpy as np
import pytest
from gate_examples import EXAMPLES, N_SPECIES, graph, size

from nbcore import gates

OPTIONS = [(name, option) for name in sorted(EXAMPLES) for option in gates.available()[name]["options"]]
RADIAL = sorted(gates.radial_options())


def example_of(name):
    return EXAMPLES[name](np.random.default_rng([3, *name.encode()]))


def resolved(option, table, values):
    """Its default; of one that is another option's, that value, within the range."""
    default = table[option]["default"]
    return values[default] if table[option]["type"] in ("int", "float") and isinstance(default, str) else default


def out_of_type_and_range(entry):
    """(value, what must stand in the message) of values that the table does not allow."""
    match entry["type"]:
        case "int":
            yield from ((2.5, "a whole number from"), ("3", "a whole number"), (True, "a whole number"),
                        (None, "a whole number"), (10**18, "a whole number"))  # fmt: skip
        case "float":
            yield from (("3", "a number"), (True, "a number"), ([1.0], "a number"))
        case "bool":
            yield from ((1, "true or false"), ("true", "true or false"))
        case "str":
            yield from (("evil", '" or "'), (3, '" or "'), (None, '" or "'))
        case "list of str":
            yield from (([1], "a list of texts"), ("0e", "a list of texts"))
        case "list of int" | "list of float":
            yield from ((3, "a list of"), (["a"], "a list of"), ([[1]], "a list of"))
        case "radial":
            yield from ((3, "an object"), ([], "an object"))
    if entry.get("low") is not None:
        yield (entry["low"] - 1 if "most" not in entry else [entry["low"] - 1]), "from"
    if entry.get("above") is not None:
        yield entry["above"], "above"
    if isinstance(entry.get("high"), int):
        yield (entry["high"] + 1 if "most" not in entry else [entry["high"] + 1]), f"{entry['high']}"
    if "most" in entry:
        yield [entry["low"]] * (entry["most"] + 1), f"at most {entry['most']}"


@pytest.mark.parametrize("name, option", OPTIONS)
def test_what_the_table_does_not_allow_is_refused(name, option):
    """By the gate's name, the option's, what is expected and what came."""
    example, entry = example_of(name), gates.available()[name]["options"][option]
    for value, expected in out_of_type_and_range(entry):
        with pytest.raises(ValueError) as error:
            gates.GateRun({**example.spec, option: value}, example.inputs, N_SPECIES, example.parity)
        text = str(error.value)
        assert text.startswith(f"gate gate ({name}): {option} must be ") and expected in text and ", got " in text
        assert text.endswith(f"({entry['doc']})")


@pytest.mark.parametrize("option", RADIAL)
def test_what_the_radial_table_does_not_allow_is_refused(option):
    entry = gates.radial_options()[option]
    for value, expected in out_of_type_and_range(entry):
        with pytest.raises(ValueError) as error:
            gates.GateRun({"gate": "density", "radial": {option: value}})
        assert str(error.value).startswith(f"gate gate (density): radial: {option} must be ")
        assert expected in str(error.value)
    with pytest.raises(ValueError, match='density.*radial: no option "colour"; there are basis, n, cutoff'):
        gates.GateRun({"gate": "density", "radial": {"colour": 1}})


def results(spec, example, parity):
    run = gates.GateRun(spec, example.inputs, N_SPECIES, parity)
    rng = np.random.default_rng(5)
    species, parent, child, r = graph(rng)
    pairs = gates.available()[spec["gate"]]["pairs"]
    run.set_graph(species, parent, child, r, rng.permutation(child) if pairs else ())
    theta = rng.standard_normal(run.n_parameters)
    return (
        run.output_parts,
        run.parameters,
        run.forward(theta, [rng.standard_normal(size(parts, len(species))) for parts in example.inputs]),
    )


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_defaults_are_the_defaults(name):
    """A gate that is given nothing is the gate that is given every default of the table, to the last bit: of each
    option by itself, whatever the others are, and of all of them."""
    example, table = example_of(name), gates.available()[name]["options"]
    if name == "tensor_product":  # what the other options' defaults need of it
        example.inputs = [[(0, 1 if example.parity == "o3" else 0, 3), (1, -1 if example.parity == "o3" else 0, 2)]]
        example.spec = {"gate": name}
    if name == "zeroth_order":  # with weights: all parts of the same channels
        example.inputs = [[(0, 1 if example.parity == "o3" else 0, 3), (1, -1 if example.parity == "o3" else 0, 3)]]
        example.spec = {"gate": name, "l_max": 2, "radial": {"layers": [3]}}
    for left_out in [{option} for option in table] + [set(table)]:
        spec = {key: value for key, value in example.spec.items() if key not in left_out}
        full = dict(spec)
        for option in table:
            if option not in full:
                value = resolved(option, table, full)
                if option == "radial":
                    value = {k: v["default"] for k, v in gates.radial_options().items()}
                full[option] = min(value, full["l_max"]) if option == "l_min" else value
        try:
            a = results(spec, example, example.parity)
        except ValueError as e:
            with pytest.raises(ValueError) as other:
                results(full, example, example.parity)
            assert str(other.value) == str(e)
            continue
        b = results(full, example, example.parity)
        assert a[:2] == b[:2] and np.array_equal(a[2], b[2])
