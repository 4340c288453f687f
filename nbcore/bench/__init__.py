"""Speed of this machine and build: what `nbcore bench` prints.

Kernels are stated as parts of what the machine can do at most, measured beside them; models in time per atom and in
ratios. Times are CPU times of one pinned core, medians of several repetitions.
"""

from nbcore.bench.machine import Machine
from nbcore.bench.record import MARGIN, Row, compare, markdown

__all__ = ["MARGIN", "Machine", "Row", "compare", "markdown"]
