"""Einsum with one constant factor: a matrix product over any axes (`dense.py`). What else is linear in one computed input is a matrix that
ONNX Runtime gives (`probed.py`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace

from ...onnx_model.node import Node
from ..builder import Builder, UnsupportedNode
from ..values import Constant, Potential, Spikes
from .affine import PRODUCT_OF_COMPUTED
from .matmul import product_of_rows
from .probed import lower_probed

EQUATION = re.compile(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]*)")


def lower_einsum(node: Node, builder: Builder) -> None:
    values = [builder.value(name) for name in node.inputs]
    computed = [value for value in values if isinstance(value, (Spikes, Potential))]
    if len(computed) > 1:
        raise UnsupportedNode(*PRODUCT_OF_COMPUTED)
    labels = _labels(node.attributes["equation"])
    constant = next((position for position, value in enumerate(values) if isinstance(value, Constant)), None)
    if labels is None or len(values) != 2 or constant is None or not computed:
        lower_probed(node, builder)
        return
    position, (of_value, of_weights, out) = 1 - constant, (labels[1 - constant], labels[constant], labels[2])
    if any(label not in of_weights + out for label in of_value):
        lower_probed(node, builder)  # sums over what no factor has
        return
    value, weights = computed[0], builder.constant(node, constant, "factor")
    weights = weights.sum(tuple(axis for axis, label in enumerate(of_weights) if label not in of_value + out))
    of_weights = "".join(label for label in of_weights if label in of_value + out)
    groups = [label for label in of_value if label in of_weights and label in out]
    rows = [label for label in of_value if label not in of_weights]
    inputs = [label for label in of_value if label in of_weights and label not in out]
    outputs = [label for label in of_weights if label not in of_value]
    sizes = dict(zip(of_value, value.index.shape)) | dict(zip(of_weights, weights.shape))
    count = {name: math.prod(sizes[label] for label in some) for name, some in (("rows", rows), ("inputs", inputs), ("outputs", outputs))}
    front = [sizes[label] for label in groups]
    index = value.index.transpose([of_value.index(label) for label in (*groups, *rows, *inputs)]).reshape(*front, count["rows"], count["inputs"])
    weights = weights.transpose([of_weights.index(label) for label in (*groups, *inputs, *outputs)]).reshape(
        *front, count["inputs"], count["outputs"]
    )
    result, order = product_of_rows(value, index, weights, node, builder, position)
    found = [*groups, *rows, *outputs]
    order = order.reshape([sizes[label] for label in found]).transpose([found.index(label) for label in out])
    builder.values[node.outputs[0]] = replace(result, index=order)


def _labels(equation: str) -> tuple[str, str, str] | None:
    """Of both factors and the result, each label once in each; None for other equations."""
    equation = equation.replace(" ", "")
    if "->" not in equation:
        counts = Counter(equation.replace(",", ""))
        equation += "->" + "".join(sorted(label for label, count in counts.items() if count == 1))
    match = EQUATION.fullmatch(equation)
    if match is None or any(len(set(part)) < len(part) for part in match.groups()):
        return None
    return match[1], match[2], match[3]
