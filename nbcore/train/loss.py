"""What a training minimises: weights of energies, forces, stresses and outputs, and the function of their errors."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np

from nbcore import _core
from nbcore.errors import InputError
from nbcore.options import Option, check

if TYPE_CHECKING:
    from nbcore.potential import Potential

KINDS = tuple(_core.loss_kinds())
TERMS = dict(_core.loss_terms())  # term: the label that it compares with


@dataclass
class Loss:
    """Mean over structures of weight (w_E rho((E - E*)/N) + w_F/(3N) sum rho(F - F*) + w_S/9 sum rho(S - S*) + ...).

    kind: "l2" (rho = x^2), "l1" (|x|), "huber" (x^2/2 below huber_delta = d, linear above), "log_cosh" (d^2 log
    cosh(x/d), the same without a corner). Units: eV/atom, eV/Angstrom, eV/Angstrom^3 (S: stress).
    A covariant output y adds w_y/c sum rho((y - y*)/(N sigma)) over its c components, or w_y/(c N) sum
    rho((y_i - y_i*)/sigma) where each atom has one; sigma is the spread of the labels (`calibrate`).
    output_weights: {name: w_y}, 1 for those not named. A label that is missing contributes exactly nothing.
    """

    kind: Annotated[str, Option("", choices=KINDS)] = "l2"
    huber_delta: Annotated[float, Option("of huber and log_cosh: eV/atom, eV/Angstrom", gt=0)] = 0.01
    energy_weight: Annotated[float, Option("on energy per atom", ge=0)] = 1.0
    forces_weight: Annotated[float, Option("on components", ge=0)] = 100.0
    stress_weight: Annotated[float, Option("eV/Angstrom^3; used where there are labels", ge=0)] = 1.0
    output_weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        check(Loss, vars(self), "loss: ")
        for name, value in self.output_weights.items():
            if not np.isfinite(value) or value < 0:
                raise InputError(f"the weight of {name} must be a number of at least 0, got {value!r}")

    @property
    def term_weights(self) -> list[float]:
        """The weights of the terms of energies, forces, stresses in the order of TERMS."""
        return [getattr(self, f"{term}_weight") for term in TERMS]

    def weights(self, potential: "Potential") -> dict[str, float]:
        """{"energy": 1.0, "forces": 100.0, ...}: the weight of everything that a potential can be asked for."""
        weights = dict(zip(TERMS, self.term_weights, strict=True)) if potential.has_energy else {}
        return weights | {name: self.output_weights.get(name, 1.0) for name in potential.outputs}
