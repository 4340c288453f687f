"""A perceptron for each element on scalars that describe a neighbourhood, as Behler, Parrinello and ANI have."""

from typing import Annotated

from nbcore.options import Option

Layers = Annotated[list[int], Option("widths of the perceptron of each element", ge=1, le=4096, longest=6)]


def element_networks(inputs: list[str], hidden: list[int], function: str, standardise: bool = False) -> list[dict]:
    """Gates "hidden1", "activated1", ..., "energy": layers with weights and biases per element, the last one linear.

    inputs: names of states of scalars. hidden: widths. function: of the gate `activation`. standardise: a gate `affine`
    behind each input, "scaled_NAME", which calibration sets from data.
    """
    gates = [dict(gate="affine", name=f"scaled_{name}", inputs=[name]) for name in inputs] if standardise else []
    last = [gate["name"] for gate in gates] or list(inputs)
    for k, width in enumerate(hidden, start=1):
        gates += [
            _layer(f"hidden{k}", last, width),
            dict(gate="activation", name=f"activated{k}", inputs=[f"hidden{k}"], function=function),
        ]
        last = [f"activated{k}"]
    return [*gates, _layer("energy", last, 1)]


def _layer(name, inputs, channels):
    return dict(gate="mix", name=name, inputs=inputs, channels=channels, l_max=0, share="species", bias="species")
