"""The zoo's networks as ONNX models, by both of PyTorch's exporters."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import warnings
from unittest import mock

import onnx
import torch
from torch import nn

EXPORTERS = ("dynamo", "torchscript")


@functools.cache  # an export takes seconds
def exported(module: nn.Module, shape: tuple[int, ...], exporter: str) -> onnx.ModelProto:
    """`module` in evaluation mode as ONNX, from `input` (batch, *shape) to `output` (batch, classes); weights inside.

    module: in evaluation mode. exporter: `dynamo` or `torchscript`, the older one. Neither prints or warns.
    """
    example = torch.zeros(2, *shape)  # the newer exporter takes a batch of one for a constant
    names = {"input_names": ["input"], "output_names": ["output"]}
    with quiet():
        if exporter == "dynamo":
            return torch.onnx.export(
                module, (example,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False, **names
            ).model_proto
        file = io.BytesIO()
        torch.onnx.export(module, (example,), file, dynamo=False, dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}}, **names)
        return onnx.load_from_string(file.getvalue())


@contextlib.contextmanager
def quiet():
    """No warnings, nothing on the standard streams, no log records below an error, and no trace of the export.

    PyTorch traces as soon as its trace log has a handler, which pytest's capture gives it: thousands of records on every failure.
    """
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
            mock.patch.object(logging.getLogger("torch.__trace"), "handlers", []),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
