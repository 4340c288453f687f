"""What a potential is worth: errors of its predictions, and their tables, plots and report.

`tables` (rich), `plots` (matplotlib) and `report` are modules of their own: who compares needs none of them.
"""

from nbcore import _extras

_extras.require("nbcore.results", ["ase"])

from nbcore.results.comparison import Case, Errors, Offset, Pair, Prediction, compare

__all__ = ["Case", "Errors", "Offset", "Pair", "Prediction", "compare"]
