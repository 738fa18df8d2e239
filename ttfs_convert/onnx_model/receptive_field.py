"""Which samples of a signal one sample of the output follows from: the receptive field along the last axis, read off the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import onnx

from ..errors import ModelError
from .dataflow import data_tensors
from .node import Node

WINDOWS = ("AveragePool", "Conv", "MaxPool")
ELEMENTWISE = (
    *("Abs", "Add", "BatchNormalization", "Cast", "Celu", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish"),
    *("Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus"),
    *("Softsign", "Sqrt", "Sub", "Sum", "Tanh", "ThresholdedRelu", "Where"),
)


@dataclass(frozen=True)
class _Reach:
    """Element i follows from the elements i step + first to i step + last of the input."""

    step: Fraction
    first: Fraction
    last: Fraction

    def through(self, step: Fraction, first: Fraction, last: Fraction) -> _Reach:
        """Of what reads elements i step + first to i step + last of this."""
        return _Reach(self.step * step, self.step * first + self.first, self.step * last + self.last)


@dataclass(frozen=True)
class ReceptiveField:
    """A sample follows from itself, `before` samples in front of it and `after` behind it. A signal that starts at a multiple of `grain` samples
    meets all strides as the whole one does."""

    before: int
    after: int
    grain: int


def receptive_field(model: onnx.ModelProto) -> ReceptiveField:
    """That of a model of one output, which has as many samples as its input. Raises ModelError for operators that look at a whole signal, or that
    are not known to look at a part alone."""
    data, (output,) = data_tensors(model.graph), model.graph.output
    reach = {value.name: _Reach(Fraction(1), Fraction(0), Fraction(0)) for value in model.graph.input if value.name in data}
    for node in map(Node.of, model.graph.node):
        read = [reach[name] for name in node.inputs if name in data]
        if read:
            reach.update(dict.fromkeys(node.outputs, _through(node, read)))
    found = reach[output.name]
    if found.step != 1:
        raise ModelError(f"output {output.name!r}", f"{1 / found.step} samples for each of the input's", "as many samples as the input has")
    grain = math.lcm(*(each.step.numerator for each in reach.values()))
    return ReceptiveField(max(0, -math.floor(found.first)), max(0, math.ceil(found.last)), grain)


def _through(node: Node, read: list[_Reach]) -> _Reach:
    attributes = node.attributes
    if node.operator in (*WINDOWS, "ConvTranspose") and len(read) == 1 and attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID"):
        kernel = attributes.get("kernel_shape")
        if kernel is not None and not attributes.get("ceil_mode", 0):
            stride, dilation = (Fraction(attributes.get(name, [1] * len(kernel))[-1]) for name in ("strides", "dilations"))
            pad = Fraction(attributes.get("pads", [0] * 2 * len(kernel))[len(kernel) - 1])
            width = dilation * (kernel[-1] - 1)
            if node.operator == "ConvTranspose":
                return read[0].through(1 / stride, (pad - width) / stride, pad / stride)
            return read[0].through(stride, -pad, width - pad)
    in_place = node.operator in ELEMENTWISE or (node.operator == "Concat" and attributes["axis"] == 1)
    if in_place and len({each.step for each in read}) == 1:
        return _Reach(read[0].step, min(each.first for each in read), max(each.last for each in read))
    raise ModelError(
        f"node {node.name!r}",
        f"{node.operator}, which may look at a whole signal",
        "convolutions, pools and elementwise operators alone, for a signal that is run in pieces",
        "run signals short enough to be run whole",
    )
