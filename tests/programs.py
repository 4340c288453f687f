"""A program run gate by gate, so that every state can be looked at, not the energies alone."""

import numpy as np

from nbcore.gates import GateRun


def edges_of(positions, cutoff):
    """(parent, child, r_child - r_parent) of all pairs of atoms within the cutoff."""
    r = positions[None] - positions[:, None]
    distance = np.linalg.norm(r, axis=2)
    parent, child = np.nonzero((distance < cutoff) & (distance > 0))
    return parent, child, r[parent, child]


def run_program(program, species, edges, parameters, n_species, states=()):
    """name -> (flat state, parts as `GateRun.output_parts`), those given as `states` included.

    parameters: name "gate.parameter" -> array."""
    states = dict(states)
    for spec in program["gates"]:
        spec = dict(spec)
        inputs = [states[name] for name in spec.pop("inputs", [])]
        run = GateRun(spec, [parts for _, parts in inputs], n_species, program["parity"])
        run.set_graph(species, *edges)
        theta = [np.ravel(parameters[f"{spec['name']}.{name}"]) for name in run.parameters]
        out = run.forward(np.concatenate([*theta, []]), [state for state, _ in inputs])
        states[spec["name"]] = out, run.output_parts
    return states


def parameters_of(potential):
    return {name: potential.parameters[s].reshape(shape) for name, (s, shape) in potential.parameter_slices.items()}
