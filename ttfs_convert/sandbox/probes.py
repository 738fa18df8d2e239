"""What is tried in the child process: onnx and ONNX Runtime on a file's models, as the command will use them, with zeros for data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx

from ..errors import TtfsError
from ..memory_bound import at_most
from ..onnx_model.canonical import runnable
from ..onnx_model.dataflow import floats
from ..onnx_model.derived import with_derived
from ..onnx_model.embedded import embedded_model
from ..onnx_model.input_sizes import chosen_sizes, parsed_sizes, set_sizes
from ..onnx_model.precision import to_float32
from ..onnx_model.read import check_onnx, load_onnx
from ..onnx_model.reference import Reference
from ..onnx_model.simplify import simplified
from .inside import is_about_memory

PARTS = ("head", "tail", "derived")


def model(request: Mapping) -> None:
    """An ONNX file. request: path, shapes as of --input-shape, memory in bytes."""
    sizes = parsed_sizes(request["shapes"])
    with at_most(request["memory"]), simplified(request["path"], lambda original, where: chosen_sizes(original, where, sizes, None)) as found:
        _run(Reference(found.original, folder=found.folder, unbatched=found.unbatched), {})


def network(request: Mapping) -> None:
    """The models in a network's file, whose weights stay unread. request: path, and onnx, the path of its original or None."""
    with np.load(request["path"], allow_pickle=False) as archive:
        manifest = json.loads(archive["manifest"].tobytes())

        def embedded(place: Mapping | None, where: str) -> onnx.ModelProto | None:
            return None if place is None else embedded_model(archive[place["array"].removesuffix(".npy")], where)

        original = embedded(manifest["onnx"], "embedded model") if request["onnx"] is None else load_onnx(request["onnx"])
        head, tail, derived = (embedded(manifest[name], name) for name in PARTS)
        analog = [embedded(layer["model"], layer["name"]) for layer in manifest["layers"] if layer["kind"] == "analog"]
    shapes = {layer["tensor"]: layer["onnx_shape"] for layer in manifest["layers"] if layer["kind"] == "readout"}
    without_batch = (*manifest["unbatched"], *(layer["tensor"] for layer in manifest["layers"] if not layer.get("batched", True)))
    if original is not None:
        check_onnx(original, "embedded model")
        original = runnable(original)
        with tempfile.TemporaryDirectory() as folder:
            to_float32(original, Path(folder))
        set_sizes(original, manifest["input_sizes"])
        original = with_derived(original, derived)
        tensors = [layer["tensor"] for layer in manifest["layers"] if layer.get("tensor")]
        for session in _sessions(original, tensors, manifest["unbatched"]):
            _run(session, {})
            shapes = {**{name: shape for name, (shape, _) in session.inputs.items()}, **shapes}
    for part in filter(None, (head, tail, *analog)):
        for session in _sessions(part, floats(part), without_batch):
            _run(session, shapes)


def _sessions(part: onnx.ModelProto, tensors: list[str], unbatched: tuple[str, ...]) -> Iterator[Reference]:
    """For its outputs alone, and with the tensors inside, which ONNX Runtime rewrites in other ways."""
    yield Reference(part, unbatched=unbatched)
    yield Reference(part, tensors, unbatched=unbatched)


def _run(reference: Reference, shapes: Mapping) -> None:
    """One sample of zeros, which need not suit the model. shapes: of inputs that leave sizes open, without the batch."""

    def shape(name: str, own: tuple) -> list[int]:
        given = shapes.get(name, own)
        return [size if isinstance(size, int) else 1 for size in (given if len(given) == len(own) else own)]

    try:
        reference({name: np.zeros([1, *shape(name, own)], kind) for name, (own, kind) in reference.inputs.items()})
    except TtfsError as error:
        if is_about_memory(error):
            raise
