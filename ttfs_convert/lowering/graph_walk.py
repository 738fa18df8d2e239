"""Walk a simplified graph once, in order, and give every tensor its value in the spiking network.

What stands before the first spiking layer or after the last one and has no spiking form stays ONNX: head and tail, which
`simulation/head_and_tail.py` explains and `conversion/cut.py` cuts out. Between them every node has to convert, or may be left to an analog part
(`middle.py`).
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Set

import numpy as np
import onnx

from ..errors import ModelError
from ..network.populations import Layer, Readout, sources
from ..onnx_model.dataflow import data_tensors
from ..onnx_model.derived import derived_model
from ..onnx_model.macs import Sizes, node_macs, sizes
from ..onnx_model.node import Node
from ..onnx_model.simplify import Simplified
from ..progress import counted
from .analog_nodes import Grouped, grouped, with_nodes_between
from .builder import Builder
from .decomposition.decomposed import Decomposition, decomposed
from .decomposition.rewriting import Surroundings
from .encoders import enter
from .graph_regions import WEIGHTED, Regions, is_body, tail_tensors
from .mask_product import MaskProduct
from .middle import Middle
from .operators.activation import COMPARISONS
from .operators.affine import PRODUCT_OF_COMPUTED
from .operators.curves import NO_SHAPE
from .operators.probed import lower_probed
from .operators.spellings import with_two_slopes
from .operators.table import NO_REMEDY, OPERATORS, QUANTISED, REMEDIES, TAIL_OPERATORS
from .operators.written_out import with_functions
from .ranges.of_inputs import InputRanges
from .unsupported import AnalogMoved, UnsupportedNode
from .values import Between, Compared, Constant, Head, Potential, Spikes, Tail, Unknown, Value, is_raw

MIXED = "--mode exact --allow-analog"
FEW = 256  # numbers of a constant that is kept once it has been read
PRODUCTS = ("Div", "Gemm", "MatMul", "Mul")  # of which one factor has to be constant


class UnsupportedModel(ModelError):
    """Some nodes have no spiking equivalent. nodes: (name, operator, reason, remedy) of every one of them."""

    def __init__(self, where: str, nodes: list[tuple[str, str, str, str]]):
        first = nodes[0]
        mixed = "" if any(operator in QUANTISED for _, operator, *_ in nodes) else f", or leave it to ONNX Runtime with {MIXED}"
        super().__init__(
            where,
            f"{len(nodes)} unsupported node{'s' if len(nodes) > 1 else ''}, first {first[1]} {first[0]!r} ({first[2]})",
            remedy=f"{first[3]}{mixed}",
        )
        self.nodes = nodes


def lowered(model: Simplified, fresh: Callable[[], Builder], where: str, ranges: InputRanges, analog: set[str] | None = None) -> Builder:
    """What `lower_graph` fills, a builder that `fresh` gives. analog: None, or the tensors of nodes that are known to be analog, to which those are
    added that turn out to be."""
    while True:
        builder = fresh()
        if lower_graph(model, builder, where, ranges, analog):
            return builder


def lower_graph(model: Simplified, builder: Builder, where: str, ranges: InputRanges, analog: set[str] | None = None) -> bool:
    """Fill `builder` from the simplified graph.

    ranges: of the inputs' values. analog: the tensors of nodes that ONNX Runtime is to compute in the middle of the network; None: there are none.
    Returns whether all others have a spiking form: if not, theirs have been added to `analog`, and what the builder holds is good for nothing. Raises
    UnsupportedModel with all nodes that nothing can be done about, ModelError for a graph in which nothing spikes.
    """
    walk = _Walk(model, builder, ranges, analog)
    unsupported, known = [], len(analog or ())
    for node in counted("converting, nodes", walk.nodes, len(walk.nodes)):
        problem = walk.lower(node)
        if problem:
            whole = walk.parts.replaced.get(node.outputs[0], node)  # what its reader knows
            if analog is not None and whole.operator not in QUANTISED:
                analog.update(filter(None, whole.outputs))
            elif whole.name not in {name for name, *_ in unsupported}:
                unsupported.append((whole.name, whole.operator, *problem))
            builder.values.update(dict.fromkeys(node.outputs, Unknown()))
            if analog is not None and whole is node:
                walk.leave(node)
    if unsupported:
        raise UnsupportedModel(where, unsupported)
    if analog is not None and len(analog) > known:
        return False
    walk.read_out(where)
    builder.forget_values()
    builder.keep(_needed(builder.layers))
    return True


class _Walk:
    """What the decision about one node needs to know of the whole graph."""

    def __init__(self, model: Simplified, builder: Builder, ranges: InputRanges, known: Set[str] | None = None):
        self.graph, self.builder, self.ranges = model.graph.graph, builder, ranges
        self._mixed, analog = known is not None, known or frozenset()
        for tensor in self.graph.initializer:
            load = functools.partial(model.array, tensor)
            builder.values[tensor.name] = Constant(load if math.prod(tensor.dims) > FEW else functools.cache(load))
        self.infos = {value.name: value.type.tensor_type for value in (*self.graph.value_info, *self.graph.input, *self.graph.output)}
        shapes, outputs = sizes(model.graph), [value.name for value in self.graph.output]
        builder.opset = next(entry.version for entry in model.graph.opset_import if entry.domain in ("", "ai.onnx"))
        nodes = with_two_slopes([Node.of(proto) for proto in self.graph.node], self._constant, shapes.get, outputs)
        self.inputs = [value.name for value in self.graph.input if value.name not in builder.values]
        self.masked = MaskProduct.of(nodes, self.inputs, lambda name: self._constant(name) is not None)
        if builder.slope != "fan_in":
            body = Regions(self.masked.outside(nodes), shapes)
            nodes = with_functions(nodes, self._constant, outputs, builder.opset, lambda node: not body.prepares(node))
        self.parts = self._decomposed(nodes, model, shapes, outputs, analog)
        groups = self._grouped(analog, shapes)
        self.nodes, self.middle = groups.nodes, Middle(builder, groups, self.infos, shapes)
        self.regions = Regions(self.masked.outside(self.nodes), shapes, {name: self.parts.replaced[name] for name in self.parts.last})
        readers = [node for node in self.nodes if node.operator not in COMPARISONS]  # those are part of a clamp, Where
        self.body_readers = Counter(
            name
            for node in self.masked.outside(readers)
            if self.regions.feeds_body.intersection(node.outputs) or is_body(node)
            for name in set(node.inputs)
        )
        builder.max_pooled = self.regions.max_pooled
        for operator, names in [*((node.operator, set(node.inputs)) for node in readers), ("output", outputs)]:
            for name in names:
                builder.readers.setdefault(name, []).append(operator)
        self.entered: dict[str, Spikes] = {}
        builder.values.update({name: Head(name) for name in self.inputs})

    def _grouped(self, analog: Set[str], shapes: Sizes) -> Grouped:
        """The nodes that are left to ONNX Runtime, in parts."""

        def between(node: Node) -> bool:
            return node.outputs[0] not in self.parts.replaced and node.operator not in QUANTISED and node_macs(node.proto, shapes) == 0

        given = [value.name for value in self.graph.input if value.name not in self.builder.values]
        return grouped(self.parts.nodes, with_nodes_between(self.parts.nodes, analog, given, between))

    def _decomposed(self, nodes: list[Node], model: Simplified, shapes: Sizes, outputs: list[str], analog: Set[str]) -> Decomposition:
        """Products, normalisations and the like as functions of one tensor, but for slope `fan_in`, which has no neurons for these, and for what
        gives the tensors `analog`."""
        if self.builder.slope == "fan_in":
            return Decomposition(nodes)
        regions = Regions(self.masked.outside(nodes), shapes)
        tail = self.masked.decoder | tail_tensors(nodes, regions)

        def spikes(node: Node) -> bool:
            if tail.intersection(node.outputs) or not analog.isdisjoint(node.outputs) or not self._is_float(node.outputs[0]):
                return False
            return node.operator in WEIGHTED or (not regions.feeds_weights.isdisjoint(node.outputs) and not regions.prepares(node))

        originals = model.original.graph
        taken = {name for graph in (self.graph, originals) for node in graph.node for name in (node.name, *node.output)}
        taken.update(tensor.name for graph in (self.graph, originals) for tensor in (*graph.initializer, *graph.input))
        around = Surroundings(
            self._constant,
            shapes.get,
            self.builder.opset,
            {name: node for node in nodes for name in node.outputs},
            Counter(name for names in (outputs, *(node.inputs for node in nodes)) for name in names),
            self.builder.ranges.extremes,
            taken,
            {name for node in nodes for name in node.outputs} - data_tensors(self.graph),
        )
        found = decomposed(nodes, around, spikes, outputs)
        self.builder.values.update((name, Constant(lambda array=array: array)) for name, array in found.constants.items())
        self.builder.ranges.factors, self.builder.ranges.loose = found.wanted, set(found.replaced)
        if found.derived:
            self.builder.derived = derived_model(found.derived, found.constants, model.graph)
        return found

    def _is_float(self, name: str) -> bool:
        return name in self.infos and self.infos[name].elem_type == onnx.TensorProto.FLOAT

    def _constant(self, name: str) -> np.ndarray | None:
        value = self.builder.values.get(name)
        return value.array if isinstance(value, Constant) else None

    def lower(self, node: Node) -> tuple[str, str] | None:
        """Set the values of `node`'s outputs; return (reason, remedy) if it is unsupported."""
        values = self.builder.values
        if node.outputs[0] in self.parts.refused:
            return self.parts.refused[node.outputs[0]]
        if node.operator == "Constant":
            values[node.outputs[0]] = Constant(functools.partial(onnx.numpy_helper.to_array, node.attributes["value"]))
            return None
        given = {name: values[name] for name in node.inputs if name}
        if self.middle.holds(node) and not any(isinstance(value, Tail) for value in given.values()):
            self.middle.compute(node, given)
            return None
        if any(isinstance(value, Unknown) for value in given.values()):
            values.update(dict.fromkeys(node.outputs, Unknown()))
            return None if self._mixed else self._behind_unknown(node, given)  # of a mixed network the next walk will tell
        if any(isinstance(value, Tail) for value in given.values()) or self._ends(node, given):
            self._to_tail(node, given)
            return None
        if node.outputs[0] in self.masked.encoder or (
            _is_shaped(node) and self.regions.prepares(node) and node.outputs[0] not in self.parts.replaced
        ):
            values.update({name: Head(name) for name in node.outputs})
            return None
        problem = self._lowered(node, given)
        if problem is None:
            if self.builder.slope != "fan_in":
                self._encode_streams(node)
        elif node.operator in (*WEIGHTED, *QUANTISED) or node.domain.startswith("com.microsoft") or node.outputs[0] in self.parts.replaced:
            return problem
        elif all(map(is_raw, given.values())) or self.regions.prepares(node):
            values.update({name: Head(name) for name in node.outputs})
        elif not self.regions.feeds_weights.intersection(node.outputs):
            self._to_tail(node, given)
        elif node.operator in OPERATORS or node.operator in REMEDIES or node.domain:
            return problem
        else:
            return self._attempt(lower_probed, node, given)
        return None

    def _ends(self, node: Node, given: dict[str, Value]) -> bool:
        """Whether ONNX Runtime shall run a node although it might spike: the product with a mask in front of a decoder, classifying, and an
        activation that ends the network."""
        if node.outputs[0] in self.masked.decoder:
            return True
        if node.operator in WEIGHTED or all(map(is_raw, given.values())):
            return False
        if node.operator in TAIL_OPERATORS:
            classifies = self.regions.ends(node) and not self.regions.prepares(node)
            spikes = _is_shaped(node) and self.builder.slope != "fan_in"
            return classifies and not (spikes and self.regions.feeds_weights.intersection(node.outputs))
        if self.regions.feeds_body.intersection(node.outputs):
            return False
        value, operator = given[node.inputs[0]], OPERATORS.get(node.operator)
        return node.operator in ("Concat", "Max", "ReduceMax", "Where") or (
            operator is not None
            and operator.activation
            and not is_raw(value)
            and isinstance(value, (Spikes, Potential))
            and not _in_unit_interval(value)
        )

    def _behind_unknown(self, node: Node, given: dict[str, Value]) -> tuple[str, str] | None:
        """Why a node would not convert even if what stands before it did."""
        classifies = node.operator in TAIL_OPERATORS and self.regions.ends(node)
        if node.operator not in WEIGHTED and (classifies or not self.regions.feeds_weights.intersection(node.outputs)):
            return None
        if node.operator in PRODUCTS and not any(isinstance(given[name], Constant) for name in node.inputs[:2]):
            return PRODUCT_OF_COMPUTED
        if _is_shaped(node) and self.builder.slope == "fan_in":
            return NO_SHAPE
        return None if node.operator in OPERATORS else REMEDIES.get(node.operator, NO_REMEDY)

    def _lowered(self, node: Node, given: dict[str, Value]) -> tuple[str, str] | None:
        if node.domain not in ("", "ai.onnx"):
            return f"operator of the domain {node.domain}", (
                "export the plain float32 network, not an optimised or quantised one"
                if node.domain.startswith("com.microsoft")
                else "between its first and last layer: operators of ONNX alone"
            )
        operator = OPERATORS.get(node.operator)
        if operator is None:
            return REMEDIES.get(node.operator, NO_REMEDY)
        if any(isinstance(value, Compared) for value in given.values()) and node.operator != "Where":
            return "it computes with a comparison", "use Clip for a clamp"
        return self._attempt(operator.lower, node, given)

    def _attempt(self, lower: Callable[[Node, Builder], None], node: Node, given: dict[str, Value]) -> tuple[str, str] | None:
        """Let `lower` set the values of `node`'s outputs; (reason, remedy) if it cannot."""
        try:
            for name, value in given.items():
                if isinstance(value, Head):
                    self.builder.values[name] = self._entered(name)
                elif isinstance(value, Between):
                    self.builder.values[name] = self.middle.entered(name, self.nodes)
            if node.operator == "Concat" and all(_is_analog(self.builder.values[name]) for name in given):
                self.builder.values.update({name: Head(name) for name in node.outputs})  # wiring needs spikes, which it would cost neurons
                return None
            try:
                lower(node, self.builder)
            except AnalogMoved:
                self._lower_on_moved(lower, node, given)
        except UnsupportedNode as error:
            self.builder.values.update({name: value for name, value in given.items() if isinstance(value, (Head, Between))})
            return error.reason, error.remedy
        return None

    def _entered(self, name: str) -> Spikes:
        if name not in self.entered:
            self.entered[name] = enter(name, self.infos[name], self.nodes, self.builder, self.ranges.of(name))
        return self.entered[name]

    def _lower_on_moved(self, lower: Callable[[Node, Builder], None], node: Node, given: Mapping[str, Value]) -> None:
        """Lower a node that wants analog input in another order: what moves it is left to the head, and its result enters as it comes.
        Raises UnsupportedNode if it still has not the order it wants."""
        analog = [name for name in given if name in self.infos and _is_analog(self.builder.values[name])]
        problem, violations = AnalogMoved(), len(self.builder.violations)
        for first in (None, False, True):
            del self.builder.violations[violations:]
            try:
                for name in analog:
                    self.builder.values[name] = enter(name, self.infos[name], self.nodes, self.builder, None, first)
                lower(node, self.builder)
                return
            except UnsupportedNode as error:
                problem = error
        self.builder.values.update({name: given[name] for name in analog})
        raise problem

    def leave(self, node: Node) -> None:
        """Leave a node without a spiking form to an analog part."""
        self.middle.compute(node, {name: self.builder.values[name] for name in node.inputs if name})

    def _to_tail(self, node: Node, given: dict[str, Value]) -> None:
        self.builder.values.update(dict.fromkeys(node.outputs, Tail(tuple(self.middle.roots(given)))))

    def _encode_streams(self, node: Node) -> None:
        """A linear value that several nodes read, such as the residual stream of a pre-activation network, is spike-coded once; else each
        reader would integrate all that has been added to it again. The paper's constraints have no place for such neurons."""
        for name in node.outputs:
            value = self.builder.values.get(name)
            if isinstance(value, Potential) and not value.pooled_only and self.body_readers[name] > 1:
                self.builder.values[name] = self.builder.fire(value, name)

    def read_out(self, where: str) -> None:
        """Add the readouts: the outputs, or what the tail computes them from."""
        roots: dict[str, None] = {}
        for output in self.graph.output:
            value = self.builder.values[output.name]
            constant = isinstance(value, Constant) or (isinstance(value, Spikes) and value.raw)
            roots.update({output.name: None} if constant else self.middle.roots({output.name: value}))
        if not roots:
            raise ModelError(where, "nothing in it can spike", "convolutions or matrix products", "run it with ONNX Runtime")
        for root in self.middle.read_outside(roots):
            try:
                self.builder.readout(self.builder.values[root], root)
            except UnsupportedNode as error:
                raise ModelError(f"output {root!r}", error.reason, remedy=error.remedy) from None


def _needed(layers: list[Layer]) -> list[Layer]:
    """Those that some readout depends on: an attempt that ended in the head or the tail may have left others."""
    read = {layer.name for layer in layers if isinstance(layer, Readout) and not layer.inner}
    for layer in reversed(layers):
        if layer.name in read:
            read.update(sources(layer))
    return [layer for layer in layers if layer.name in read]


def _is_shaped(node: Node) -> bool:
    return node.operator in OPERATORS and OPERATORS[node.operator].shaped


def _is_analog(value: Value) -> bool:
    """Whether it is a current that ONNX has computed."""
    return isinstance(value, Spikes) and value.direct and value.raw


def _in_unit_interval(value: Spikes | Potential) -> bool:
    """Whether a ReLU or ReLU1 changes nothing."""
    lowest, highest = value.bounds
    return bool(lowest.min() >= 0 and highest.max() <= 1)
