"""Networks of the size that people deploy, as ONNX files: full-width VGG-16 and ResNet-50, with random weights (He initialised) and no PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions of each block
RESNET50 = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # inner channels, blocks, stride of the first


@dataclass
class Graph:
    """A model under way: a chain of nodes. last, channels: what comes out so far."""

    shape: tuple[int, ...]  # of a sample
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    last: str = "input"
    channels: int = 0

    def __post_init__(self):
        self.channels = self.shape[0]

    def node(self, operator: str, inputs: list[str], arrays: tuple[np.ndarray, ...] = (), **attributes: object) -> str:
        """Append a node, whose output `last` then is."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        names = [f"{name}.{number}" for number in range(len(arrays))]
        self.weights += [numpy_helper.from_array(array, each) for each, array in zip(names, arrays)]
        self.nodes.append(helper.make_node(operator, [*inputs, *names], [name], name=name, **attributes))
        self.last = name
        return name

    def _normal(self, *shape: int, fan_in: int) -> np.ndarray:
        values = self.rng.standard_normal(shape, np.float32)
        values *= np.float32(np.sqrt(2 / fan_in))
        return values

    def conv(self, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        weights = self._normal(outputs, self.channels, kernel, kernel, fan_in=self.channels * kernel**2)
        self.node("Conv", [self.last], (weights, np.zeros(outputs, np.float32)), strides=[stride] * 2, pads=[kernel // 2] * 4)
        self.channels = outputs

    def dense(self, outputs: int) -> None:
        weights = self._normal(self.channels, outputs, fan_in=self.channels)
        self.node("Gemm", [self.last], (weights, np.zeros(outputs, np.float32)))
        self.channels = outputs

    def relu(self) -> None:
        self.node("Relu", [self.last])

    def save(self, path: Path) -> None:
        value = helper.make_tensor_value_info
        ends = [value("input", TensorProto.FLOAT, ["batch", *self.shape])], [value(self.last, TensorProto.FLOAT, ["batch", self.channels])]
        graph = helper.make_graph(self.nodes, "network", *ends, self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))


def vgg16(size: int, dense: tuple[int, ...]) -> Graph:
    """Simonyan and Zisserman 2014, configuration D, for images of `size` pixels, with dense layers of these sizes behind the convolutions."""
    net = Graph((3, size, size))
    for width, convolutions in VGG16:
        for _ in range(convolutions):
            net.conv(width)
            net.relu()
        net.node("MaxPool", [net.last], kernel_shape=[2, 2], strides=[2, 2])
    net.node("Flatten", [net.last])
    net.channels *= (size // 32) ** 2
    for outputs in dense[:-1]:
        net.dense(outputs)
        net.relu()
    net.dense(dense[-1])
    return net


def resnet50() -> Graph:
    """He et al. 2015, for images of 224 pixels, its BatchNorms folded into the convolutions."""
    net = Graph((3, 224, 224))
    net.conv(64, 7, 2)
    net.relu()
    net.node("MaxPool", [net.last], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for width, blocks, first in RESNET50:
        for block in range(blocks):
            source, inputs, stride = net.last, net.channels, 1 if block else first
            net.conv(width, 1)
            net.relu()
            net.conv(width, 3, stride)
            net.relu()
            net.conv(4 * width, 1)
            branch = net.last
            if block == 0:
                net.last, net.channels = source, inputs
                net.conv(4 * width, 1, stride)
                source = net.last
            net.node("Add", [branch, source])
            net.relu()
    net.node("GlobalAveragePool", [net.last])
    net.node("Flatten", [net.last])
    net.dense(1000)
    return net


NETWORKS: dict[str, Callable[[], Graph]] = {
    "VGG-16, 32 px": lambda: vgg16(32, (10,)),
    "VGG-16, 32 px, wide dense": lambda: vgg16(32, (4096, 2048, 10)),
    "ResNet-50, 224 px": resnet50,
    "VGG-16, 224 px": lambda: vgg16(224, (4096, 4096, 1000)),
}
