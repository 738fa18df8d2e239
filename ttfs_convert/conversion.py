"""From a trained network in ONNX form to a spiking one: load, normalise, lower, and hold it against the paper's constraints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from .errors import ModelError, UsageError
from .ir import MAX_STEPS, Network, Violation, first_problem
from .lowering.builder import Builder
from .lowering.graph import lower_graph, macs
from .lowering.tail import tail_model
from .onnx_file import load_onnx, normalise, sha256_of


class ConstraintError(ModelError):
    """Strict mode refused the model. violations: every layer that breaks a constraint of the paper."""

    def __init__(self, where: str, violations: list[Violation]):
        first = violations[0]
        layers = len({violation.layer for violation in violations})
        super().__init__(where, f"{layers} layer{'s' if layers > 1 else ''} would not convert without loss, "
                         f"first {first.layer!r} ({first.problem})", remedy=first.remedy)
        self.violations = violations


def convert(path: str | Path, *, mode: str = "strict", steps: int | None = 50, rounding: str = "nearest", pooling: str = "synaptic",
            tolerance: float = 1e-4, embed: bool = True) -> Network:
    """The spiking network of the ONNX model at `path`.

    mode: `strict` demands ReLU1 and unity weight sums (LC-TTFS, section III) and raises ConstraintError otherwise; `unchecked` clamps
    any ReLU at 1, keeps whatever weight sums there are, and lists them in `network.violations`. steps: N per window, 1 to 65535, or None
    for continuous time. rounding: `nearest` or `ceil` (see `kernels.threshold.time_step`). pooling: average pools as `synaptic` weights
    of the next layer or as `spiking` neurons. tolerance: on |weight sum - 1|. embed: keep the ONNX file inside the network.
    Raises ModelError for a model that is broken or unsupported, UsageError for options out of range.
    """
    _check_options(mode, steps, rounding, pooling, tolerance)
    where = str(path)
    model = load_onnx(path)
    simplified = normalise(model, where)
    builder = Builder(pooling, tolerance)
    try:
        root = lower_graph(simplified, builder, where)
        if mode == "strict" and builder.violations:
            raise ConstraintError(where, builder.violations)
        source = model if any(root in node.output for node in model.graph.node) else simplified
        tail = tail_model(source, root, len(builder.layers[-1].onnx_shape) + 1)
        return Network(name=Path(path).stem, mode=mode, steps=steps, rounding=rounding, pooling=pooling,
                       onnx_sha256=sha256_of(Path(path).read_bytes()), violations=tuple(builder.violations), ann_macs=macs(simplified),
                       layers=tuple(builder.layers), onnx=np.frombuffer(model.SerializeToString(), np.uint8) if embed else None,
                       tail=None if tail is None else np.frombuffer(tail, np.uint8))
    except ValidationError as error:  # weights that are not finite, sizes that do not fit
        raise ModelError(where, f"{error.title} {first_problem(error, 'layer')}", "finite weights of fitting shapes",
                         "train or export it again") from error


def _check_options(mode: str, steps: int | None, rounding: str, pooling: str, tolerance: float) -> None:
    for option, value, choices in (("mode", mode, ("strict", "unchecked")), ("rounding", rounding, ("nearest", "ceil")),
                                   ("pooling", pooling, ("synaptic", "spiking"))):
        if value not in choices:
            raise UsageError(option, f"{value!r}", " or ".join(choices))
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise UsageError("steps", f"{steps}", f"1 to {MAX_STEPS}, or continuous")
    if not tolerance >= 0:
        raise UsageError("tolerance", f"{tolerance}", "a number of at least 0")
