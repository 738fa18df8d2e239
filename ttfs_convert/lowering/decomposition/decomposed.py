"""The nodes of a graph with those replaced that combine several computed tensors: one row each in `RULES`.

Replaced is what has to spike: what leads to a convolution or matrix product, and does not stand in front of the first one or behind a Softmax
that ends the network. A product of two functions of one tensor that has become one node before (`spellings.py`) never comes here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx

from ...onnx_model.node import Node
from ..unsupported import UnsupportedNode
from .attention import rewrite_attention
from .matrix_products import rewrite_einsum, rewrite_gemm, rewrite_matmul
from .normalisation import (
    rewrite_group_normalization,
    rewrite_instance_normalization,
    rewrite_layer_normalization,
    rewrite_lp_normalization,
    rewrite_mean_variance_normalization,
    rewrite_rms_normalization,
)
from .products import rewrite_div, rewrite_mul, rewrite_reciprocal
from .rewriting import Rewriting, Surroundings
from .shares import (
    rewrite_log_softmax,
    rewrite_reduce_l2,
    rewrite_reduce_log_sum,
    rewrite_reduce_log_sum_exp,
    rewrite_reduce_sum_square,
    rewrite_softmax,
)


@dataclass(frozen=True)
class Rule:
    """rewrite: gives the tensor that equals the node's output, None where the node may stay; or raises UnsupportedNode. takes: what it takes,
    for CLI.md."""

    rewrite: Callable[[Rewriting], str | None]
    takes: str


_SQUARES = "as squares of sum and difference, with factors on data that make both as large as each other"
_LAST = "as means, squares, a power and a product"
_ROOT = "with constant axes"
RULES = {
    "Attention": Rule(rewrite_attention, "as MatMul and Softmax; heads, scale, constant masks, is_causal"),
    "Div": Rule(rewrite_div, "of computed tensors, the divisor of one sign: a product with its Reciprocal, or with a power of -0.5 for a root"),
    "Einsum": Rule(rewrite_einsum, "of two computed factors, each axis with a letter of its own, as MatMul"),
    "Gemm": Rule(rewrite_gemm, "of two computed matrices, as MatMul"),
    "GroupNormalization": Rule(rewrite_group_normalization, f"{_LAST}; constant scale and shift"),
    "InstanceNormalization": Rule(rewrite_instance_normalization, f"{_LAST}; constant scale and shift"),
    "LayerNormalization": Rule(rewrite_layer_normalization, f"{_LAST}; its first output"),
    "LogSoftmax": Rule(rewrite_log_softmax, "in the middle of the network: z - Log(sum of Exp(z)), z = x - maximum"),
    "LpNormalization": Rule(rewrite_lp_normalization, "p 1 or 2, of vectors that are not 0"),
    "MatMul": Rule(rewrite_matmul, f"of computed tensors of two axes or more, such as attention's: sums of products, {_SQUARES}"),
    "MeanVarianceNormalization": Rule(rewrite_mean_variance_normalization, f"{_LAST}; not along the batch"),
    "Mul": Rule(rewrite_mul, f"of computed tensors that broadcast, {_SQUARES}"),
    "RMSNormalization": Rule(rewrite_rms_normalization, "as squares, a mean, a power and a product"),
    "Reciprocal": Rule(rewrite_reciprocal, "of a root: a power of -0.5"),
    "ReduceL2": Rule(rewrite_reduce_l2, _ROOT),
    "ReduceLogSum": Rule(rewrite_reduce_log_sum, _ROOT),
    "ReduceLogSumExp": Rule(rewrite_reduce_log_sum_exp, _ROOT),
    "ReduceSumSquare": Rule(rewrite_reduce_sum_square, _ROOT),
    "Softmax": Rule(rewrite_softmax, "in the middle of the network: Exp(z - Log(sum of Exp(z))), z = x - maximum"),
}


@dataclass(frozen=True)
class Decomposition:
    """nodes: of the graph, in topological order. constants: that the new ones read, by name. replaced: by output of a new node, the node that
    it is a part of; `last` of these, those that give its output. derived: the new nodes that give tensors which the graph did not have. wanted:
    tensors on whose extremes on data the new nodes depend. refused: by output, (reason, remedy) of nodes that cannot be replaced."""

    nodes: list[Node]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    replaced: dict[str, Node] = field(default_factory=dict)
    last: set[str] = field(default_factory=set)
    derived: list[onnx.NodeProto] = field(default_factory=list)
    wanted: tuple[str, ...] = ()
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)


def decomposed(nodes: Sequence[Node], graph: Surroundings, spikes: Callable[[Node], bool], outputs: Sequence[str]) -> Decomposition:
    """`nodes`, in topological order, with those replaced for which there is a rule. spikes: whether a node has to. outputs: of the graph."""
    found = Decomposition([])
    absorbed: list[Node] = []
    for node in nodes:
        rule = None if node.domain not in ("", "ai.onnx") else RULES.get(node.operator)
        rewriting = Rewriting(node, graph)
        try:
            result = rule.rewrite(rewriting) if rule is not None and spikes(node) else None
        except UnsupportedNode as error:
            found.refused[node.outputs[0]] = error.reason, error.remedy
            result = None
        if result is None:
            found.nodes.append(node)
            continue
        new = rewriting.finished(result)
        found.nodes.extend(new)
        found.constants.update(rewriting.constants)
        found.replaced.update((each.outputs[0], node) for each in new)
        found.last.add(node.outputs[0])
        found.derived.extend(each.proto for each in new[:-1])
        absorbed += rewriting.absorbed
    read = Counter(name for node in found.nodes for name in node.inputs)
    unread = {id(node) for node in absorbed if not any(read[name] or name in outputs for name in node.outputs)}
    return Decomposition(
        [node for node in found.nodes if id(node) not in unread],
        found.constants,
        found.replaced,
        found.last,
        found.derived,
        tuple(graph.wanted),
        found.refused,
    )
