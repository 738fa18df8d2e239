"""The table of cases: what each engine runs, and on what."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert import convert
from ttfs_convert.kernels.blocking import dense_is_faster, in_long_rows, long_row_blocks, pack, slides
from ttfs_convert.kernels.convolve import Convolution
from ttfs_convert.kernels.threshold import ramp
from ttfs_convert.measurement import operation_counts
from ttfs_convert.simulation.exact_engine import Simulator

from . import peers
from .models import NETWORKS, Builder, session

EXAMPLE = Path(__file__).parent.parent / "examples" / "fashion_mnist"
STEPS = 50
BATCHES = (1, 64)
SILENT = (0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Work:
    """One case made ready. engines: what `exact` and `onnxruntime` do with `images` images. macs: of the dense original. active_macs: those
    whose input is not silent. outputs: of both, for a check. peers: what others do with peers.IMAGES images, by name.
    """

    engines: dict[str, Callable[[], object]]
    macs: float
    active_macs: float
    outputs: Callable[[], tuple[np.ndarray, np.ndarray]]
    images: int
    peers: Callable[[], dict[str, Callable[[], object]]] = dict


@dataclass(frozen=True)
class Case:
    name: str
    silent: float | None  # share; None: that of the data
    batch: int
    build: Callable[[int, int], Work]  # of batch and threads
    quick: bool

    @property
    def scaling(self) -> bool:
        """Whether one thread is measured too."""
        return self.batch == 64 and self.silent in (None, 0.7)


def example(batch: int, threads: int) -> Work:
    """The trained network on real images, one batch after the other."""
    network, original = convert(EXAMPLE / "model.onnx"), onnx.load(EXAMPLE / "model.onnx")
    with np.load(EXAMPLE / "images.npz") as archive:
        images = archive["x"][:128, None].astype(np.float32) / 255
    work = _network(network, original, images, batch, threads)
    return replace(work, peers=lambda: peers.peers(network, original, images[: peers.IMAGES]))


@lru_cache(maxsize=1)
def _converted(build: Callable[[float], Builder], silent: float):
    builder = build(silent)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(builder.model(), str(Path(folder) / "model.onnx"))
        return builder, convert(Path(folder) / "model.onnx", mode="exact")


def network(build: Callable[[float], Builder], silent: float) -> Callable[[int, int], Work]:
    """A network of random weights on random images."""

    def work(batch: int, threads: int) -> Work:
        builder, converted = _converted(build, silent)
        return _network(converted, builder.model(), builder.inputs(batch), batch, threads)

    return work


def _network(converted, original: onnx.ModelProto, images: np.ndarray, batch: int, threads: int) -> Work:
    simulator, reference = Simulator(converted), session(original, threads)
    parts = [images[start : start + batch] for start in range(0, len(images), batch)]
    engines = {"exact": simulator, "onnxruntime": reference}
    recording = simulator(parts[0])
    active = {layer.name: 1 - recording.silent(layer.name).mean(axis=0) for layer in converted.layers if layer.name in recording.spike_times}
    gated = operation_counts.total([operation_counts.gated_of_layer(converted, layer, active) for layer in converted.layers]).synops
    return Work(
        {name: lambda engine=engine: [engine(part) for part in parts] for name, engine in engines.items()},
        converted.ann_macs * len(images),
        gated * len(images),
        lambda: (simulator(parts[0]).potentials, reference(parts[0])),
        len(images),
    )


def layer(size: tuple[int, int], channels: int, outputs: int, kernel: int, groups: int, silent: float) -> Callable[[int, int], Work]:
    """One convolution and its ReLU1: spike steps in, spike steps out, against floats in and out. A fully connected layer has one position."""

    def work(batch: int, threads: int) -> Work:
        rng = np.random.default_rng(0)
        weights = rng.normal(0, np.sqrt(1 / (channels / groups * kernel**2)), (outputs, channels // groups, kernel, kernel)).astype(np.float32)
        steps = rng.integers(0, STEPS, (batch, *size, channels)).astype(np.uint8)
        steps[rng.random(steps.shape) < silent] = STEPS
        times = np.empty((batch, *size, outputs), np.uint8)
        sliding = slides(kernel, 1, 1)
        packed = pack(weights.transpose(2, 3, 1, 0), groups, sliding)
        rise, start = ramp(np.ones((1, outputs), np.float32), STEPS, 0.5), np.zeros((1, outputs), np.float32)
        dense = dense_is_faster(packed, silent, sliding, batch * size[0] * size[1])
        blocks = long_row_blocks(packed, batch * size[0] * size[1], dense, threads)
        packed = in_long_rows(packed, blocks) if blocks else packed
        place = (kernel, kernel), (1, 1), (1, 1), (kernel // 2, kernel // 2)
        ours = Convolution(packed, *place, steps.shape, times.shape, STEPS, STEPS, dense)
        original = session(_layer_model(weights, kernel, groups, size == (1, 1)), threads)
        values = (1 - steps / np.float32(STEPS)).astype(np.float32)
        values = values.reshape(batch, -1) if size == (1, 1) else np.ascontiguousarray(values.transpose(0, 3, 1, 2))

        def exact():
            ours(steps, start, times, rise)

        def outputs_of_both():
            exact()
            theirs = original(values).reshape(batch, outputs, *size)
            return 1 - times / np.float32(STEPS), np.moveaxis(theirs, 1, -1)

        macs = float(batch * size[0] * size[1] * weights.size)
        return Work({"exact": exact, "onnxruntime": lambda: original(values)}, macs, macs * (1 - silent), outputs_of_both, batch)

    return work


def _layer_model(weights: np.ndarray, kernel: int, groups: int, flat: bool) -> onnx.ModelProto:
    arrays = {"w": weights[:, :, 0, 0].T if flat else weights, "low": np.float32(0), "high": np.float32(1)}
    first = (
        helper.make_node("MatMul", ["x", "w"], ["v"])
        if flat
        else helper.make_node("Conv", ["x", "w"], ["v"], pads=[kernel // 2] * 4, kernel_shape=[kernel, kernel], group=groups)
    )
    graph = helper.make_graph(
        [first, helper.make_node("Clip", ["v", "low", "high"], ["y"])],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *([None] if flat else [None] * 3)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


LAYERS = {  # name: (size, channels, outputs, kernel, groups), and whether it is quick's
    "3x3, 32 channels, 32x32": ((32, 32), 32, 32, 3, 1, False),
    "3x3, 64 channels, 32x32": ((32, 32), 64, 64, 3, 1, True),
    "3x3, 128 channels, 16x16": ((16, 16), 128, 128, 3, 1, False),
    "3x3, 256 channels, 8x8": ((8, 8), 256, 256, 3, 1, True),
    "3x3, 512 channels, 4x4": ((4, 4), 512, 512, 3, 1, True),
    "1x1, 256 channels, 16x16": ((16, 16), 256, 256, 1, 1, False),
    "depthwise 3x3, 128 channels, 32x32": ((32, 32), 128, 128, 3, 128, True),
    "dense 1024x1024": ((1, 1), 1024, 1024, 1, 1, True),
}


def cases() -> list[Case]:
    """All, in the order of the table."""
    found = [Case("Fashion-MNIST example", None, batch, example, True) for batch in BATCHES]
    for name, build in NETWORKS.items():
        found += [Case(name, silent, batch, network(build, silent), silent == 0.7) for silent in SILENT for batch in BATCHES]
    for name, (*geometry, quick) in LAYERS.items():
        found += [Case(name, silent, batch, layer(*geometry, silent), quick and silent == 0.7) for silent in (0.0, *SILENT) for batch in BATCHES]
    return found
