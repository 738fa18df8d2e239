"""Models that rescale pixels themselves: the range 0 to 255 of an input, read off the first operators behind it.

1. x / 255, x * (1 / 255), (x - 127.5) / 127.5 and the like: one factor for all values.
2. (x - mean) / std of images in units of 0 to 255: factors and shifts per channel.
3. x - mean of colour images in units of 0 to 255.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...onnx_model.node import Node
from ...onnx_model.simplify import Simplified

PIXELS = (0.0, 255.0)
FULL_SCALES = (255.0, 256.0, 127.5, 128.0)  # divisors that bring pixels to 0..1 or -1..1
MOVERS = ("Cast", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
AFFINE = ("Add", "BatchNormalization", "Div", "Mul", "Sub")


def rescaled_by(name: str, nodes: list[Node], model: Simplified) -> Node | None:
    """The node that ends the rescaling of the input `name` from 0..255; None if the model does not rescale it."""
    constants = {tensor.name: tensor for tensor in model.graph.graph.initializer}
    shape = next(value.type.tensor_type.shape for value in model.graph.graph.input if value.name == name)
    image = len(shape.dim) >= 3 and any(dim.dim_value in (1, 3, 4) for dim in shape.dim[1:])
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for each in dict.fromkeys(node.inputs):
            readers.setdefault(each, []).append(node)
    pending: list[tuple[str, np.ndarray, np.ndarray]] = [(name, np.ones(1), np.zeros(1))]
    while pending:
        tensor, factor, shift = pending.pop()
        for node in readers.get(tensor, ()):
            if node.operator in MOVERS and node.inputs[0] == tensor:
                pending += [(output, factor, shift) for output in node.outputs]
            elif node.operator in AFFINE:
                result = _affine(node, tensor, factor, shift, constants, model)
                if result is None:
                    continue
                if _takes_pixels(*result, image):
                    return node
                pending.append((node.outputs[0], *result))
    return None


def _affine(
    node: Node, tensor: str, factor: np.ndarray, shift: np.ndarray, constants: Mapping, model: Simplified
) -> tuple[np.ndarray, np.ndarray] | None:
    """factor and shift behind `node`, per channel as far as its constants are; None if its other input is computed."""
    others = [each for each in node.inputs if each != tensor]
    if not all(each in constants for each in others) or node.inputs.count(tensor) != 1:
        return None
    arrays = [np.squeeze(model.array(constants[each]).astype(np.float64)) for each in others]
    if any(array.ndim > 1 for array in arrays):
        return None  # differs by position
    if node.operator == "BatchNormalization":
        scale, offset, mean, variance = arrays
        by = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        return by * factor, by * (shift - mean) + offset
    (value,), first = arrays, node.inputs[0] == tensor
    if node.operator == "Mul" or (node.operator == "Div" and first and value.all()):
        by = value if node.operator == "Mul" else 1 / value
        return factor * by, shift * by
    if node.operator == "Add":
        return factor, shift + value
    if node.operator == "Sub":
        return (factor, shift - value) if first else (-factor, value - shift)
    return None


def _takes_pixels(factor: np.ndarray, shift: np.ndarray, image: bool) -> bool:
    """Whether factor x + shift brings 0..255 to the scale of a network's inputs, and no other scale."""
    if np.size(factor) == 1 and any(abs(abs(float(np.ravel(factor)[0])) * scale - 1) < 1e-3 for scale in FULL_SCALES):
        return True
    if not image:
        return False
    lowest, highest = shift, shift + 255 * factor
    normalised = (factor < 0.05).all() and (lowest >= -4).all() and (lowest <= -0.3).all() and (highest >= 0.9).all() and (highest <= 6).all()
    centred = (factor == 1).all() and np.size(shift) == 3 and (shift >= -140).all() and (shift <= -90).all()
    return bool(normalised or centred)
