"""What takes the place of one node: nodes that are added one by one, of which the last gives its output."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx

from ...onnx_model.node import Node
from ...onnx_model.unique_names import unique_name

Shapes = Callable[[str], "tuple[int, ...] | None"]


@dataclass
class Surroundings:
    """The graph around a node.

    constant: the array of a tensor, None for computed ones. shape: of a tensor, None where unknown. opset: of ONNX's own operators.
    producer: the node that computes a tensor. readers: how many nodes, and outputs of the graph, read it. extremes: smallest and
    largest value on data by tensor, as far as measured; `wanted` collects the tensors that it is asked for. taken: names of tensors and nodes.
    fixed: tensors that nodes compute, but not from data.
    """

    constant: Callable[[str], np.ndarray | None]
    shape: Shapes
    opset: int
    producer: Mapping[str, Node]
    readers: Mapping[str, int]
    extremes: Mapping[str, tuple[float, float]]
    taken: set[str]
    fixed: Container[str] = ()
    wanted: dict[str, None] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """`name`, or `name` and a number where something is called that already."""
        return unique_name(name, self.taken)

    def magnitude(self, tensor: str) -> float:
        """The largest absolute value of `tensor` on data; 1 where that has not been measured yet."""
        low, high = self.ends(tensor) or (-1.0, 1.0)
        return max(abs(low), abs(high))

    def ends(self, tensor: str) -> tuple[float, float] | None:
        """The smallest and the largest value of `tensor` on data; None where they have not been measured yet."""
        self.wanted[tensor] = None
        return self.extremes.get(tensor)

    def ratio(self, first: str, second: str) -> float:
        """Of the largest magnitude of `second` to that of `first`; 1 where data has not shown both yet, or shows nothing but zeros."""
        sizes = [self.magnitude(name) for name in (second, first)]
        known = first in self.extremes and second in self.extremes
        return sizes[0] / sizes[1] if known and min(sizes) > 0 and np.isfinite(sizes).all() else 1.0


class Rewriting:
    """Of `node` in `graph`. nodes: in topological order, so far. constants: that they read, by name. absorbed: nodes before it that they
    make superfluous, if nothing else reads these."""

    def __init__(self, node: Node, graph: Surroundings):
        self.node, self.graph = node, graph
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self.absorbed: list[Node] = []

    def add(self, called: str, operator: str, *inputs: str | np.ndarray | float, **attributes: Any) -> str:
        """The output of a new node called `<node>/<called>`. inputs: tensors by name, and constants: floats and arrays."""
        name = self.graph.unique(f"{self.node.name}/{called}")
        given = [self._own(each) if isinstance(each, str) else np.asarray(each) for each in inputs]
        names = [each if isinstance(each, str) else self.constant(f"{name}/constant", each) for each in given]
        self.nodes.append(Node.of(onnx.helper.make_node(operator, names, [name], name=name, **attributes)))
        return name

    def _own(self, tensor: str) -> str | np.ndarray:
        """A constant of the graph as one of its own: another graph may not have it, or under another name."""
        array = None if tensor in self.constants else self.graph.constant(tensor)
        return tensor if array is None else array

    def constant(self, called: str, array: np.ndarray) -> str:
        name = self.graph.unique(called)
        self.constants[name] = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
        return name

    def unsqueezed(self, called: str, tensor: str, axes: Sequence[int]) -> str:
        """`tensor` with new axes of size 1 at `axes` of the result."""
        return self._along(called, "Unsqueeze", tensor, axes, 13) if axes else tensor

    def reduced(self, called: str, operator: str, tensor: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """ReduceSum, ReduceMean or ReduceMax of `tensor` over `axes`, which stay with a size of 1 if `keepdims`."""
        return self._along(called, operator, tensor, axes, 13 if operator == "ReduceSum" else 18, keepdims=int(keepdims))

    def _along(self, called: str, operator: str, tensor: str, axes: Sequence[int], since: int, **attributes: int) -> str:
        """Axes are an input since some opset, an attribute before."""
        if self.graph.opset >= since:
            return self.add(called, operator, tensor, np.asarray(axes, np.int64), **attributes)
        return self.add(called, operator, tensor, axes=list(axes), **attributes)

    def reshaped(self, called: str, tensor: str, shape: Sequence[int]) -> str:
        """`tensor` in `shape`, where 0 stands for the size that it has there, -1 for what is left."""
        return self.add(called, "Reshape", tensor, np.asarray(shape, np.int64))

    def is_constant(self, tensor: str) -> bool:
        """Whether nothing computes it from data."""
        return tensor in self.constants or tensor in self.graph.fixed or self.graph.constant(tensor) is not None

    def made_by(self, tensor: str, operator: str) -> Node | None:
        """The node of the graph that computes `tensor`, if it is such an operator."""
        node = self.graph.producer.get(tensor)
        return node if node is not None and node.operator == operator and not node.domain else None

    def finished(self, result: str) -> list[Node]:
        """The nodes, of which the last, which gives `result`, has the name and the output of the one that is replaced."""
        if not self.nodes or self.nodes[-1].outputs != (result,):
            result = self.add("as it is", "Identity", result)
        last, output = self.nodes[-1], self.node.outputs[0]
        proto = onnx.NodeProto()
        proto.CopyFrom(last.proto)
        proto.name, proto.output[:] = self.node.name, [output]
        return [*self.nodes[:-1], replace(last, name=self.node.name, outputs=(output,), proto=proto)]
