"""A trained PyTorch model as an ONNX file that conversion takes."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from ..errors import UsageError


def export_onnx(model: nn.Module, path: str | Path, example: Tensor, *, dynamo: bool = True) -> None:
    """Write `model` in evaluation mode as one ONNX file with a dynamic batch axis.

    example: a batch of inputs (at least one), float32. dynamo: which of PyTorch's exporters; the newer one needs `onnxscript`.
    The training mode of every module is restored. Raises UsageError for an empty example.
    """
    if not isinstance(example, Tensor) or example.dim() < 2 or not len(example):
        found = f"shape {tuple(example.shape)}" if isinstance(example, Tensor) else type(example).__name__
        raise UsageError("export_onnx: example", found, "a tensor (n, ...) of at least one input", "pass a batch, such as x[:1]")
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    example = torch.cat([example, example])[:2]  # the newer exporter takes a batch of one for a constant
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        if dynamo:
            torch.onnx.export(
                model,
                (example,),
                str(path),
                dynamo=True,
                verbose=False,
                external_data=False,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        else:
            torch.onnx.export(
                model,
                (example,),
                str(path),
                dynamo=False,
                input_names=["input"],
                output_names=["output"],
                dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
            )
    finally:
        for module, training in modes.items():
            module.training = training
    _remove_stack_traces(Path(path))


def _remove_stack_traces(path: Path) -> None:
    """The exporters note with every node which lines of which files it is from: paths that are nobody else's business."""
    model = onnx.load(path)
    for part in (*model.graph.node, *model.graph.value_info):
        part.ClearField("doc_string")
        kept = [entry for entry in part.metadata_props if "stack_trace" not in entry.key]
        del part.metadata_props[:]
        part.metadata_props.extend(kept)
    onnx.save(model, path)
