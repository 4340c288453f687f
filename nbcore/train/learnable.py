"""Before a training begins: are there labels, does the loss look at them, and can what it makes be saved?"""

import tempfile
from pathlib import Path

import numpy as np

from nbcore.data.shard_set import Shards
from nbcore.data.structure import one_per_atom
from nbcore.data.whole_sets import counting
from nbcore.errors import Error, InputError
from nbcore.train.loss import TERMS


def check_labels(structures, outputs) -> None:
    """InputError, naming the structure, for a label that is not finite or has another shape than the atoms say."""
    for k, s in enumerate([] if isinstance(structures, Shards) else structures):  # shards were checked when written
        where, n = (s.where if s.file else f"structure {k}"), len(s.numbers)
        labels = {"energy": (s.energy, ()), "forces": (s.forces, (n, 3)), "stress": (s.stress, (3, 3))}
        labels |= {name: (tensor, None) for name, tensor in s.outputs.items() if name in outputs}
        for name, (label, shape) in labels.items():
            if label is None:
                continue
            label = np.asarray(label, dtype=float)
            if shape is not None and label.shape != shape:
                raise InputError(f"{where}: {name} must have the shape {shape}, got {label.shape}")
            if not np.all(np.isfinite(label)):
                atom = f" of atom {np.argwhere(~np.isfinite(label))[0][0]}" if name == "forces" or (
                    name in outputs and one_per_atom(s, label)
                ) else ""  # fmt: skip
                raise InputError(f"{where}: {name}{atom} is not a finite number; correct it, or leave the frame out")
        for key, weight in s.weights.items():
            if not (np.isfinite(weight) and weight >= 0):
                raise InputError(f"{where}: its {key} must be a number of at least 0, got {weight}")


def check_loss(potential, train, valid, settings) -> None:
    """InputError where the loss of a stage is zero whatever the network says, on train or on valid."""
    settings.loss.check_names(potential)
    stages = [("[loss]", settings.last_loss_of(1), "")] if settings.stage_two_epoch > 0 else []
    if settings.has_stage_two:
        stages.append(("[stage_two]", settings.last_loss_of(2), " in stage two"))
    for structures, name in ((train, "training"), (valid, "validation")):
        if not len(structures):
            continue
        if not _weigh(structures):
            raise InputError(f"every structure of the {name} data has the weight 0: there is nothing to learn from")
        labelled = _labelled(potential, structures)
        if not labelled:
            wanted = [*(["energy, forces or stress"] if potential.has_energy else []), *potential.outputs]
            raise InputError(f"no structure of the {name} data has what this network learns: {', '.join(wanted)}")
        for table, loss, when in stages:
            weights = loss.weights(potential)
            if any(weights[label] > 0 for label in labelled):
                continue
            has = ", ".join(f"{label} (weight 0)" for label in labelled)
            asks = [f"{label} (weight {w:g})" for label, w in weights.items() if w > 0]
            of = f" and asks for {', '.join(asks)}, which no structure has" if asks else ""
            raise InputError(
                f"the {name} data have {has}: the loss{when} is zero whatever the network says{of}. "
                f"Give one of them a weight, for example  {_key(labelled[0], table, potential)}"
            )


def _key(label, table, potential):
    if label in potential.outputs:
        return f"weight = 1.0  under [outputs.{label}]"
    return f"{label}_weight = 1.0  under {table if label == 'energy' else '[loss]'}"


def _labelled(potential, structures):
    """What the potential learns and some structure that counts has: energy, forces, stress, outputs."""
    kinds = {**(TERMS if potential.has_energy else {}), **{name: name for name in potential.outputs}}
    there = counting(structures, dict.fromkeys(kinds.values()))
    return [kind for kind, label in kinds.items() if label in there]


def _weigh(structures):
    """True if some structure has a weight."""
    if isinstance(structures, Shards):
        return bool(np.any(structures.weight_of() > 0))
    return any(s.weight != 0 for s in structures)


def lonely_atoms(potential, train_set) -> list[str]:
    """A remark where no atom has a neighbour, so that a network of neighbourhoods has nothing to learn from."""
    if train_set.average_neighbours > 0 or potential.has_parts:
        return []
    return [
        f"No atom of the training data has a neighbour within the cutoff of {potential.cutoff:g} Å: the energy of the "
        "model is the sum of the E0s. Give a larger cutoff."
    ]


def check_saves(potential) -> None:
    """InputError if what the potential is cannot be saved and loaded: to be known before hours of training."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trial.nbcore"
            potential.save(str(path))
            again = type(potential).load(str(path))
        same = np.array_equal(again.parameters, potential.parameters)
    except OSError:  # a temporary folder that is full says nothing about the network
        return
    except Error as e:
        raise InputError(f"this network cannot be saved, so it is not trained: {e}{_options(potential)}") from e
    if not same:
        raise InputError(f"this network is another one after saving, so it is not trained{_options(potential)}")


def _options(potential):
    options = potential.description.get("options", {})
    preset = potential.description.get("preset", "")
    listed = ", ".join(f"{key} = {value}" for key, value in options.items() if value is not None)
    return f"\nChange an option of the preset {preset}: {listed}" if listed else ""
