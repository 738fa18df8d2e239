"""The trained network as an ONNX file for recordings of any length, its weights in float16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from network import STRIDE, Enhancer
from onnx import TensorProto, helper, numpy_helper

SMALLEST = 64  # numbers in a tensor: what is smaller stays float32


def export(model: Enhancer, path: Path) -> None:
    """Write `model`, whose weights are rounded to float16 on the way, with names `noisy` and `enhanced`."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() >= SMALLEST:
                parameter.copy_(parameter.half().float())
    model.eval()
    sizes = {0: torch.export.Dim("batch"), 2: STRIDE * torch.export.Dim("frames", min=2)}
    example = torch.zeros(2, 1, 320 * STRIDE)
    torch.onnx.export(
        model,
        (example,),
        str(path),
        dynamo=True,
        verbose=False,
        external_data=False,
        input_names=["noisy"],
        output_names=["enhanced"],
        dynamic_shapes=(sizes,),
    )
    onnx.save(_in_float16(onnx.load(path)), path)


def _in_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same to the last bit, with every large tensor as float16 behind a Cast; without what the exporter notes of its own source files."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= SMALLEST and (values == values.astype(np.float16)).all():
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for part in (*model.graph.node, *model.graph.value_info):
        part.ClearField("doc_string")
        del part.metadata_props[:]
    return model
