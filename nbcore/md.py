"""Molecular dynamics, NVE and Langevin, through ASE, in a folder: an interrupted run goes on with the same bits.

start_md/
  trajectory.xyz    extended XYZ: positions, momenta, energy, forces
  md.log            time, potential, kinetic and total energy, temperature
  state.npz         for continuing: positions, momenta, step, random numbers, identity of the run; sealed
"""

import io
import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

from nbcore import build_info, files, identity, sealed
from nbcore.data.constraints import fixed_components
from nbcore.errors import CheckpointError, Error, InputError, NumericsError

STATE, TRAJECTORY, LOG = "state.npz", "trajectory.xyz", "md.log"
OWNER, KIND = "nbcore md", "state of a simulation"
SAVE_SECONDS = 10.0
HEAD = f"#{'step':>11} {'time/fs':>14} {'Epot/eV':>20} {'Ekin/eV':>18} {'Etot/eV':>20} {'T/K':>12}\n"


@dataclass(frozen=True)
class Settings:
    """What makes a trajectory beside model, structure, length. Temperature in K, timestep in fs, friction in 1/ps."""

    ensemble: str = "langevin"  # "nve", "langevin"
    temperature: float = 300.0
    timestep: float = 0.5
    friction: float = 10.0
    seed: int = 1
    every: int = 100
    log_every: int = 10
    precision: str = "float64"  # of the potential
    max_bytes: float | None = None  # of an evaluation; parts sum in another order, to other last bits

    def __post_init__(self):
        def must(good, what):
            if not good:
                raise InputError(what)

        must(self.ensemble in ("nve", "langevin"), f"ensemble must be nve or langevin, got {self.ensemble}.")
        must(0 <= self.temperature < np.inf, f"temperature must be 0 K or more, got {self.temperature:g}.")
        must(0 < self.timestep < np.inf, f"timestep must be more than 0 fs, got {self.timestep:g}.")
        must(0 < self.friction < np.inf, f"friction must be more than 0 per ps, got {self.friction:g}.")
        must(self.every > 0 and self.log_every > 0, "every and log_every must be 1 step or more.")
        must(self.seed >= 0, f"seed must be 0 or more, got {self.seed}.")


def degrees_of_freedom(atoms, ensemble):
    """3N less the fixed components, and less those of the centre of mass that NVE keeps at rest."""
    fixed = fixed_components(atoms)
    at_rest = int(np.sum(~fixed.any(axis=0))) if ensemble == "nve" and len(atoms) > 1 else 0
    return 3 * len(atoms) - int(fixed.sum()) - at_rest


def temperature(atoms, ensemble):
    """Of the kinetic energy: T = 2 Ekin / (k f), f degrees of freedom; in K."""
    return 2 * atoms.get_kinetic_energy() / (units.kB * max(degrees_of_freedom(atoms, ensemble), 1))


def draw_momenta(atoms, kelvin, ensemble, rng):
    """Momenta from the Maxwell-Boltzmann distribution, scaled to the temperature exactly; fixed components have none.

    There is no total momentum along directions in which nothing is fixed.
    """
    masses, fixed = atoms.get_masses()[:, None], fixed_components(atoms)
    momenta = rng.standard_normal((len(atoms), 3)) * np.sqrt(masses * units.kB * kelvin)
    momenta[fixed] = 0.0
    if len(atoms) > 1:
        momenta -= np.where(fixed.any(axis=0), 0.0, masses * (momenta.sum(axis=0) / masses.sum()))
    atoms.set_momenta(momenta)
    if kelvin > 0 and (drawn := temperature(atoms, ensemble)) > 0:
        atoms.set_momenta(momenta * np.sqrt(kelvin / drawn))


def dynamics(atoms, settings, rng):
    """The integrator of ASE with these settings."""
    timestep = settings.timestep * units.fs
    if settings.ensemble == "nve":
        return VelocityVerlet(atoms, timestep)
    friction = settings.friction / (1000 * units.fs)
    return Langevin(atoms, timestep, temperature_K=settings.temperature, friction=friction, fixcm=False, rng=rng)


def simulate(atoms, settings, steps, folder, progress=None, stop=None, overwrite=False):
    """Runs or continues `steps` steps of dynamics of `atoms` (with a calculator) in a folder; returns the step reached.

    The same call after an interruption, of whatever kind, ends with the same bits in trajectory and log as an
    uninterrupted one. What decides its bits (settings, potential, structure, masses, constraints, leaf states, labels)
    is kept with it and compared; notes in a model's file, its certificate among them, do not count. progress(step) is
    called after every step; the run is saved and left when stop() is true. `atoms` are changed in place. overwrite:
    replace a trajectory and a log of others that stand in the folder.

    Raises CheckpointError if the folder holds another run or is in use, FileExistsError if it holds files of others;
    NumericsError, with the frames until then in the trajectory, when a number is not finite, atoms run into each other,
    or the temperature explodes.

    >>> atoms.calc = NBCoreCalculator("molecule.nbcore")
    >>> simulate(atoms, Settings("nve", temperature=300), steps=20, folder="start_md")
    """
    rng = np.random.default_rng(settings.seed)
    if getattr(atoms.calc, "scheme", "none") is None:
        atoms.get_potential_energy()  # its parts belong to the structure given, not to that at which a run goes on
    about = {**identity.of_atoms(atoms), **asdict(settings)}
    about |= {"potential": identity.of_calculator(atoms.calc)}
    claim(folder, force=overwrite)
    foreign = not is_run(folder)
    with files.lock(folder, OWNER), ExitStack() as opened:
        state = None if foreign else load_state(folder)
        if state is None:
            draw_momenta(atoms, settings.temperature, settings.ensemble, rng)
            step, sizes = 0, [0, 0]
            save_state(folder, atoms, step, rng, sizes, about)  # from here on the folder is this run's
        else:
            compare(folder, state["about"], about, len(state["positions"]) == len(atoms))
            step, sizes = state["step"], state["sizes"]
            atoms.set_positions(state["positions"])
            atoms.set_momenta(state["momenta"])
            rng.bit_generator.state = state["rng"]
        outputs = [
            opened.enter_context(open_at(Path(folder) / n, s)) for n, s in zip((TRAJECTORY, LOG), sizes, strict=True)
        ]
        guard = Guard(atoms, settings)
        integrator = dynamics(atoms, settings, rng)

        def save():
            for f in outputs:
                f.flush()
                os.fsync(f.fileno())
            save_state(folder, atoms, step, rng, [f.tell() for f in outputs], about)
            return time.monotonic()

        if sizes == [0, 0]:
            guard.check(step)
            record(atoms, settings, step, *outputs)
        saved = save()
        while step < steps and not (stop and stop()):
            with guard.at(step + 1):
                integrator.step()
            step += 1
            guard.check(step)
            record(atoms, settings, step, *outputs)
            if progress:
                progress(step)
            if time.monotonic() - saved > SAVE_SECONDS:
                saved = save()
        save()
    return step


class Guard:
    """Stops a simulation whose numbers are out of hand, before anything of it is written."""

    def __init__(self, atoms, settings):
        self.atoms, self.settings = atoms, settings
        self.hottest = max(10 * settings.temperature, 5000.0)

    def at(self, step):
        """A context in which what the potential refuses is an error of the simulation, with its time.

        At the start only atoms on top of each other are: a wrong element or cell is an error of the input.
        """
        refused = Error if step > 0 else NumericsError
        stack = ExitStack()
        stack.push(lambda kind, error, _: self._fail(step, str(error)) if isinstance(error, refused) else None)
        return stack

    def check(self, step):
        """After a step: everything finite, the temperature below ten times the one asked for (at least 5000 K)."""
        with self.at(step):
            energy, forces = self.atoms.get_potential_energy(), self.atoms.get_forces()
        kelvin = temperature(self.atoms, self.settings.ensemble)
        if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(kelvin)):
            self._fail(step, "an energy, a force or a velocity is not finite.")
        if kelvin > self.hottest:
            self._fail(step, f"the temperature is {kelvin:.0f} K, asked for were {self.settings.temperature:g} K.")

    def _fail(self, step, what):
        raise NumericsError(
            f"step {step} ({step * self.settings.timestep:g} fs): {what}\n"
            "The simulation has left what the model knows. Look at the last frames of the trajectory; try a smaller "
            "timestep, relax the structure first, or add such structures to the training data."
        ) from None


# ---- files ----


def open_at(path, size):
    """A file for appending, cut to what it held when the state was saved."""
    f = open(path, "ab")
    try:
        if f.seek(0, os.SEEK_END) < size:
            raise CheckpointError(f"{path} is shorter than when it was saved. --restart begins again.")
        f.truncate(size)
        f.seek(size)
    except BaseException:
        f.close()
        raise
    return f


def record(atoms, settings, step, trajectory, log):
    """Adds this step to the log and the trajectory where it is due."""
    epot, ekin = atoms.get_potential_energy(), atoms.get_kinetic_energy()
    kelvin = temperature(atoms, settings.ensemble)
    if step % settings.log_every == 0:
        if step == 0:
            log.write(HEAD.encode())
        t = step * settings.timestep
        log.write(f"{step:12d} {t:14.3f} {epot:20.9f} {ekin:18.9f} {epot + ekin:20.9f} {kelvin:12.4f}\n".encode())
        log.flush()
    if step % settings.every == 0:
        frame = atoms.copy()
        frame.calc = SinglePointCalculator(frame, energy=epot, forces=atoms.get_forces(apply_constraint=False))
        frame.info = {"step": step, "time_fs": step * settings.timestep, "temperature_K": round(kelvin, 4)}
        text = io.StringIO()
        write(text, frame, format="extxyz")
        trajectory.write(text.getvalue().encode())
        trajectory.flush()


def read_log(folder):
    """The columns of md.log: step, time (fs), potential, kinetic and total energy (eV), temperature (K)."""
    return np.loadtxt(Path(folder) / LOG, ndmin=2).T


def is_run(folder) -> bool:
    """True for the folder of a run, also of one that was copied without its lock."""
    return files.owned(folder, OWNER) or sealed.is_of(KIND, Path(folder) / STATE)


def claim(folder, inputs=(), force=False) -> None:
    """FileExistsError where the folder holds a trajectory, a log or a state that are not those of a run."""
    files.claim(folder, OWNER, (STATE, TRAJECTORY, LOG), is_run(folder), inputs, force)


def save_state(folder, atoms, step, rng, sizes, about):
    """Writes state.npz in one step."""
    words = {"step": step, "sizes": sizes, "rng": rng.bit_generator.state, "about": about}
    words["kernels"] = build_info()["kernel_set"]
    arrays = {"positions": atoms.positions, "momenta": atoms.get_momenta()}
    with files.replacing(Path(folder) / STATE, overwrite=True) as f:
        f.write(sealed.encode(KIND, arrays, words))


def load_state(folder):
    """What save_state wrote, as a dict; None if there is nothing."""
    path = Path(folder) / STATE
    try:
        arrays, words = sealed.read(KIND, path)
        state = {**arrays, **words}
        if not _makes_sense(state):
            raise CheckpointError(f"{path} is sealed but does not describe a simulation.")
        return state
    except FileNotFoundError:
        return None
    except CheckpointError as e:
        raise CheckpointError(f"{e} --restart begins again.") from None


def _makes_sense(state):
    """Is everything there, of the right kind and shape, and finite?"""
    try:
        arrays = state["positions"], state["momenta"]
        np.random.default_rng().bit_generator.state = state["rng"]
        numbers = [state["step"], *state["sizes"]]
        return (
            all(a.dtype == float and a.shape == (len(arrays[0]), 3) and np.isfinite(a).all() for a in arrays)
            and len(numbers) == 3
            and all(type(n) is int and 0 <= n < 2**62 for n in numbers)
            and isinstance(state["about"], dict)
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def compare(folder, old, new, same_number=True):
    """Refuses to continue a run that was made with something else; names the first difference."""
    old = old if same_number else {**old, "structure": None}
    for key in dict.fromkeys([*new, *old]):
        if old.get(key) != new.get(key):
            digests = {"potential": "another potential", "structure": "another structure"}
            digests |= {"masses": "other masses", "constraints": "other constraints"}
            digests |= {"per-atom arrays": "other leaf states, labels or charges"}
            what = digests.get(key, f"{key} = {old.get(key)}; now it is {new.get(key)}")
            raise CheckpointError(
                f"{Path(folder) / STATE} was made with {what}.\n"
                f"--restart begins again (the old run is kept as {Path(folder).name}.1/); undo the change to continue."
            )


# ---- what came out ----


def drift(picoseconds, energies):
    """Slope (per ps) of a straight line through energies and the rms about it: how well energy is conserved."""
    slope, constant = np.polyfit(picoseconds, energies, 1)
    return float(slope), float(np.sqrt(np.mean((energies - constant - slope * np.asarray(picoseconds)) ** 2)))
