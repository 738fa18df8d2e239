"""How long it takes to check a network: python benchmarks/check_time.py. The smallest of five runs each, in milliseconds."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.network.network import Network

EXAMPLE = Path(__file__).parents[1] / "examples" / "fashion_mnist" / "model.onnx"
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
RUNS = 5


def vgg16(dense: tuple[int, ...]) -> dict:
    """Fields of a network of VGG-16's convolutions for 32 x 32 pixels, with dense layers of these sizes behind them."""
    layers = [dict(kind="input", name="x", shape=(32, 32, 3), window=0, tensor=None, onnx_name="x", onnx_shape=(3, 32, 32), **_range(3))]
    size, channels, source = 32, 3, "x"
    for number, block in enumerate(VGG16):
        for outputs in block:
            image = (size, size, channels), (size, size, outputs)
            weights = np.full((3, 3, channels, outputs), 0.01, np.float32)
            step = dict(kind="conv", groups=1, weights=weights, **_window(*image, kernel=3, stride=1, pad=1))
            source, channels = _add(layers, image[1], source, step), outputs
        window = _window((size, size, channels), (size // 2, size // 2, channels), kernel=2, stride=2, pad=0)
        shape, last, name = window["out_shape"], layers[-1]["window"], f"pool{number}"
        layers.append(dict(kind="max_pool", name=name, shape=shape, window=last, tensor=None, source=source, **window, **_range(channels)))
        size, source = size // 2, name
    for outputs in dense:
        step = dict(kind="dense", in_shape=(channels,), out_shape=(outputs,), weights=np.full((channels, outputs), 0.01, np.float32))
        source, channels = _add(layers, (outputs,), source, step), outputs
    readout = {key: value for key, value in layers.pop().items() if key not in ("lo", "hi", "low", "high", "slope")}
    layers.append({**readout, "kind": "readout", "tensor": "y", "onnx_shape": readout["shape"], "index": np.arange(channels)})
    options = dict(mode="exact", slope="gated", steps=50, rounding="nearest", pooling="synaptic", onnx_sha256="", ann_macs=0, onnx=None, tail=None)
    return dict(name="VGG-16", layers=layers, **options)


def _range(channels: int) -> dict:
    return dict(lo=np.zeros(channels, np.float32), hi=np.ones(channels, np.float32))


def _window(in_shape: tuple[int, ...], out_shape: tuple[int, ...], kernel: int, stride: int, pad: int) -> dict:
    pads, ones = (pad, pad), (1, 1)
    geometry = dict(kernel=(kernel, kernel), strides=(stride, stride), dilations=ones, pads=pads, pads_end=pads)
    return dict(in_shape=in_shape, out_shape=out_shape, **geometry)


def _add(layers: list[dict], shape: tuple[int, ...], source: str, step: dict) -> str:
    name, channels = f"layer{len(layers)}", shape[-1]
    neurons = dict(bias=np.zeros(channels, np.float32), weight_sums=np.ones(channels, np.float32), slope="gated", low=None, high=None)
    connections = [dict(source=source, path=[step])]
    window = layers[-1]["window"] + 1
    layers.append(dict(kind="spiking", name=name, shape=shape, window=window, tensor=None, connections=connections, **neurons, **_range(channels)))
    return name


def milliseconds(fields: dict) -> float:
    """The smallest time of some."""
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        Network.model_validate(fields)
        taken.append(time.perf_counter() - start)
    return 1000 * min(taken)


def main() -> None:
    """One line each."""
    for name, fields in (
        ("examples/fashion_mnist/model.onnx", convert(EXAMPLE).model_dump()),
        ("VGG-16 for CIFAR", vgg16((10,))),
        ("the same with wide dense layers", vgg16((4096, 2048, 10))),
    ):
        network = Network.model_validate(fields)
        steps = [step for layer in network.layers for each in getattr(layer, "connections", ()) for step in each.path]
        size = sum(step.weights.nbytes for step in steps if hasattr(step, "weights"))
        print(f"{name}: {size / 1e6:.1f} MB of weights, {milliseconds(fields):.1f} ms")


if __name__ == "__main__":
    main()
