"""ONNX models of a chosen share of silent neurons: random weights, and per channel a bias that silences just that share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SAMPLES = 2  # images from which the biases are taken
VGG16 = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool")


def session(model: onnx.ModelProto, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The model under ONNX Runtime, from its input to its output; 0 threads: its own choice."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    run = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run
    name = model.graph.input[0].name
    return lambda x: run(None, {name: x})[0]


class Builder:
    """A model under way: a chain of nodes, grown and measured layer by layer."""

    def __init__(self, shape: tuple[int, ...], silent: float, seed: int = 0):
        self._rng, self._silent = np.random.default_rng(seed), silent
        self.shape = shape
        self._nodes, self._weights = [], {}
        self.samples = self.inputs(SAMPLES)
        self.last, self.channels = "input", shape[0]

    def inputs(self, images: int) -> np.ndarray:
        """Random images in [0, 1] of which the share is 0, (images, *shape) float32."""
        x = self._rng.random((images, *self.shape), np.float32)
        x[self._rng.random(x.shape) < self._silent] = 0
        return x

    def node(self, operator: str, inputs: list[str], arrays: dict[str, np.ndarray] | None = None, **attributes) -> str:
        """Append a node; returns its output's name."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        for suffix, array in (arrays or {}).items():
            self._weights[f"{name}.{suffix}"] = np.asarray(array, np.float32)
        self._nodes.append(helper.make_node(operator, [*inputs, *(f"{name}.{suffix}" for suffix in arrays or {})], [name], name=name, **attributes))
        return name

    def conv(self, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1, pad: int | None = None, fire: bool = True) -> None:
        axes = len(self.shape) - 1
        weights = self._rng.normal(0, np.sqrt(2 / (self.channels * kernel**axes)), (outputs, self.channels, *(kernel,) * axes))
        pad = dilation * (kernel // 2) if pad is None else pad
        self._layer("Conv", weights, fire, strides=[stride] * axes, dilations=[dilation] * axes, pads=[pad] * (2 * axes))

    def dense(self, outputs: int, fire: bool = True) -> None:
        weights = self._rng.normal(0, np.sqrt(2 / self.channels), (self.channels, outputs))
        self._layer("Gemm", weights, fire)

    def _layer(self, operator: str, weights: np.ndarray, fire: bool, **attributes) -> None:
        self.channels = len(weights) if operator == "Conv" else weights.shape[1]
        self.last = self.node(operator, [self.last], {"w": weights, "b": np.zeros(self.channels)}, **attributes)
        if fire:
            self._scale(self.last)
            self.fire(self.last, self.last)

    def _scale(self, name: str) -> None:
        """Shrink a layer's weights so that, behind its bias, hardly any value is above 1."""
        low, high = self._quantiles(name)
        weights = self._weights[f"{name}.w"]
        outputs_first = (-1,) + (1,) * (weights.ndim - 1) if weights.ndim > 2 else (1, -1)
        self._weights[f"{name}.w"] = weights / np.maximum(high - low, 1e-3).reshape(outputs_first).astype(np.float32)

    def fire(self, source: str, layer: str) -> None:
        """ReLU1, with a bias of `layer` by which the share of `source`'s values is at most 0."""
        self._weights[f"{layer}.b"] = -self._quantiles(source)[0].astype(np.float32)
        self.last = self.node("Clip", [source], {"low": 0, "high": 1})

    def _quantiles(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        values = np.moveaxis(self.run(name), 1, -1).reshape(-1, self.channels)
        return np.quantile(values, self._silent, axis=0), np.quantile(values, 0.995, axis=0)

    def max_pool(self) -> None:
        self.last = self.node("MaxPool", [self.last], kernel_shape=[2, 2], strides=[2, 2])

    def flatten(self) -> None:
        self.channels = int(np.prod(self.run(self.last).shape[1:]))
        self.last = self.node("Flatten", [self.last])

    def mean(self) -> None:
        self.last = self.node("GlobalAveragePool", [self.last])

    def run(self, name: str) -> np.ndarray:
        """A value of the model so far, on the samples."""
        return session(self.model(name), 0)(self.samples)

    def model(self, output: str | None = None) -> onnx.ModelProto:
        output = output or self.last
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self._nodes,
            "benchmark",
            [value("input", TensorProto.FLOAT, ["batch", *self.shape])],
            [value(output, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name) for name, array in self._weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        return onnx.shape_inference.infer_shapes(model)


def vgg16(silent: float) -> Builder:
    """Simonyan and Zisserman 2014, configuration D, for 32 x 32 images, as in the paper."""
    net = Builder((3, 32, 32), silent)
    for width in VGG16:
        net.max_pool() if width == "pool" else net.conv(width)
    net.flatten()
    net.dense(512)
    net.dense(512)
    net.dense(10, fire=False)
    return net


def resnet20(silent: float) -> Builder:
    """He et al. 2015, for 32 x 32 images, strided 1 x 1 convolutions as shortcuts."""
    net = Builder((3, 32, 32), silent)
    net.conv(16)
    for width, stride in ((16, 1),) * 3 + ((32, 2),) + ((32, 1),) * 2 + ((64, 2),) + ((64, 1),) * 2:
        source, channels = net.last, net.channels
        net.conv(width, stride=stride)
        net.conv(width, fire=False)
        branch = net.last
        if stride > 1:
            net.last, net.channels = source, channels
            net.conv(width, kernel=1, stride=stride, fire=False)
            source = net.last
        net.fire(net.node("Add", [branch, source]), branch)
    net.mean()
    net.flatten()
    net.dense(10, fire=False)
    return net


def autoencoder(silent: float) -> Builder:
    """The paper's 784-128-64-32-64-128-784."""
    net = Builder((784,), silent)
    for width in (128, 64, 32, 64, 128):
        net.dense(width)
    net.dense(784, fire=False)
    return net


def speech(silent: float) -> Builder:
    """The paper's mask estimator (its section V-B): 1 x 1, ten convolutions of width 3 dilated by 1 to 512, 1 x 1; 128 channels, half a second."""
    net = Builder((128, 800), silent)
    net.conv(128, kernel=1)
    for power in range(10):
        net.conv(128, dilation=2**power)
    net.conv(128, kernel=1, fire=False)
    return net


NETWORKS: dict[str, Callable[[float], Builder]] = {
    "VGG-16": vgg16,
    "ResNet-20": resnet20,
    "autoencoder MLP": autoencoder,
    "dilated Conv1d stack": speech,
}
