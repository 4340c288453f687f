"""The fixed partials of a batch, their order, and trainings shared by ranks (threads of one process here)."""

import copy
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_model import molecules
from threads_as_ranks import each_rank

import nbcore
from nbcore import train
from nbcore.cli import main
from nbcore.data import Structures
from nbcore.errors import InputError, NumericsError
from nbcore.ranks import shared
from nbcore.train.partials import added, costs, cut, leaves, nodes, ranges, root, shares, sum_of
from nbcore.train.trainer import Trainer

SIZES = (1, 2, 3, 4, 8)


def grown(n, most=40):
    """n molecules of 5 to `most` atoms, far apart copies of small ones: a batch whose structures differ."""
    found, rng = [], np.random.default_rng(5)
    for s in molecules(n):
        copies = int(rng.integers(1, most // 5 + 1))
        s.positions = np.concatenate([s.positions + [0, 0, 5.0 * k] for k in range(copies)])
        s.numbers, s.forces, s.energy = np.tile(s.numbers, copies), np.tile(s.forces, (copies, 1)), s.energy * copies
        found.append(s)
    return Structures(found)


DATA = grown(14)


def network(seed=3, channels=6):
    small = dict(cutoff=3.0, channels=channels, levels=2, l_harmonics=1, l_states=1, correlation=2)
    return nbcore.presets.nbody(species=["H", "C"], E0s={"H": -1.0, "C": -2.0}, seed=seed, **small)


@given(st.lists(st.integers(1, 400), max_size=70), st.integers(1, 9))
def test_every_structure_has_one_partial_and_every_partial_one_rank(atoms, ranks):
    atoms = np.array(atoms, dtype=int)
    tree = cut(atoms, atoms * 20.0)
    assert sorted(k for partial in tree for k in partial.places) == list(range(len(atoms)))
    assert all(len(p.places) and list(p.places) == sorted(p.places) and p.buffers >= 1 for p in tree)
    assert all(p.cost == pytest.approx(20.0 * atoms[p.places].sum()) for p in tree)
    ranges = shared([p.cost for p in tree], ranks)
    assert [k for first, last in ranges for k in range(first, last)] == list(range(len(tree)))
    assert len(ranges) == ranks


@given(st.integers(1, 40), st.data())
def test_sums_of_nodes_are_those_of_the_whole_tree(n, data):
    """Numbers of very different sizes, so that another order of the additions has other bits."""
    rng = np.random.default_rng(n)
    vectors = list(rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-8, 9, (n, 1)))
    pairs = vectors
    while len(pairs) > 1:
        pairs = [sum(pairs[k : k + 2]) for k in range(0, len(pairs), 2)]
    assert np.array_equal(sum_of(vectors), pairs[0])
    ends = sorted(data.draw(st.lists(st.integers(0, n), max_size=6)))
    found = {}
    for first, last in zip([0, *ends], [*ends, n], strict=True):
        held = nodes(first, last, n)
        assert [k for node in held for k in leaves(*node, n)] == list(range(first, last))
        found |= {node: sum_of([vectors[k] for k in leaves(*node, n)]) for node in held}
    assert np.array_equal(added(found, root(n), n), pairs[0])


def test_equal_structures_are_shared_equally_and_large_ones_have_partials_of_their_own():
    sixteen = cut(np.full(16, 15), np.full(16, 300.0))
    assert [len(p.places) for p in sixteen] == [2] * 8
    assert {len(range(*r)) for n in (2, 4, 8) for r in shared([p.cost for p in sixteen], n)} == {1, 2, 4}
    assert [len(p.places) for p in cut(np.full(5, 200), np.full(5, 1.0))] == [1] * 5
    (whole,) = cut(np.array([4096]), np.array([1.0]))
    assert whole.buffers > 1  # its blocks are work for threads


def test_whole_nodes_of_the_tree_have_about_the_same_work():
    """Structures of very different sizes: each half, quarter and eighth of the leaves is a share like any other."""
    atoms = np.random.default_rng(2).integers(5, 60, 100)
    tree = cut(atoms, atoms * 20.0)
    assert len(tree) == 64
    for n, most in ((2, 1.01), (4, 1.02), (8, 1.03)):
        ((*ends,),) = ranges([tree], n)
        assert ends == [(k * 64 // n, (k + 1) * 64 // n) for k in range(n)]
        work = shares([tree], n)
        assert work.sum() == pytest.approx(20.0 * atoms.sum()) and work.max() < most * work.mean()
        assert all(len(nodes(first, last, 64)) == 1 for first, last in ends)
    growing = 40 + 2 * np.arange(64)  # each of its own: the largest beside the smallest
    assert np.ptp(shares([cut(growing, 1.0 * growing)], 32)) == 0


@given(st.lists(st.lists(st.integers(1, 200), max_size=30), min_size=1, max_size=3), st.integers(1, 9))
def test_every_partial_of_every_tree_has_one_rank(batches, ranks):
    trees = [cut(np.array(atoms, dtype=int), np.array(atoms, dtype=float)) for atoms in batches]
    for tree, of_tree in zip(trees, ranges(trees, ranks), strict=True):
        assert len(of_tree) == ranks
        assert [k for first, last in of_tree for k in range(first, last)] == list(range(len(tree)))
    assert shares(trees, ranks).sum() == pytest.approx(sum(map(sum, batches)))


def by_numpy(atoms, cost):
    """The partials of `cut`, thought out once more: rounds of structures, the largest to whoever has least; then leaves
    are put beside each other height by height."""
    count = 1
    while count < len(atoms) and 2 * count * 30 <= sum(atoms):
        count *= 2
    count = min(count, len(atoms))
    load, members = np.zeros(count), [[] for _ in range(count)]
    falling = sorted(range(len(atoms)), key=lambda k: -cost[k])
    for first in range(0, len(atoms), count):
        least = np.argsort(load, kind="stable")
        for k, partial in zip(falling[first : first + count], least, strict=False):
            load[partial] += cost[k]
            members[partial].append(k)
    level, rest = [([partial], load[partial]) for partial in range(count)], []
    while len(level) > 1:
        level.sort(key=lambda node: -node[1])
        if len(level) % 2:
            rest = [level.pop(0), *rest]
        pairs = zip(level[: len(level) // 2], reversed(level[len(level) // 2 :]), strict=True)
        level = [(one[0] + other[0], one[1] + other[1]) for one, other in pairs]
    order = [partial for leaves_of, _ in [*level, *rest] for partial in leaves_of]
    return [sorted(members[partial]) for partial in order]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 90), st.sampled_from([1.0, 20.0, 33.0])), min_size=1, max_size=90))
def test_partials_are_those_of_numpy(drawn):
    atoms, each = np.array(drawn).T
    assert [list(p.places) for p in cut(atoms.astype(int), atoms * each)] == by_numpy(atoms.astype(int), atoms * each)


def test_an_exchange_takes_no_memory_anew():
    def work(ranks):
        settings = train.Settings(max_epochs=9, batch_size=7)
        trainer = Trainer(train.TrainingSet(network(), DATA), None, settings, ranks=ranks)
        for _ in range(3 * trainer.steps_per_epoch):  # every batch of an epoch has been once
            trainer.step()
        before = {name: memory.ctypes.data for name, memory in ranks._memory.items()}
        trainer.step()
        return before, {name: memory.ctypes.data for name, memory in ranks._memory.items()}

    for before, after in each_rank(2, work):
        assert before == after and before


def test_costs_are_those_of_neighbours():
    """Of crystals they come from the density; a molecule has no more neighbours than it has atoms."""
    cell = 4.0 * np.eye(3)
    crystal = nbcore.data.Structure(np.zeros((1, 3)), [14], cell, [True] * 3)
    dense = nbcore.data.Structure(np.zeros((1, 3)), [14], cell / 2, [True] * 3)
    one, other, molecule = costs([crystal, dense, DATA[0]], 3.0)
    assert other - 12 == pytest.approx(8 * (one - 12))
    n = len(DATA[0])
    assert 12 * n < molecule <= n * (12 + n - 1)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_gradients_have_the_same_bits_for_all_ranks_and_threads(precision):
    training_set, loss = train.TrainingSet(network(), DATA), train.Loss()
    for batch in (np.arange(14), np.array([3, 0, 7]), np.array([5])):
        (tree,) = training_set.trees(batch)
        whole = training_set.loss_and_gradient(batch, loss, 1, precision)
        for threads in (2, 3):
            again = training_set.loss_and_gradient(batch, loss, threads, precision)
            assert np.array_equal(again.gradient, whole.gradient) and again.loss == whole.loss
        for size in SIZES[1:]:
            found = {}
            for first, last in shared([p.cost for p in tree], size):
                held = nodes(first, last, len(tree))
                parts = [[tree[k] for k in leaves(*node, len(tree))] for node in held]
                result, (rows,) = training_set.sums(batch, loss, 1 + size % 2, precision, [parts])
                found |= dict(zip(held, rows, strict=True))
                places = [place for group in parts for partial in group for place in partial.places]
                assert np.array_equal(result.losses, whole.losses[places])
            total = added(found, root(len(tree)), len(tree))
            assert np.array_equal(training_set.gradient([total], precision), whole.gradient)


def fitted(ranks, potential, data, **options):
    """A training of four epochs on these ranks; what decides the rest of it."""
    settings = train.Settings(**{"max_epochs": 4, "batch_size": 5, "clip_grad": 0.5, **options})
    own = copy.deepcopy(potential)
    make = train.heads.training_set
    trainer = Trainer(make(own, data[4:]), make(own, data[:4]), settings, 1 + ranks.rank % 2, ranks=ranks)
    while not trainer.finished:
        trainer.step()
    return trainer.state()


def same(one, two):
    (arrays, plain), (others, other_plain) = one, two
    assert plain == other_plain
    assert all(np.array_equal(array, others[name]) for name, array in arrays.items())


@pytest.mark.parametrize("kind", ["plain", "muon", "single", "heads"])
def test_trainings_end_with_the_same_bits_on_any_number_of_ranks(kind, monkeypatch):
    monkeypatch.setattr("nbcore.train.trainer.SENT", -1e9)  # matrices are shared, however small
    options = {"precision": "float32" if kind == "single" else "float64"}
    options |= {"optimizer": "amsgrad"} if kind == "plain" else {}
    potential, data = network(channels=10 if kind == "muon" else 6), DATA
    if kind == "heads":
        data = copy.deepcopy(DATA)
        for k, s in enumerate(data):
            s.head = ("pbe", "ccsd")[k % 3 == 0]
        potential = train.Heads(potential, {"pbe": 1.0, "ccsd": 2.0})
    alone = fitted(nbcore.ranks.Alone(), potential, data, **options)
    for size in (2, 3, 8) if kind == "plain" else (3,):
        for state in each_rank(size, lambda ranks: fitted(ranks, potential, data, **options)):
            if isinstance(state, BaseException):
                raise state
            same(state, alone)


def test_a_loss_that_is_not_finite_stops_all_ranks_with_the_structures():
    def work(ranks):
        own = network()
        data = copy.deepcopy(DATA)
        trainer = Trainer(train.TrainingSet(own, data), None, train.Settings(max_epochs=2, batch_size=7), ranks=ranks)
        trainer.step()
        if ranks.rank == 1:
            own.parameters[:] = np.nan
        trainer.step()

    errors = each_rank(2, work)
    assert all(isinstance(e, NumericsError) for e in errors)
    assert all("rank 1 on" in str(e) and "epoch 1, step 2 (structures" in str(e) for e in errors)


def test_ranks_that_differ_are_refused_with_both_values():
    errors = each_rank(3, lambda ranks: ranks.same({"seed": 1, "model.cutoff": 3.0 + (ranks.rank == 2)}))
    assert all(isinstance(e, InputError) for e in errors)
    for part in ("model.cutoff", "rank 0", "3.0", "rank 2", "4.0"):
        assert all(part in str(e) for e in errors)


def test_what_one_rank_wants_all_do_after_the_same_step():
    def work(ranks):
        settings = train.Settings(max_epochs=9, batch_size=7)
        trainer = Trainer(train.TrainingSet(network(), DATA), None, settings, ranks=ranks)
        while not trainer.stop:
            trainer.step(15 if ranks.rank == 1 and trainer.steps == 2 else -1 if trainer.steps == 2 else 0)
        return trainer.stop, trainer.steps

    assert each_rank(3, work) == [(15, 3)] * 3  # a signal goes before the time


def test_an_error_of_one_rank_is_raised_on_all_and_names_it():
    def work(ranks):
        def read():
            if ranks.rank:
                raise FileNotFoundError(2, "No such file or directory", "train.xyz")
            return 1

        return ranks.together(read)

    errors = each_rank(2, work)
    assert all(e.exit_code == 6 and "rank 1 on" in str(e) and "train.xyz: No such file" in str(e) for e in errors)


def test_a_launcher_that_says_more_than_mpi_is_an_error(monkeypatch):
    monkeypatch.delenv("PMI_SIZE", raising=False)
    assert nbcore.ranks.world().size == 1
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "1000003")
    script = "import nbcore.ranks; nbcore.ranks.world()"  # elsewhere: MPI may begin but once in a process
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "LaunchError: the launcher has started 1000003 processes" in run.stderr


@pytest.mark.parametrize("absent", ["mpi4py", "a library of MPI"])
def test_a_launcher_without_mpi_is_an_error_that_names_the_remedy(absent, monkeypatch, capsys):
    broken = ModuleType("mpi4py")

    def missing(name):
        raise RuntimeError("cannot load MPI library\nlibmpi.so: cannot open shared object file")

    broken.__getattr__ = missing
    monkeypatch.setitem(sys.modules, "mpi4py", None if absent == "mpi4py" else broken)
    monkeypatch.setenv("PMI_SIZE", "2")
    for words in (["train", "train.toml"], ["evaluate", "a.nbcore", "a.xyz"]):
        assert main(words) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "has started 2 processes" in said and "pip install 'nbcore[mpi-local]'" in said
        assert ("load the module" in said) == (absent != "mpi4py")
    monkeypatch.setenv("PMI_SIZE", "1")
    assert nbcore.ranks.world().size == 1


def test_ranks_that_would_compute_something_else_are_refused():
    potential, other = network(), network(seed=4)
    shifted = copy.deepcopy(list(DATA))
    shifted[5].positions[0, 0] += 1e-9
    pair = nbcore.Committee([potential, other]), nbcore.Committee([potential, network(seed=5)])
    for what, of_rank in {
        "the structures": [(potential, list(DATA)), (potential, shifted)],
        "the number of structures": [(potential, list(DATA)), (potential, list(DATA)[:-1])],
        "the potential": [(potential, list(DATA)), (other, list(DATA))],
        "the potential ": [(pair[0], list(DATA)), (pair[1], list(DATA))],
    }.items():

        def work(ranks, of_rank=of_rank):
            computing, structures = of_rank[ranks.rank]
            return computing.compute_many(structures, 1, comm=ranks.comm)

        errors = each_rank(2, work)
        assert all(isinstance(e, InputError) and f"ranks differ in {what.strip()}:" in str(e) for e in errors)


def test_ranks_of_another_installation_are_refused_by_fit(monkeypatch):
    def work(ranks):
        return train.fit(network(), DATA, valid=0.2, max_epochs=1, quiet=True, comm=ranks.comm)

    versions = iter("12")
    module = sys.modules["nbcore.train.fit"]  # whose name in the package is that of the function
    monkeypatch.setattr(module, "of_installation", lambda: {"the release": next(versions)})
    assert all(isinstance(e, InputError) and "ranks differ in the release" in str(e) for e in each_rank(2, work))


@pytest.mark.parametrize("wrong", [None, [3], [DATA[0], None]])
def test_what_one_rank_cannot_compute_ends_the_call_on_all(wrong):
    """Before the first message, too; and no call leaves a communicator behind, of which there are some two thousand."""

    def work(ranks):
        found = []
        for structures in (list(DATA), [], list(DATA)[:1], wrong if ranks.rank == 1 else list(DATA)):
            try:
                found.append(network().compute_many(structures, 1, comm=ranks.comm))
            except Exception as e:
                found.append(e)
        return found, ranks.comm.copies

    for (*results, error), copies in each_rank(3, work):
        assert [len(r) for r in results] == [len(DATA), 0, 1] and copies == 1
        assert "rank 1 on" in str(error) and error.of_all_ranks


def test_many_structures_are_computed_by_all_ranks():
    potential, structures = network(), list(DATA)
    alone = potential.compute_many(structures)
    for results in each_rank(3, lambda ranks: potential.compute_many(structures, 1, comm=ranks.comm)):
        assert all(np.array_equal(a.forces, b.forces) for a, b in zip(results, alone, strict=True))
