"""What an evaluation costs with more atoms, channels, angular momenta and factors, and what more threads save."""

import statistics
import time

import nbcore
from nbcore.bench.models import CUTOFF, batch, evaluation, silicon, training
from nbcore.bench.record import Row

VARIED = {
    "channels": (16, 32, 64, 128),
    "l_states": (0, 1, 2),
    "l_harmonics": (1, 2, 3, 4),
    "correlation": (1, 2, 3),
}
CELLS = (2, 4, 8, 16)  # cubic cells of 8 atoms along an edge


def rows(machine):
    """Atoms, then options of `nbody`, on silicon; then threads, by the clock on the wall."""
    largest = 2 if machine.quick else CELLS[-1]
    potential = nbcore.presets.nbody(species=["Si"], cutoff=CUTOFF, channels=16 if machine.quick else 64)
    costs = []
    for n in (n for n in CELLS if n <= largest):
        structure = silicon(n)
        costs.append(_cost(machine, potential, structure))
        yield _row("scaling", f"atoms {len(structure)}", costs)
    structure = silicon(2)
    for option, values in VARIED.items():
        costs = []
        for value in values[:1] if machine.quick else values:
            options = {"channels": 32, option: value}
            varied = nbcore.presets.nbody(species=["Si"], cutoff=CUTOFF, **options)
            costs.append(_cost(machine, varied, structure))
            yield _row("scaling", f"{option} {value}", costs)
    yield from _threads(machine, potential)


def _cost(machine, potential, structure):
    seconds, _ = machine.time(evaluation(potential, structure))
    return 1e6 * seconds[len(seconds) // 2] / len(structure)


def _row(table, name, costs):
    return Row(table, name, {"us/atom": costs[-1], "times the first": costs[-1] / costs[0]})


def _threads(machine, potential):
    """The speed-up is compared with the recorded one; on one core there is nothing to see."""
    crystal = silicon(2 if machine.quick else 8)
    molecules = batch() * 3
    with machine.all_cores() as cores:
        alone = {}
        for n in (n for n in (1, 2, 4, 8, 16, 32, 64) if n <= cores):
            other = nbcore.presets.nbody(species=["H", "C", "O"], cutoff=CUTOFF, channels=16 if machine.quick else 64)
            for name, run, atoms in (
                (f"Si{len(crystal)}", evaluation(potential, crystal, n), len(crystal)),
                (f"training step, batch {len(molecules)}", training(other, molecules, n)[1], 15 * len(molecules)),
            ):
                run(1)
                seconds = statistics.median(_wall_seconds(run) for _ in range(machine.repetitions))
                alone.setdefault(name, seconds)
                speedup = alone[name] / seconds
                figures = {"us/atom": 1e6 * seconds / atoms, "speed-up": speedup}
                yield Row("threads", f"{name}, {n} thread{'s' * (n > 1)}", figures, speedup if n > 1 else None)


def _wall_seconds(run):
    start = time.perf_counter()
    run(1)
    return time.perf_counter() - start
