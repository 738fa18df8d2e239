"""What would happen to an ONNX model in each mode, without data and without writing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from pydantic import ValidationError

from ..conversion.options import ConversionOptions
from ..conversion.refusals import broken_network
from ..errors import ModelError
from ..lowering.graph_walk import UnsupportedModel, lower_graph
from ..lowering.ranges.of_inputs import InputRanges, input_ranges
from ..lowering.ranges.of_layers import Unbounded
from ..measurement.operation_counts import spiking_macs
from ..network.choices import MODES, Mode
from ..network.populations import Layer
from ..network.provenance import Violation
from ..onnx_model.given_model import GivenModel, ModelFile, model_file
from ..onnx_model.input_sizes import Sizes, chosen_sizes
from ..onnx_model.macs import macs
from ..onnx_model.simplify import Simplified, simplified


@dataclass(frozen=True)
class ModeVerdict:
    """What one mode would make of a model."""

    layers: tuple[Layer, ...]  # as far as it gets
    violations: tuple[Violation, ...] = ()  # of the constraints of mode strict
    unbounded: tuple[Unbounded, ...] = ()  # layers whose range --calibrate would have to find
    unsupported: tuple[tuple[str, str, str, str], ...] = ()  # (node, operator, why, remedy)
    error: ModelError | None = None  # why it makes nothing of it, besides unsupported nodes and violations

    @property
    def unmeasured(self) -> set[str]:
        """Names of the layers whose range data would have to show."""
        return {layer.layer for layer in self.unbounded}


@dataclass(frozen=True)
class ModelInspection:
    """An ONNX model and its verdict per mode."""

    name: str
    onnx_sha256: str  # of the file
    inputs: dict[str, list[int | str]]  # shapes as the model declares them
    outputs: dict[str, list[int | str]]  # as inputs
    opset: int  # of ONNX's own operators
    operators: dict[str, int]  # how many nodes are left after simplification
    ann_macs: int  # multiply-accumulates per inference
    modes: dict[str, ModeVerdict]  # strict, exact and unchecked
    notes: tuple[str, ...]  # what was taken for granted
    mixed: ModeVerdict | None = None  # of mode exact with `allow_analog`, where it is not the verdict without

    def converts(self, mode: str) -> bool:
        """Whether `mode` makes a network of it, given data to calibrate on where that is needed."""
        verdict = self.modes[mode]
        return not (verdict.error or verdict.unsupported or (mode == "strict" and verdict.violations))

    @property
    def converts_mixed(self) -> bool:
        """Whether mode exact does so with `allow_analog` alone."""
        return self.mixed is not None and not (self.mixed.error or self.mixed.unsupported)

    @property
    def shown(self) -> str:
        """The mode whose layers are worth a look: the first that converts, else exact, which gets furthest."""
        return next((mode for mode in MODES if self.converts(mode)), "exact")

    @property
    def spiking_mac_share(self) -> float:
        """Share of the multiply-accumulates that lie in layers which mode exact can lower."""
        return min(1.0, spiking_macs(self.modes["exact"].layers) / self.ann_macs) if self.ann_macs else 1.0


def inspect_model(model: GivenModel, input_shape: Sizes | Sequence[int] | None = None) -> ModelInspection:
    """What each mode would make of an ONNX model.

    model: path of the file, or an onnx.ModelProto with its weights inside.
    input_shape: as for `convert`.

    Raises ModelError for a file that is no model or that ONNX Runtime cannot run.
    """
    with (
        model_file(model) as file,
        simplified(file.path, lambda original, name: chosen_sizes(original, name, input_shape, None), file.where) as found,
    ):
        return _inspected(file, found)


def _inspected(file: ModelFile, model: Simplified) -> ModelInspection:
    original, graph = model.original.graph, model.graph.graph
    constants = {tensor.name for tensor in original.initializer}
    ranges = input_ranges(model, "auto")
    modes = {mode: _verdict(model, file.where, mode, ranges) for mode in MODES}
    return ModelInspection(
        name=file.name,
        onnx_sha256=model.sha256,
        inputs={value.name: _shape(value) for value in original.input if value.name not in constants},
        outputs={value.name: _shape(value) for value in original.output},
        opset=max((entry.version for entry in model.original.opset_import if entry.domain in ("", "ai.onnx")), default=0),
        operators=dict(sorted(Counter(node.op_type for node in graph.node).items())),
        ann_macs=macs(model.graph),
        modes=modes,
        notes=ranges.notes,
        mixed=_verdict(model, file.where, "exact", ranges, set()) if modes["exact"].unsupported else None,
    )


def _verdict(model: Simplified, where: str, mode: Mode, ranges: InputRanges, analog: set[str] | None = None) -> ModeVerdict:
    options = ConversionOptions(mode=mode)
    builder, unsupported, error = options.builder({}), (), None
    try:
        while not lower_graph(model, builder, where, ranges, analog):
            builder = options.builder({})
    except UnsupportedModel as refused:
        unsupported = tuple(refused.nodes)
    except ModelError as refused:
        error = refused
    except ValidationError as refused:
        error = broken_network(where, refused)
    return ModeVerdict(tuple(builder.layers), tuple(builder.violations), tuple(builder.ranges.unbounded.values()), unsupported, error)


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value or "?" for dim in value.type.tensor_type.shape.dim]
