"""A small residual network and its run, for tests of the page about it."""

from __future__ import annotations

import numpy as np

from tests.models import Chain, converted
from ttfs_convert.gates.gate_list import Gate
from ttfs_convert.gates.judge import judged
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.studies.evaluation import evaluate


def residual() -> Chain:
    """Pictures of 8 x 8, three layers with a branch around the last two, three classes."""
    chain = Chain((1, 8, 8), seed=2).conv(4, pads=[1] * 4).relu1()
    stream = chain.at
    chain = chain.conv(4, pads=[1] * 4).relu1()
    return chain.conv(4, pads=[1] * 4, total=0.0).add("Add", stream).relu1().add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).readout(3)


def evaluated(chain: Chain | None = None, images: int = 60, mode: str = "exact", steps: int | None = 6, **options):
    """With details, on labelled pictures: the original's own labels, of which some are wrong."""
    chain = chain or residual()
    model, x = chain.model(), chain.images(images)
    y = next(iter(Reference(model, threads=1)(x).values())).argmax(1)
    y[::7] = (y[::7] + 1) % 3
    network = converted(model, steps=steps, mode=mode)
    found = evaluate(network, (x, y.astype(np.int64)), threads=1, details=True, **options)
    return judged(found.report, [Gate("max-latency", 10), Gate("max-layer-error", 0.9), Gate("max-drop", 0.01)]), found.details
