"""nbcore beside MACE on one core, in one run: energies and forces, and a training step.

    taskset -c 0 python benchmarks/speed.py --data acac/train_300K.xyz [--model acac/acac.nbcore] [--batch 5]
    taskset -c 0 python benchmarks/speed.py --structure si512 --channels 128 --l 2

--data: any file with energies and forces that nbcore reads. --structure si512: a crystal of silicon in place of it,
energies and forces alone. Without --model a random `nbody` is measured (--channels, states to l = --l, harmonics to
l = 3, correlation 3, two levels, float64). MACE (mace-torch, PyPI) is measured where it is installed, with the same
sizes; weights are random, times do not depend on them. Neighbour lists are made before and left out, but for nbcore on
si512, where the list is part of its time. CPU time, median of the repetitions (smallest to largest).
"""

import argparse
import os
import statistics
import sys
import time
import warnings

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402

import nbcore  # noqa: E402
from nbcore.bench.models import evaluation, silicon  # noqa: E402
from nbcore.data import read  # noqa: E402
from nbcore.train import Adam, Loss, TrainingSet  # noqa: E402


def measure(function, repetitions=7, least=0.3):
    """CPU seconds per call, sorted; every repetition lasts at least `least` seconds."""
    function()
    start = time.process_time()
    function()
    calls = max(1, int(least / max(time.process_time() - start, 1e-6)))
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        for _ in range(calls):
            function()
        times.append((time.process_time() - start) / calls)
    return sorted(times)


def nbcore_calls(potential, structures):
    """Evaluation (with the neighbour list, where there are no labels) and training step of nbcore."""
    if structures[0].forces is None:
        run = evaluation(potential, structures[0])
        return lambda: run(1), None
    training_set, loss = TrainingSet(potential, structures), Loss()
    optimizer = Adam(lr=1e-6, amsgrad=True)

    def step():
        gradient = training_set.loss_and_gradient(None, loss, threads=1).gradient
        norm = np.linalg.norm(gradient)
        optimizer.step(potential.parameters, gradient * min(1.0, 10.0 / norm))

    return lambda: training_set.predict(None, threads=1), step


def mace_calls(structures, cutoff, channels, l_states):
    """The same of mace-torch: ScaleShiftMACE, two layers, max_ell 3, correlation 3, 8 Bessel functions."""
    import torch
    from e3nn import o3
    from mace import data, modules, tools
    from mace.tools.torch_geometric.dataloader import DataLoader

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    numbers = sorted({int(z) for s in structures for z in s.numbers})
    table = tools.AtomicNumberTable(numbers)
    keys = data.KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={"forces": "REF_forces"})
    graphs = []
    for s in structures:
        atoms = s.to_ase()
        atoms.calc = None
        if s.forces is not None:
            atoms.info["REF_energy"], atoms.arrays["REF_forces"] = s.energy, np.array(s.forces)
        configuration = data.config_from_atoms(atoms, key_specification=keys)
        graphs.append(data.AtomicData.from_config(configuration, z_table=table, cutoff=cutoff))
    batch = next(iter(DataLoader(graphs, batch_size=len(graphs), shuffle=False)))
    inputs = batch.to_dict()
    neighbours = inputs["edge_index"].shape[1] / sum(len(s.numbers) for s in structures)
    model = modules.ScaleShiftMACE(
        r_max=cutoff, num_bessel=8, num_polynomial_cutoff=5, max_ell=3, num_interactions=2, num_elements=len(numbers),
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
        hidden_irreps=o3.Irreps([(channels, (l, (-1) ** l)) for l in range(l_states + 1)]),
        MLP_irreps=o3.Irreps("16x0e"),
        gate=torch.nn.functional.silu, atomic_energies=np.zeros(len(numbers)), avg_num_neighbors=neighbours,
        atomic_numbers=table.zs, correlation=3, radial_type="bessel", atomic_inter_scale=1.0, atomic_inter_shift=0.0,
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6, amsgrad=True)
    loss_function = modules.WeightedEnergyForcesLoss(energy_weight=1.0, forces_weight=100.0)

    def evaluate():
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        model(dict(inputs), training=False, compute_force=True)

    def step():
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_function(pred=model(dict(inputs), training=True, compute_force=True), ref=batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()

    labelled = structures[0].forces is not None
    return sum(p.numel() for p in model.parameters()), evaluate, step if labelled else None


def machine_line():
    """Date, commit and peak, for comparing with other tables."""
    from nbcore.bench import Machine, record

    machine = Machine()
    peak = statistics.median(machine.peak() for _ in range(5))
    return f"{record.date.today()}, commit {record.commit()}, FMA peak {peak:.1f} GFLOP/s"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data")
    source.add_argument("--structure", choices=["si512"])
    parser.add_argument("--model")
    parser.add_argument("--batch", type=int, default=5, help="structures per evaluation and step")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--l", type=int, default=1, help="largest l of the states")
    parser.add_argument("--least", type=float, default=0.3, help="seconds per repetition")
    args = parser.parse_args()

    structures = read(args.data)[: args.batch] if args.data else [silicon(4)]
    if args.model:
        potential = nbcore.Potential.load(args.model)
    else:
        numbers = sorted({int(z) for s in structures for z in s.numbers})
        potential = nbcore.presets.nbody(species=numbers, cutoff=5.0, channels=args.channels, l_states=args.l)
    options = potential.description["options"]
    channels, l_states = options["channels"], options["l_states"]
    n_atoms = sum(len(s.numbers) for s in structures)
    n_parameters = len(potential.parameters)  # before the steps below change them
    print(f"# {nbcore.build_info()}, {n_atoms} atoms in {len(structures)} structures, one thread")
    print(f"# {channels} channels, states to l = {l_states}, {machine_line()}")
    rows = [("nbcore", n_parameters, *nbcore_calls(potential, structures))]
    try:
        rows.append(("MACE", *mace_calls(structures, potential.cutoff, channels, l_states)))
    except ImportError as e:
        print(f"# MACE is not measured: {e}", file=sys.stderr)
    print("| code | parameters | energies and forces, us/atom | training step, ms/structure |")
    print("|---|---|---|---|")
    medians = []
    for name, parameters, evaluate, step in rows:
        times = [[1e6 * t / n_atoms for t in measure(evaluate, args.repetitions, args.least)]]
        if step:
            times.append([1e3 * t / len(structures) for t in measure(step, args.repetitions, args.least)])
        medians.append([statistics.median(x) for x in times])
        cells = [f"{statistics.median(x):.4g} ({x[0]:.4g}-{x[-1]:.4g})" for x in times] + [""] * (step is None)
        print(f"| {name} | {parameters} | {cells[0]} | {cells[1]} |", flush=True)
    if len(medians) == 2:
        ratios = [f"{b / a:.1f}" for a, b in zip(*medians, strict=True)] + [""]
        print(f"| ratio | | {ratios[0]} | {ratios[1]} |")


if __name__ == "__main__":
    main()
