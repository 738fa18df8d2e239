"""The quantised ANN as a graph: the original with nodes that round what spikes carry. See `quantised_ann`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import ModelError, UsageError
from ..kernels.rounding import TIE
from ..network.network import Network
from ..network.populations import FUNCTIONS, Analog, Coded, Input, MaxPool, Spiking, sources, weight_sum_deviation
from ..onnx_model.subgraphs import subgraphs
from ..onnx_model.unique_names import unique_name

ROUNDING = 2e-5  # of a range: what float32 sums in another order may differ by
LARGEST_DEVIATION = 1e-4  # of a slope from 1 that may move a tie; beyond it the two networks are not the same


@dataclass(frozen=True)
class Quantiser:
    """A tensor of the original graph and the spikes that carry it."""

    layer: Coded  # encoders or neurons; or the max-pool that alone reads neurons which have no tensor of their own
    neurons: str  # name of the population that fires
    tensor: str
    steps: int  # N
    tolerance: float  # in steps: how far from a tie float32 sums may take different sides
    parent: str | None  # of another quantiser of the same tensor, its layer: these neurons encode its values anew
    readers: frozenset[str]  # names of the next layers with neurons or a tensor that the spikes reach


def quantised_model(network: Network, model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` with quantisation nodes where spikes carry its tensors; inputs and outputs keep their names.

    model: the original of `network`, in float32, weights inside, opset 7 or later. What enters as analog current is not quantised.
    Raises UsageError in continuous time, ModelError where spikes carry no tensor of the original.
    """
    return Insertion(network, model).model


def _quantisers(network: Network, model: onnx.ModelProto) -> tuple[list[Quantiser], list[str]]:
    """All quantisers, in topological order, and the names of layers that spike without a tensor of the original."""
    known = {name for node in model.graph.node for name in node.output} | {value.name for value in model.graph.input}
    counts, layers = network.grid(), {layer.name: layer for layer in network.layers}
    coded = {layer.name: layer for layer in network.layers if isinstance(layer, Coded)}
    points: dict[str, tuple[str, str]] = {}  # layer -> the neurons whose spikes it passes on, and the tensor
    missing = []
    for layer in network.layers:
        if isinstance(layer, Spiking) or (isinstance(layer, Input) and layer.coding == "spikes"):
            tensor = layer.onnx_name if isinstance(layer, Input) and layer.source is None else layer.tensor
            found = {layer.name: tensor} if tensor is not None and tensor in known else _behind_pools(network, layer.name, known)
            points |= {name: (layer.name, tensor) for name, tensor in (found or {}).items()}
            missing += [] if found else [layer.name]
    read: dict[str, set[str]] = {}  # by layer, the populations that it reads, if need be through wiring without a tensor, or an analog part
    for layer in network.layers:
        read[layer.name] = set().union(
            *(
                {source}
                if not isinstance(layer, Analog) and (isinstance(layers[source], (Input, Spiking)) or layers[source].tensor in known)
                else read[source]
                for source in sources(layer)
            )
        )
    quantisers: list[Quantiser] = []
    for name, (neurons, tensor) in points.items():
        parent = next((each.layer.name for each in quantisers if each.tensor == tensor and each.layer.name in read[neurons]), None)
        readers = frozenset(layer.name for layer in network.layers if name in read[layer.name])
        steps, fires = counts[neurons], coded[neurons]
        deviation = weight_sum_deviation(fires) if isinstance(fires, Spiking) and fires.slope == "fan_in" else None
        tolerance = steps * (ROUNDING + min(deviation or 0.0, LARGEST_DEVIATION))
        quantisers.append(Quantiser(coded[name], neurons, tensor, steps, tolerance, parent, readers))
    return quantisers, missing


def _behind_pools(network: Network, name: str, known: set[str]) -> dict[str, str] | None:
    """Layer -> tensor of the max-pools behind which all spikes of `name` first have one, for maximum and quantisation commute; None if
    other layers read them before."""
    found: dict[str, str] = {}
    for reader in (layer for layer in network.layers if name in sources(layer)):
        behind = {reader.name: reader.tensor} if reader.tensor is not None and reader.tensor in known else _behind_pools(network, reader.name, known)
        if not isinstance(reader, MaxPool) or behind is None:
            return None
        found |= behind
    return found or None


class Insertion:
    """The quantised graph. levels, positions: by layer, the tensors of its levels (unsigned integers) and of N a + h + 1e-4 (float64).
    readouts: by tensor that a readout stands for, the one that its potentials equal."""

    def __init__(self, network: Network, model: onnx.ModelProto):
        if network.steps is None:
            raise UsageError("quantised ANN", "continuous time", "a grid: other spike times have no levels", "set --steps N")
        if network.derived is not None:
            raise UsageError(
                "quantised ANN",
                "layers that stand for tensors which the original graph does not have, of products or normalisations",
                "a tensor of the original for every layer that spikes",
                "leave --quantised out: the layer errors say what rounding does",
            )
        split = [layer.name for layer in network.layers if isinstance(layer, Spiking) and layer.part in FUNCTIONS]
        if split:
            raise UsageError(
                "quantised ANN",
                f"halves of one activation in {', '.join(split[:5])}",
                "layers that carry tensors of the original",
                "leave --quantised out: the layer errors say what rounding does",
            )
        self.quantisers, missing = _quantisers(network, model)
        if missing:
            names = ", ".join(missing[:5]) + ", ..." * (len(missing) > 5)
            raise ModelError("quantised ANN", f"the original graph has no tensor for {names}", "one for every layer that spikes")
        self.model, self._half = onnx.ModelProto(), network.half
        self.model.CopyFrom(model)
        self.levels: dict[str, str] = {}
        self.positions: dict[str, str] = {}
        self.readouts = {layer.tensor: layer.tensor for layer in network.readouts if layer.tensor is not None}
        self._ends = {layer.tensor: {layer.name} for layer in network.readouts if layer.tensor is not None}
        self._taken = {name for node in model.graph.node for name in (node.name, *node.input, *node.output)}
        self._following = _following(
            self.model.graph,
            [*((each.tensor, each.neurons) for each in self.quantisers), *((layer.tensor, layer.name) for layer in network.layers if layer.tensor)],
        )
        inserted: dict[str, list[onnx.NodeProto]] = {}  # by the tensor behind which they belong
        for tensor in dict.fromkeys(each.tensor for each in self.quantisers):
            inserted |= self._insert(tensor, [each for each in self.quantisers if each.tensor == tensor])
        graph = self.model.graph
        nodes = [new for value in graph.input for new in inserted.get(value.name, ())]
        nodes += [each for node in graph.node for each in (node, *(new for name in node.output for new in inserted.get(name, ())))]
        del graph.node[:]
        graph.node.extend(nodes)

    def _insert(self, tensor: str, group: Sequence[Quantiser]) -> dict[str, list[onnx.NodeProto]]:
        """Let all that reads `tensor` read what the spikes of the layers it belongs to carry; return the nodes that compute this."""
        graph = self.model.graph
        ends = self._chosen(group, self._ends.get(tensor, set()))
        result = {each.layer.name: self._new(f"{tensor}/quantised") for each in group}
        exact = tensor
        if ends and tensor in {value.name for value in graph.output} and tensor not in {value.name for value in graph.input}:
            exact, result[ends] = self._new(f"{tensor}/exact"), tensor  # an output keeps its name
        for node, following in zip(graph.node, self._following):
            if tensor in _read(node):
                wanted = self._chosen(group, following) if following else ends  # a node of the tail reads what the readout does
                _rename(node, tensor, result[wanted] if wanted else exact)
            node.output[:] = [exact if name == tensor else name for name in node.output]
        self.readouts |= {tensor: result[ends]} if ends else {}
        nodes = []
        for each in group:
            source, half = exact if each.parent is None else result.get(each.parent, exact), _other_half(each, group)
            nodes += self._nodes(each, source, result[each.layer.name], None if half is None else result.get(half))
        return {exact: nodes}

    def _chosen(self, group: Sequence[Quantiser], layers: set[str]) -> str | None:
        """Of the quantisers of one tensor the last one that some of `layers` read, by its layer; None if they read none."""
        return next((each.layer.name for each in reversed(group) if each.readers & layers), None)

    def _nodes(self, quantiser: Quantiser, source: str, result: str, half: str | None) -> list[onnx.NodeProto]:
        """From the tensor `source` to `result`, in float64. clip(v, 0, N) = relu(N - relu(N - v)) reads the same in every opset.

        half: the tensor of the values' positive part where other neurons carry that; it is added."""
        steps, nodes = quantiser.steps, []
        lo, width, shape = _ends(quantiser.layer)

        def add(operator: str, *inputs: str | np.ndarray | float, output: str = "", **attributes) -> str:
            names = [value if isinstance(value, str) else add("Constant", value=numpy_helper.from_array(np.asarray(value))) for value in inputs]
            output = output or self._new(f"{result}/{operator.lower()}")
            nodes.append(helper.make_node(operator, names, [output], name=output, **attributes))
            return output

        at = add("Cast", source, to=TensorProto.DOUBLE)
        if shape:
            at = add("Reshape", at, np.array(shape, np.int64))
        at = add("Add", add("Mul", at, steps / width), self._half + TIE - lo * (steps / width))
        self.positions[quantiser.layer.name] = at
        at = add("Relu", add("Sub", float(steps), add("Relu", add("Sub", float(steps), add("Floor", at)))))
        at = add("Cast", at, to=TensorProto.UINT8 if steps <= 255 else TensorProto.UINT16)
        self.levels[quantiser.layer.name] = at
        at = add("Add", add("Mul", add("Cast", at, to=TensorProto.DOUBLE), width / steps), lo)
        if shape:
            at = add("Reshape", at, add("Shape", source))
        if half is not None:
            at = add("Add", at, add("Cast", half, to=TensorProto.DOUBLE))
        add("Cast", at, output=result, to=TensorProto.FLOAT)
        return nodes

    def _new(self, name: str) -> str:
        return unique_name(name, self._taken)


def _other_half(quantiser: Quantiser, group: Sequence[Quantiser]) -> str | None:
    """The layer that carries the positive part where `quantiser`'s carries the negative one, for the same readers."""
    if quantiser.layer.part not in ("negative", "negated"):
        return None
    return next((each.layer.name for each in group if each.layer.part == "positive" and each.readers & quantiser.readers), None)


def _ends(layer: Coded) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """lo and hi - lo, float64, as they broadcast over the layer's tensor, and the shape that it has to take for that; none where all
    channels are alike. The tensor's own rank need not be known."""
    lo = layer.lo.astype(np.float64)
    width = np.where(layer.hi > layer.lo, layer.hi - lo, 1.0) * (-1 if layer.part == "negated" else 1)
    channels, size = layer.shape[-1], math.prod(layer.shape)
    if not np.ptp(lo) and not np.ptp(width):
        return lo[0], width[0], []
    if layer.tensor_index is not None:
        lo, width = (np.broadcast_to(end, layer.shape).reshape(-1)[layer.tensor_index] for end in (lo, width))
        return lo, width, [-1, size]
    return (lo[:, None], width[:, None], [-1, channels, size // channels]) if layer.channels_first else (lo, width, [-1, channels])


def _following(graph: onnx.GraphProto, owned: Sequence[tuple[str, str]]) -> list[set[str]]:
    """Per node the layers that its outputs belong to, or else the next ones computed from them. owned: tensors and their layers."""
    owners: dict[str, set[str]] = {}
    for tensor, name in owned:
        owners.setdefault(tensor, set()).add(name)
    reached: dict[str, set[str]] = {}  # by tensor, from what reads it
    following: list[set[str]] = []
    for node in reversed(graph.node):
        layers = set().union(*(owners.get(name) or reached.get(name, set()) for name in node.output))
        following.append(layers)
        for name in _read(node):
            reached.setdefault(name, set()).update(layers)
    return following[::-1]


def _read(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, by its subgraphs too."""
    return set(node.input).union(*(_read(inner) for graph in subgraphs(node) for inner in graph.node))


def _rename(node: onnx.NodeProto, old: str, new: str) -> None:
    """Let a node, subgraphs included, read `new` instead of `old`; ONNX lets no inner name hide an outer one."""
    node.input[:] = [new if name == old else name for name in node.input]
    for graph in subgraphs(node):
        for inner in graph.node:
            _rename(inner, old, new)
