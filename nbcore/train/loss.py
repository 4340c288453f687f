"""What a training minimises: weights of energies, forces, stresses and outputs, and the function of their errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np

from nbcore import _core
from nbcore.errors import InputError
from nbcore.hierarchy import check_levels
from nbcore.options import Option, check

if TYPE_CHECKING:
    from nbcore.potential import Potential

Weight = float | list[float]
PAIR = dict(shortest=2, longest=2)  # of a weight that is a list
KINDS = tuple(_core.loss_kinds())
TERMS = {term: label for term, label in _core.loss_terms() if label}  # term: the label that it compares with
REGULARISERS = tuple(term for term, label in _core.loss_terms() if not label)


@dataclass
class Loss:
    """Mean over structures of w_E rho(dE/N) + w_F/N sum_i f_i rho(dF_i) + w_S rho(dS) + ..., d: predicted minus label.

    kind: the function rho of all terms, or {term or output: function}, "l2" for those not named. "l2": x^2; "l1": |x|;
    "huber": x^2/2 below huber_delta = d, linear above; "log_cosh": d^2 log cosh(x/d), the same without a corner; each
    the mean over the components of forces (3) and stresses (9). "norm": the length of the vector, which is the same in
    every frame of coordinates. huber_delta: a number, or {term or output: number}. Units: eV/atom, eV/Angstrom,
    eV/Angstrom^3.

    hierarchicality_weight w_H, of networks with energies by level alone, adds w_H/N sum_i r_i of
    `Potential.hierarchicality`, which is small where each level's energy is a small correction to the one before.

    A weight may be a list [first, last]: it moves from one to the other over a training, geometrically (`at`).

    The weights w are energy_weight, ... times those of the structure (`Structure.weight_of`); f_i is that of the
    element of atom i in element_weights, 1 for elements not named. A covariant output y adds w_y rho(dy/(N sigma)), or
    w_y/N sum_i rho(dy_i/sigma) where each atom has one; sigma is the spread of the labels (`calibrate`).
    output_weights: {name: w_y}, 1 for those not named. A label that is missing contributes exactly nothing.

    >>> Loss(kind={"forces": "norm"}, forces_weight=10.0, element_weights={"H": 0.5}).of_term("forces")
    (10.0, 'norm', 0.01)
    """

    kind: Annotated[str | dict[str, str], Option('or by term: { forces = "norm" }', choices=KINDS)] = "l2"
    huber_delta: Annotated[
        float | dict[str, float], Option("of huber and log_cosh: eV/atom, eV/Angstrom; or { energy = 0.001 }", gt=0)
    ] = 0.01
    energy_weight: Annotated[
        Weight, Option("on energy per atom; [1.0, 100.0]: moving, see docs/theory/training.md", ge=0, **PAIR)
    ] = 1.0
    forces_weight: Annotated[Weight, Option("on components", ge=0, **PAIR)] = 100.0
    stress_weight: Annotated[Weight, Option("eV/Angstrom^3; used where there are labels", ge=0, **PAIR)] = 1.0
    hierarchicality_weight: Annotated[
        Weight, Option("on energies of levels that do not fall: HIP-NN's, about 0.01; 0: none", ge=0, **PAIR)
    ] = 0.0
    element_weights: Annotated[dict[str, float], Option("on forces, beside forces_weight: { H = 0.5 }", ge=0)] = field(
        default_factory=dict
    )
    output_weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        check(Loss, vars(self), "loss: ")
        for name, value in self.output_weights.items():
            if not np.isfinite(value) or value < 0:
                raise InputError(f"the weight of {name} must be a number of at least 0, got {value!r}")
        for key, weight in self._moving.items():
            if min(weight) <= 0:
                raise InputError(
                    f"loss: {key} moves by a factor per epoch, so both its ends must be numbers > 0, got {list(weight)}"
                )

    @property
    def _moving(self):
        every = {f"{term}_weight": getattr(self, f"{term}_weight") for term in (*TERMS, *REGULARISERS)}
        return {key: weight for key, weight in every.items() if isinstance(weight, (list, tuple))}

    @property
    def moves(self) -> bool:
        """True if a weight changes in the course of a training."""
        return any(first != last for first, last in self._moving.values())

    def at(self, fraction: float) -> "Loss":
        """The loss with the weights w(t) = first (last / first)^t of a fraction t of the way, 0 to 1.

        >>> Loss(energy_weight=[1.0, 100.0]).at(0.5).energy_weight
        10.0
        """
        if not self._moving:
            return self
        now = {key: first * (last / first) ** fraction for key, (first, last) in self._moving.items()}
        return replace(self, **now)

    def of_term(self, name: str) -> tuple[float, str, float]:
        """(weight, kind, huber_delta) of a term ("energy", "forces", "stress", "hierarchicality") or of an output."""
        if f"{name}_weight" in self._moving:
            raise InputError(f"loss: {name}_weight moves: Loss.at(fraction) is the loss of one moment of the training")
        own = name in TERMS or name in REGULARISERS
        weight = getattr(self, f"{name}_weight") if own else self.output_weights.get(name, 1.0)
        kind = self.kind.get(name, "l2") if isinstance(self.kind, Mapping) else self.kind
        delta = self.huber_delta.get(name, 0.01) if isinstance(self.huber_delta, Mapping) else self.huber_delta
        return weight, kind, delta

    def weights(self, potential: "Potential") -> dict[str, float]:
        """{"energy": 1.0, "forces": 100.0, ...}: the weight of everything that is compared with labels."""
        names = [*(TERMS if potential.has_energy else ()), *potential.outputs]
        weights = {name: self.of_term(name)[0] for name in names}
        if "forces" in weights and all(self.element_weights.get(symbol, 1.0) == 0 for symbol in potential.species):
            weights["forces"] = 0.0
        return weights

    def check_names(self, potential: "Potential") -> None:
        """InputError for what the potential has not: a term, output or element of a table, energies by level."""
        if self.hierarchicality_weight:
            check_levels(potential, "loss: hierarchicality_weight")
        tables = {"kind": self.kind, "huber_delta": self.huber_delta}
        known = {key: [*TERMS, *potential.outputs] for key in tables} | {"element_weights": potential.species}
        for key, table in (tables | {"element_weights": self.element_weights}).items():
            for name in table if isinstance(table, Mapping) else ():
                if name not in known[key]:
                    raise InputError(f"loss: {key}: there is no {name}. There are: {', '.join(known[key])}.")
