"""How many threads run where nobody says: environment, affinity, control groups of both versions."""

import os
import subprocess
import sys

import numpy as np
import pytest

import nbcore
from nbcore import InputError
from nbcore._threads import available_cores, cgroup_cores
from nbcore.evaluator import Evaluator
from nbcore.presets import nbody


def groups(root, cgroup, files):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def v1(group, quota, period):
    return {f"{group}/cpu.cfs_quota_us": f"{quota}\n", f"{group}/cpu.cfs_period_us": f"{period}\n"}


V1 = "12:memory:/x\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/user\n0::/system\n"


@pytest.mark.parametrize(
    "cgroup, files, cores",
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, np.inf),
        ("0::/\n", {}, np.inf),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),  # a parent's counts
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/../outside\n", {"cpu.max": "200000 100000\n"}, 2),  # a container that sees its own group as the root
        (V1, v1("cpu,cpuacct/docker/abc", 250_000, 100_000), 2.5),
        (V1, v1("cpu/docker/abc", 250_000, 50_000), 5),
        (V1, v1("cpu", 100_000, 100_000), 1),  # mounted inside a container
        (V1, v1("cpu/docker/abc", -1, 100_000), np.inf),
        ("0::/\n", {"cpu.max": "nonsense\n"}, np.inf),
        ("0::/\n", {"cpu.max": "100000 0\n"}, np.inf),
    ],
)  # fmt: skip
def test_quota(tmp_path, cgroup, files, cores):
    root = groups(tmp_path, cgroup, files)
    assert cgroup_cores(root) == cores
    here = len(os.sched_getaffinity(0))
    assert available_cores(root) == max(1, min(here, int(min(cores, here))))


def test_no_control_groups_at_all(tmp_path):
    assert cgroup_cores(tmp_path) == np.inf and available_cores(tmp_path) == len(os.sched_getaffinity(0))


def test_affinity_counts(tmp_path):
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}]); import nbcore; print(nbcore.threads())"
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    assert subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout == "1\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("threads") / "m.nbcore"
    nbody(species=["H"], cutoff=3.0, channels=4).save(path)
    return path


POSITIONS = np.array([[0, 0, 0], [0, 0, 0.8]])
NUMBERS = np.array([1, 1], dtype=np.intc)


@pytest.mark.parametrize("n", [0, -1, 1025, 10**9, 10**30, 1.5, True, "two", np.nan, [2]])
def test_absurd_numbers_are_refused(path, n):
    potential = nbcore.Potential.load(path)
    with pytest.raises(InputError, match="threads must be a whole number from 1 to 1024"):
        potential.compute(POSITIONS, NUMBERS, threads=n)
    with pytest.raises(InputError, match="threads must be"):
        nbcore.threads(n)
    if isinstance(n, int) and not isinstance(n, bool) and n and abs(n) < 2**31:
        with pytest.raises(InputError, match="threads must be between 0 and 1024"):
            Evaluator(path).evaluate(POSITIONS, NUMBERS, threads=n)


@pytest.mark.parametrize("name", ["NBCORE_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("value", ["abc", "0", "-3", "1e3", "4x", "99999999999999999999", "2000", "٣", "2.0"])
def test_garbage_in_the_environment_is_named(path, name, value, monkeypatch):
    monkeypatch.delenv("NBCORE_NUM_THREADS", raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=name):
        nbcore.threads()
    with pytest.raises(InputError, match=name):
        Evaluator(path).evaluate(POSITIONS, NUMBERS)
    assert nbcore.threads(2) == 2
    Evaluator(path).evaluate(POSITIONS, NUMBERS, threads=1)


@pytest.mark.parametrize("value, n", [("3", 3), (" 3 ", 3), ("3,2", 3), ("3 , 2", 3)])
def test_numbers_in_the_environment(path, value, n, monkeypatch):
    monkeypatch.delenv("NBCORE_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert nbcore.threads() == n
    Evaluator(path).evaluate(POSITIONS, NUMBERS)
    monkeypatch.setenv("NBCORE_NUM_THREADS", "2")
    assert nbcore.threads() == 2
    monkeypatch.setenv("NBCORE_NUM_THREADS", "")
    assert nbcore.threads() == n
