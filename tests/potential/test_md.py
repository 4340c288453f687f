"""Dynamics: conservation and temperatures in short; runs that go on with the same bits; runs that stop in time."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.morse import MorsePotential
from scipy.optimize import minimize

from nbcore import md
from nbcore.ase import NBCoreCalculator
from nbcore.data import Structure
from nbcore.errors import CheckpointError, InputError, NumericsError
from nbcore.presets import nbody
from nbcore.train import Loss, calibrate, objective


class Springs(Calculator):
    """Each atom on a spring of its own (2 eV/Å^2) at the origin; out of order from a given call on."""

    implemented_properties = ["energy", "forces"]

    def __init__(self, break_at=None, how="nan"):
        super().__init__()
        self.calls, self.break_at, self.how = 0, break_at, how

    def calculate(self, atoms=None, properties=(), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        forces = -2.0 * atoms.positions
        if self.break_at and self.calls > self.break_at:
            if self.how == "refuse":
                raise NumericsError("atoms 0 and 1 are 0.31 Å apart; the model's shortest distance is 0.50 Å.")
            forces = forces * (np.nan if self.how == "nan" else 1e4)
        self.results = {"energy": float(np.sum(atoms.positions**2)), "forces": forces}


def springs(n=6, **kwargs):
    atoms = Atoms("CH" * (n // 2), positions=np.random.default_rng(0).normal(0, 0.1, (n, 3)))
    atoms.calc = Springs(**kwargs)
    return atoms


def argon(spread, seed):
    """A cubic cell of fcc argon, rattled, with three shells within 5 Å."""
    atoms = bulk("Ar", "fcc", a=4.2, cubic=True)
    atoms.rattle(spread, seed=seed)
    return atoms


@pytest.fixture(scope="module")
def potential():
    """Made in a second: a Morse crystal, learned by L-BFGS."""
    potential = nbody(
        species=["Ar"], cutoff=5.0, channels=8, l_harmonics=1, l_states=0, correlation=2, n_radial=6, seed=3
    )
    data = []
    for k in range(12):
        atoms = argon(0.05 + 0.02 * k, k)
        atoms.calc = MorsePotential(epsilon=0.3, r0=3.0, rho0=5.0, rcut1=3.6, rcut2=5.0)
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        data.append(Structure(atoms.positions, atoms.numbers, atoms.cell.array, atoms.pbc, energy, forces))
    calibrate(potential, data)
    loss = objective(potential, data, loss=Loss(forces_weight=10.0))
    fit = minimize(loss, potential.parameters.copy(), jac=True, method="L-BFGS-B", options={"maxiter": 40})
    potential.parameters[:] = fit.x
    return potential


def crystal(potential):
    """Argon that vibrates under the learned potential, velocities of 100 K."""
    atoms = argon(0.02, 1)
    md.draw_momenta(atoms, 100, "nve", np.random.default_rng(1))
    atoms.calc = NBCoreCalculator(potential)
    return atoms


def energies(atoms, timestep, steps, every=1):
    """Total energy per atom (meV) of NVE, and the times in ps."""
    integrator = md.dynamics(atoms, md.Settings("nve", timestep=timestep), rng=None)
    values = [atoms.get_total_energy()]
    for step in range(1, steps + 1):
        integrator.step()
        if step % every == 0:
            values.append(atoms.get_total_energy())
    return np.arange(len(values)) * every * timestep / 1e3, 1e3 * np.array(values) / len(atoms)


# ---- physics ----


def test_velocity_verlet_is_of_second_order(potential):
    """M1 and M2 in short: at twice the timestep the total energy fluctuates four times as much; it does not drift."""
    rms = []
    for timestep, every in ((4.0, 2), (8.0, 1)):
        times, e = energies(crystal(potential), timestep, round(2000 / timestep), every)
        slope, about = md.drift(times, e)
        assert abs(slope) * times[-1] < 0.5 * about
        rms.append(about)
    assert 3.4 < rms[1] / rms[0] < 4.6
    assert rms[0] < 0.3


def test_time_reversal(potential):
    """M3 in short: 300 steps forth, velocities turned round, 300 back."""
    atoms = crystal(potential)
    positions, momenta = atoms.get_positions(), atoms.get_momenta()
    energies(atoms, 2.0, 300)
    assert np.abs(atoms.positions - positions).max() > 0.01
    atoms.set_momenta(-atoms.get_momenta())
    energies(atoms, 2.0, 300)
    np.testing.assert_allclose(atoms.positions, positions, atol=1e-8)
    np.testing.assert_allclose(atoms.get_momenta(), -momenta, atol=1e-8)


def test_momentum_and_angular_momentum(potential):
    """M4 in short, on a cluster without periods."""
    atoms = crystal(potential)
    atoms.pbc = False
    spin = atoms.get_angular_momentum()
    assert np.abs(spin).max() > 0.1
    energies(atoms, 2.0, 300)
    assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-12 * np.abs(atoms.get_momenta()).sum()
    np.testing.assert_allclose(atoms.get_angular_momentum(), spin, atol=1e-10)


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_momenta_are_drawn_exactly(ensemble):
    atoms = molecule("CH3CH2OH")
    md.draw_momenta(atoms, 250.0, ensemble, np.random.default_rng(4))
    np.testing.assert_allclose(atoms.get_momenta().sum(axis=0), 0, atol=1e-13)
    freedoms = 3 * len(atoms) - (3 if ensemble == "nve" else 0)
    kinetic = sum(np.dot(p, p) / (2 * m) for p, m in zip(atoms.get_momenta(), atoms.get_masses(), strict=True))
    assert 2 * kinetic / (freedoms * units.kB) == pytest.approx(250.0, rel=1e-12)
    assert md.temperature(atoms, ensemble) == pytest.approx(250.0, rel=1e-12)


def test_momenta_are_maxwell_boltzmann():
    """Light and heavy atoms have the same kinetic energy in the mean: 3/2 kT."""
    atoms = Atoms("H500O500", positions=np.zeros((1000, 3)))
    md.draw_momenta(atoms, 300.0, "langevin", np.random.default_rng(5))
    kinetic = (atoms.get_momenta() ** 2).sum(axis=1) / (2 * atoms.get_masses())
    for part in (kinetic[:500], kinetic[500:]):
        assert part.mean() == pytest.approx(1.5 * units.kB * 300, rel=0.1)


def test_langevin_keeps_the_temperature():
    """Equipartition on springs: kinetic and potential energy are 3/2 N kT each."""
    atoms = springs(40)
    settings = md.Settings("langevin", temperature=300.0, timestep=1.0, friction=50.0)
    rng = np.random.default_rng(6)
    integrator = md.dynamics(atoms, settings, rng)
    kelvin, potential = [], []
    for step in range(1800):
        integrator.step()
        if step >= 500:
            kelvin.append(md.temperature(atoms, "langevin"))
            potential.append(atoms.get_potential_energy())
    assert np.mean(kelvin) == pytest.approx(300, rel=0.06)
    assert np.mean(potential) == pytest.approx(1.5 * 40 * units.kB * 300, rel=0.08)


def test_drift_of_a_known_line():
    t = np.linspace(0, 20, 2001)
    slope, rms = md.drift(t, 5.0 + 0.03 * t + 0.1 * np.sin(2 * np.pi * 4 * t))
    assert slope == pytest.approx(0.03, abs=1e-3) and rms == pytest.approx(0.1 / np.sqrt(2), rel=1e-2)


# ---- the folder ----


def settings(ensemble):
    return md.Settings(ensemble, temperature=200, timestep=1.0, every=7, log_every=3, seed=11)


def run(folder, ensemble="langevin", steps=100, stop=None, **kwargs):
    atoms = springs(**kwargs)
    reached = md.simulate(atoms, settings(ensemble), steps, folder, stop=stop)
    return reached, atoms


def outputs(folder):
    return (folder / md.LOG).read_bytes(), (folder / md.TRAJECTORY).read_bytes()


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_resumed_runs_have_the_same_bits(tmp_path, ensemble):
    """Stopped at odd steps, with what a kill leaves behind the last state: a torn frame, lines of steps to come."""
    reached, whole = run(tmp_path / "whole", ensemble)
    assert reached == 100
    for stops in ((1,), (33, 35, 70), (99,)):
        folder = tmp_path / "-".join(map(str, stops))
        for at in stops:
            steps = iter(range(1000))
            first = md.load_state(folder)["step"] if (folder / md.STATE).exists() else 0
            reached, _ = run(folder, ensemble, stop=lambda a=at, f=first, s=steps: next(s) >= a - f)
            assert reached == at
            with open(folder / md.TRAJECTORY, "ab") as f:
                f.write(b"6\nProperties=species:S:1:pos")
            with open(folder / md.LOG, "ab") as f:
                f.write(b"         999          1")
        reached, atoms = run(folder, ensemble)
        assert reached == 100
        assert outputs(folder) == outputs(tmp_path / "whole")
        np.testing.assert_array_equal(atoms.positions, whole.positions)
        np.testing.assert_array_equal(atoms.get_momenta(), whole.get_momenta())


def test_what_is_written(tmp_path):
    _, atoms = run(tmp_path, "nve")
    step, fs, epot, ekin, etot, kelvin = md.read_log(tmp_path)
    np.testing.assert_array_equal(step, np.arange(0, 100, 3))
    np.testing.assert_allclose(fs, step)
    np.testing.assert_allclose(etot, epot + ekin, atol=2e-9)
    assert kelvin[0] == pytest.approx(200)
    frames = ase.io.read(tmp_path / md.TRAJECTORY, ":")
    assert [a.info["step"] for a in frames] == list(range(0, 101, 7))
    for a in frames:
        assert a.get_potential_energy() == pytest.approx(np.sum(a.positions**2), abs=1e-6)
        np.testing.assert_allclose(a.get_forces(), -2 * a.positions, atol=1e-7)
    at_98 = frames[-1]
    row = list(step).index(99)
    assert at_98.get_kinetic_energy() == pytest.approx(ekin[row], rel=0.2)


def test_a_finished_run_is_extended(tmp_path):
    run(tmp_path / "whole", steps=100)
    run(tmp_path / "parts", steps=40)
    run(tmp_path / "parts", steps=40)  # nothing to do
    assert md.read_log(tmp_path / "parts")[0][-1] == 39
    run(tmp_path / "parts", steps=100)
    assert outputs(tmp_path / "parts") == outputs(tmp_path / "whole")


def test_another_run_is_not_continued(tmp_path):
    run(tmp_path, steps=10)
    before = outputs(tmp_path)
    other = springs()
    other.positions[0, 0] += 0.01
    cases = [
        (springs(), replace(settings("langevin"), temperature=201), "temperature = 200; now it is 201"),
        (springs(), settings("nve"), "ensemble = langevin; now it is nve"),
        (other, settings("langevin"), "another structure"),
    ]
    for atoms, s, text in cases:
        with pytest.raises(CheckpointError, match=text):
            md.simulate(atoms, s, 20, tmp_path)
    assert outputs(tmp_path) == before


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", "half"])
def test_a_damaged_state_is_an_error(tmp_path, damage):
    run(tmp_path, steps=10)
    state = tmp_path / md.STATE
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2] if damage == "half" else damage)
    with pytest.raises(CheckpointError, match="damaged.*--restart"):
        run(tmp_path)


def test_two_runs_in_one_folder(tmp_path):
    def second(step):
        with pytest.raises(CheckpointError, match="in use by process") as error:
            run(tmp_path)
        assert error.value.exit_code == 6

    md.simulate(springs(), settings("nve"), 1, tmp_path, progress=second)


@pytest.mark.parametrize(
    "how, text", [("nan", "not finite"), ("hot", "temperature is"), ("refuse", "atoms 0 and 1 are 0.31 Å apart")]
)
def test_a_run_out_of_hand_stops_before_it_is_written(tmp_path, how, text):
    with pytest.raises(NumericsError, match=text) as error:
        run(tmp_path, "nve", break_at=50, how=how)
    assert "fs)" in str(error.value) and "step 5" in str(error.value)
    step, *_, etot, _ = md.read_log(tmp_path)
    assert 45 <= step[-1] < 52 and np.isfinite(etot).all()
    for a in ase.io.read(tmp_path / md.TRAJECTORY, ":"):
        assert np.isfinite(a.positions).all() and np.isfinite(a.get_momenta()).all()


def test_full_disk_leaves_the_last_state(tmp_path, monkeypatch):
    run(tmp_path, steps=30)
    state = (tmp_path / md.STATE).read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device", str(tmp_path / md.STATE))

    monkeypatch.setattr(md.np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        run(tmp_path, steps=60)
    monkeypatch.undo()
    assert (tmp_path / md.STATE).read_bytes() == state
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "md.log", "state.npz", "trajectory.xyz"]
    run(tmp_path, steps=60)
    run(tmp_path.with_name("whole"), steps=60)
    assert outputs(tmp_path) == outputs(tmp_path.with_name("whole"))


@pytest.mark.parametrize(
    "wrong",
    [{"ensemble": "npt"}, {"temperature": -1.0}, {"timestep": 0.0}, {"friction": 0.0}, {"every": 0}, {"seed": -1},
     {"temperature": float("nan")}],
)  # fmt: skip
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        md.Settings(**wrong)
