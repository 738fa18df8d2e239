"""How large the pictures are that a network takes."""

from __future__ import annotations

from ..data import image_size
from ..network.network import Network


def picture_size(network: Network) -> tuple[int, int] | None:
    """Height and width of the pictures that `network` takes; None if it takes none, or something beside them."""
    return image_size(network.inputs[0].onnx_shape) if len(network.inputs) == 1 else None
