"""Constants among a node's inputs."""

from __future__ import annotations

import numpy as np

from ...onnx_model.node import Node
from ..builder import Builder, UnsupportedNode
from ..values import Constant


def constants_of(node: Node, builder: Builder, computed: int = 0) -> dict[str, np.ndarray]:
    """The node's inputs but the one at `computed`. Raises UnsupportedNode where one of these is computed too."""
    others = [name for position, name in enumerate(node.inputs) if name and position != computed]
    constants = {name: value for name in others if isinstance(value := builder.values[name], Constant)}
    if not constants.keys() >= set(others):
        raise UnsupportedNode("its parameters are computed by the network", "make them constants")
    return {name: value.array for name, value in constants.items()}
