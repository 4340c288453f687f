"""Type hints of the compiled module `nbcore.evaluator`."""

import os

import numpy as np
from numpy.typing import ArrayLike

class Evaluator:
    path: str
    precision: str
    skin: float
    max_bytes: float | None
    def __init__(
        self, path: str | os.PathLike[str], precision: str = ..., skin: float = ..., max_bytes: float | None = ...
    ) -> None: ...
    @property
    def digest(self) -> str: ...
    @property
    def cutoff(self) -> float: ...
    @property
    def species(self) -> list[int]: ...
    @property
    def searches(self) -> int: ...
    def evaluate(
        self,
        positions: np.ndarray,
        numbers: np.ndarray,
        cell: np.ndarray | None = ...,
        pbc: ArrayLike = ...,
        forces: np.ndarray | None = ...,
        virial: np.ndarray | None = ...,
        energies: np.ndarray | None = ...,
        threads: int = ...,
        virials: np.ndarray | None = ...,
    ) -> float: ...
    def check_golden(self) -> tuple[int, float]: ...
    @property
    def uncertainty(self) -> str | None: ...
    def evaluate_uncertainty(
        self,
        positions: np.ndarray,
        numbers: np.ndarray,
        cell: np.ndarray | None = ...,
        pbc: ArrayLike = ...,
        forces: np.ndarray | None = ...,
        virial: np.ndarray | None = ...,
        energies: np.ndarray | None = ...,
        threads: int = ...,
        forces_uncertainty: np.ndarray | None = ...,
        grades: np.ndarray | None = ...,
    ) -> tuple[float, float]: ...
