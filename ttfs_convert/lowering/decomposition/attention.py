"""Scaled dot-product attention, the operator.

1. Attention(Q, K, V)   -> Softmax(scale Q K^T + mask) V, head by head, as `shares.py` and `matrix_products.py` have them

Q, K, V: (batch, tokens, heads * features), or (batch, heads, tokens, features). scale: by default 1 / sqrt(features).
"""

from __future__ import annotations

import math

import numpy as np

from ..unsupported import UnsupportedNode
from .matrix_products import contracted
from .rewriting import Rewriting
from .shares import FORBIDDEN, shares


def rewrite_attention(rewriting: Rewriting) -> str:
    """Raises UnsupportedNode for grouped heads, caches of keys and values, soft caps, computed masks, and more than its first output."""
    given, inputs = rewriting.node.attributes, [*rewriting.node.inputs, "", "", ""]
    shapes: list[tuple[int, ...]] = [rewriting.graph.shape(name) or () for name in inputs[:3]]
    if any(inputs[4:]) or given.get("softcap", 0.0) or any(name and rewriting.graph.readers.get(name) for name in rewriting.node.outputs[1:]):
        raise UnsupportedNode("it keeps keys and values, caps its scores or has more than one output", "plain attention")
    heads = given.get("q_num_heads", shapes[0][1] if len(shapes[0]) == 4 else 0)
    if not heads or len({len(shape) for shape in shapes}) > 1 or given.get("kv_num_heads", shapes[1][1] if len(shapes[1]) == 4 else 0) != heads:
        raise UnsupportedNode("its queries have other heads than its keys", "as many heads of keys as of queries")
    split = len(shapes[0]) == 3
    names, labels = list(inputs[:3]), ("bhtd", "bhsd", "bhse")
    if split:
        names = [rewriting.reshaped(f"{called}_heads", name, (0, shape[1], heads, -1)) for called, name, shape in zip("qkv", names, shapes)]
        labels = ("bthd", "bshd", "bshe")
    features = shapes[0][2] // heads if split else shapes[0][3]
    scale = given.get("scale", 1 / math.sqrt(features))
    tokens = [shape[1 if split else 2] for shape in shapes[:2]]
    scores = contracted(rewriting, (names[0], labels[0]), (names[1], labels[1]), "bhts", scale)
    found = shares(rewriting, scores, (3,), _mask(rewriting, inputs[3], (1, heads, *tokens)))
    if not split:
        return contracted(rewriting, (found, "bhts"), (names[2], labels[2]), "bhte")
    return rewriting.reshaped("joined", contracted(rewriting, (found, "bhts"), (names[2], labels[2]), "bthe"), (0, tokens[0], -1))


def _mask(rewriting: Rewriting, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """What is added to scores of `shape`, float64; None for nothing."""
    mask = np.zeros(shape)
    if name:
        array = rewriting.graph.constant(name)
        if array is None:
            raise UnsupportedNode("its mask is computed by the network", "make it a constant")
        mask = mask + (np.where(array, 0.0, FORBIDDEN) if array.dtype.kind == "b" else array)
    if rewriting.node.attributes.get("is_causal", 0):
        mask = mask + np.where(np.tril(np.ones(shape[2:])), 0.0, FORBIDDEN)
    return mask if mask.any() else None
