"""Small ONNX models, built node by node, and their comparison with what they convert to."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.data import Dataset
from ttfs_convert.measurement.layer_errors import LayerErrors
from ttfs_convert.network.network import Network
from ttfs_convert.onnx_model.derived import with_derived
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.head_and_tail import Ends, run
from ttfs_convert.simulation.recording import Recording

RUNTIME = tuple(map(int, onnxruntime.__version__.split(".")[:2]))
newer_runtime = pytest.mark.skipif(RUNTIME < (1, 24), reason="ONNX Runtime 1.23, the last for Python 3.10, does not run the original")


def unity(weights: np.ndarray, output_axis: int = 0, total: float = 1.0) -> np.ndarray:
    """`weights` shifted so that those of each output sum to `total`. output_axis: 0 for Conv and Gemm with transB, 1 for MatMul."""
    others = tuple(axis for axis in range(weights.ndim) if axis != output_axis)
    exact = weights.astype(np.float64)
    size = exact.size / exact.shape[output_axis]
    return (exact - exact.mean(others, keepdims=True) + total / size).astype(np.float32)


class Chain:
    """A graph under construction. `at` names the tensor that the next node reads; every method that adds a node returns the chain.
    `opset` is that of its operators.

    shape: of the input x without its batch axis. seed: of the weights. others: shapes of further inputs, by name.
    """

    def __init__(self, shape: tuple[int, ...], seed: int = 0, **others: tuple[int, ...]):
        self.shape, self.rng, self.at, self.opset = tuple(shape), np.random.default_rng(seed), "x", 17
        self._inputs = {"x": self.shape, **others}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, operator: str, *inputs: np.ndarray | str | None, outputs: int = 1, **attributes) -> Chain:
        """One node on `at`; further inputs are constants, names of tensors, or None where left out."""
        names = [self.at, *("" if value is None else value if isinstance(value, str) else self.constant(value) for value in inputs)]
        label = f"{operator.lower()}{len(self._nodes)}"
        results = [label + "_out" * (not k) + f"_extra{k}" * bool(k) for k in range(outputs)]
        self._nodes.append(helper.make_node(operator, names, results, name=label, **attributes))
        self.at = results[0]
        return self

    def relu1(self) -> Chain:
        return self.add("Clip", np.float32(0), np.float32(1))

    def conv(self, outputs: int, kernel: tuple[int, ...] = (3, 3), total: float = 1.0, bias: bool = True, groups: int = 1, **attributes) -> Chain:
        """A convolution with random weights that sum to `total`."""
        weights = unity(self.rng.normal(0, 0.5, (outputs, self.width(1) // groups, *kernel)), total=total)
        biases = [self.rng.normal(0, 0.1, outputs).astype(np.float32)] if bias else []
        return self.add("Conv", weights, *biases, group=groups, **attributes)

    def gemm(self, outputs: int, total: float = 1.0) -> Chain:
        """A fully connected layer with random weights that sum to `total`."""
        weights = unity(self.rng.normal(0, 0.5, (self.width(1), outputs)), 1, total)
        return self.add("Gemm", weights, self.rng.normal(0, 0.1, outputs).astype(np.float32))

    def readout(self, outputs: int = 4) -> Chain:
        """Flatten, then a fully connected layer without any constraint, of unit scale."""
        self.add("Flatten")
        inputs = self.width(1)
        return self.add("Gemm", (self.rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(np.float32))

    def batch_norm(self, *signs: float) -> Chain:
        """A BatchNormalization with random statistics. signs: of the first channels' scales; the others' are positive."""
        channels = self.width(1)
        scale = self.rng.uniform(0.5, 1.5, channels) * np.pad(signs, (0, channels - len(signs)), constant_values=1)
        parts = scale, self.rng.normal(0, 0.3, channels), self.rng.normal(0, 0.3, channels), self.rng.uniform(0.5, 2, channels)
        return self.add("BatchNormalization", *(part.astype(np.float32) for part in parts))

    def width(self, axis: int) -> int:
        """Size of the current tensor along `axis`."""
        if self.at == "x":
            return (1, *self.shape)[axis]
        return self._run([helper.make_empty_tensor_value_info(self.at)], self.opset)[self.at].shape[axis]

    def model(self, *outputs: str, opset: int | None = None) -> onnx.ModelProto:
        """Outputs are the current tensor, or those named."""
        opset = opset or self.opset
        names = outputs or (self.at,)
        values = self._run([helper.make_empty_tensor_value_info(name) for name in names], opset)
        return self._model(
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values[name].dtype), ["batch", *values[name].shape[1:]])
                for name in names
            ],
            opset,
        )

    def _run(self, results: list[onnx.ValueInfoProto], opset: int) -> dict[str, np.ndarray]:
        reference = Reference(self._model(results, opset))
        return reference.as_computed({name: np.zeros((1, *shape), kind) for name, (shape, kind) in reference.inputs.items()})

    def _model(self, results: list[onnx.ValueInfoProto], opset: int) -> onnx.ModelProto:
        entries = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]) for name, shape in self._inputs.items()]
        graph = helper.make_graph(self._nodes, "net", entries, results, self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)

    def images(self, count: int = 3, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """Float32 in [low, high], about a fifth of them `low`."""
        shares = np.clip(np.random.default_rng(1).uniform(-0.25, 1, (count, *self.shape)), 0, 1)
        return np.clip(low + (high - low) * shares, low, high).astype(np.float32)


def save(model: onnx.ModelProto, folder: Path) -> Path:
    path = Path(folder) / "model.onnx"
    onnx.save(model, path)
    return path


def converted(model: onnx.ModelProto, **options) -> Network:
    """`convert` of the model as a file; continuous time unless `steps` is given."""
    with tempfile.TemporaryDirectory() as folder:
        return convert(save(model, Path(folder)), **{"steps": None, **options})


def outputs_of(network: Network, recording: Recording, x: dict[str, np.ndarray] | None = None) -> list[np.ndarray]:
    """The potentials, or what the tail makes of them and of the inputs `x`."""
    return list(Ends(network).outputs(recording, x or {}).values())


def alone(model: onnx.ModelProto, network: Network, tensors: Sequence[str] = ()) -> Reference:
    """The original of `network`, one sample at a time: what a sample gives in a batch of its own is what is right."""
    derived = None if network.derived is None else onnx.ModelProto.FromString(network.derived.tobytes())
    reference = Reference(with_derived(model, derived), tensors, threads=1, unbatched=network.unbatched)
    reference.together = reference.fixed_batch or 1
    return reference


def assert_equals_onnx_runtime(model: onnx.ModelProto, x: np.ndarray, tolerance: float = 2e-5, **options) -> Network:
    """The converted network gives every output that ONNX Runtime gives for `model`, and no output is trivial."""
    network = converted(model, **options)
    found = outputs_of(network, run(network, x), {"x": x})
    expected = list(alone(model, network)(x).values())
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        assert theirs.std() > 1e-3, "the output hardly varies: the comparison proves nothing"
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
    return network


def assert_layers_equal_onnx_runtime(model: onnx.ModelProto, x: np.ndarray, tolerance: float = 2e-6, **options) -> int:
    """Every layer that names a tensor of `model` decodes to it; returns how many hidden layers do."""
    network = converted(model, **options)
    recording = run(network, x)
    hidden = [layer for layer in network.layers[:-1] if layer.tensor]
    reference = alone(model, network, [layer.tensor for layer in hidden])
    tensors = reference(x)
    compared = 0
    for layer in hidden:
        if layer.tensor in reference.available:
            activation = recording.activations(layer.name)
            ordered = np.moveaxis(activation, -1, 1) if layer.channels_first else activation
            np.testing.assert_allclose(ordered.reshape(tensors[layer.tensor].shape), tensors[layer.tensor], rtol=0, atol=tolerance)
            compared += 1
    return compared


def dataset(x: np.ndarray) -> Dataset:
    return Dataset("images", x, y=None, sha256=hashlib.sha256(x.tobytes()).hexdigest(), total=len(x), notes=(), image=False)


def layer_errors_of(network: Network, model: onnx.ModelProto, x: np.ndarray, not_compared: Collection[str] = ()) -> LayerErrors:
    """The errors on `x` of every layer with neurons, but those that are `not_compared` because no tensor of the model holds them."""
    layer_errors = LayerErrors(network)
    tensors = [layer.tensor for layer in network.layers if layer.tensor]
    layer_errors.add(run(network, x), Reference(model, tensors, threads=1)(x))
    assert layer_errors.not_compared() == list(not_compared)
    return layer_errors


def exact(model: onnx.ModelProto, x: np.ndarray, tolerance: float = 2e-5, not_compared: Collection[str] = (), **options) -> Network:
    """Mode exact, calibrated on `x` itself: for either slope outputs equal ONNX Runtime's, and so does every layer with neurons.

    tolerance: of outputs, as a share of their range. not_compared: names of layers that no tensor of the model holds. Returns the gated network.
    """
    networks = [
        converted(model, **{"mode": "exact", "slope": slope, "calibrate": dataset(x), "margin": 0.1, **options}) for slope in ("reference", "gated")
    ]
    reference = alone(model, networks[0], [layer.tensor for network in networks for layer in network.layers if layer.tensor])(x)
    reference[model.graph.input[0].name] = x  # some layers encode it anew
    outputs = [reference[value.name] for value in model.graph.output]
    span = max(float(np.ptp(values)) for values in outputs)
    assert span > 1e-2, "the output hardly varies: the comparison proves nothing"
    for network in networks:
        recording, layer_errors = run(network, x), LayerErrors(network)
        for ours, theirs in zip(outputs_of(network, recording, {"x": x}), outputs, strict=True):
            assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * span)
        layer_errors.add(recording, reference)
        assert layer_errors.not_compared() == list(not_compared)
        assert layer_errors.first_out_of_tolerance() is None and layer_errors.saturated() == []
        assert not network.violations
        assert {layer.slope for layer in network.layers if layer.kind == "spiking"} <= {"gated", network.slope}
    assert [network.slope for network in networks] == ["reference", "gated"]
    return networks[1]
