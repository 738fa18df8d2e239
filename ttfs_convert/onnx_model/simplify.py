"""Let ONNX Runtime simplify a model for conversion."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ..errors import ModelError
from ..files.atomic import writing
from .batch_axis import unbatched_inputs
from .dataflow import fed_inputs
from .external_data import SMALL
from .inlined_functions import with_whole_functions
from .input_sizes import chosen_sizes, set_sizes
from .input_types import input_type
from .known_operators import unknown_operator
from .one_sample import declared_batch, fix_batch, free_reshapes
from .precision import to_float32, weight
from .randomness import refuse_random
from .read import check_onnx, one_line, said_plainly, whole_model
from .session import quiet_options, session
from .sha256 import digest
from .tensor_sizes import check_input_sizes, check_tensor_sizes
from .unread_inputs import without_unread_inputs
from .weights_apart import ORIGINAL, file_apart


@dataclass(frozen=True)
class Simplified:
    """A model and what ONNX Runtime makes of it, both with their large weights in `folder`, which lasts as long as the context does.

    original: as it was exported, but without inputs that nothing reads, and with float32 in place of other floats, which `precision` names.
    graph: for one image, with constants and BatchNorm folded, identities and dropout gone, all shapes known. sizes: without the batch, of
    the inputs whose sizes the file leaves open.
    """

    path: Path
    original: onnx.ModelProto
    graph: onnx.ModelProto
    unbatched: tuple[str, ...]  # inputs without an axis for the batch
    folder: Path
    external: tuple[Path, ...]  # files with weights that the one at `path` does not hold
    precision: str
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def file(self) -> bytes:
        """The model as one ONNX file: the bytes at `path`, or, with external data, those of the same model with its weights inside."""
        return whole_model(self.path).SerializeToString() if self.external else self.path.read_bytes()

    @property
    def sha256(self) -> str:
        """As `sha256_of` its path."""
        return digest(self.path, self.external)

    def array(self, tensor: onnx.TensorProto) -> np.ndarray:
        """A weight of either model."""
        return weight(tensor, self.folder)


@contextlib.contextmanager
def simplified(
    path: str | Path, sizes: Callable[[onnx.ModelProto, str], Mapping[str, tuple[int, ...]]] | None = None, where: str | None = None
) -> Iterator[Simplified]:
    """The model at `path`, checked, and simplified by ONNX Runtime's basic rewrites for one image.

    The batch axis (the first one of every input that has one, see `batch_axis`) becomes 1, and with it all shapes are known. sizes: gives, for
    the model and its path, the sizes of inputs that leave others open (see `input_sizes.chosen_sizes`, without data and options). where: what
    errors call the model, by default its path. Raises ModelError for a file that is no model, when ONNX Runtime cannot run it, or for an input
    with another axis of unknown size. Memory: hardly more than the weights once; the rest is in a temporary folder."""
    where = where or str(path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with writing(folder, "free some space, or set TMPDIR to a folder on another disk"):
            original, external = file_apart(Path(path), folder, where)
            check_onnx(folder / ORIGINAL, where)
            original = without_unread_inputs(said_plainly(original, where))
            refuse_random(original, where)
            precision = to_float32(original, folder)
            for value in fed_inputs(original.graph):
                input_type(value)  # that it takes numbers
            chosen = sizes(original, where) if sizes else chosen_sizes(original, where, None, None)
            set_sizes(original, chosen)
            check_input_sizes(original, where)
            fixed = onnx.ModelProto()
            fixed.CopyFrom(original)
            unbatched = unbatched_inputs(fixed, folder)
            declared = declared_batch(fixed, unbatched)
            fix_batch(fixed, unbatched, where)
            onnx.save(fixed, str(folder / "fixed.onnx"))
            check_tensor_sizes(onnx.shape_inference.infer_shapes(fixed), where)
            if declared > 1 and _problem(fixed, folder, "fixed.onnx") is not None:
                free_reshapes(fixed, declared)
                onnx.save(fixed, str(folder / "fixed.onnx"))
        _simplify(fixed, folder, where, declared)
        graph = with_whole_functions(onnx.load(str(folder / "graph.onnx"), load_external_data=False), fixed)
        yield Simplified(
            Path(path), original, _with_shapes(onnx.shape_inference.infer_shapes(graph), folder), unbatched, folder, external, precision, chosen
        )


def _problem(model: onnx.ModelProto, folder: Path, file: str, options: onnxruntime.SessionOptions | None = None) -> Exception | None:
    """Why ONNX Runtime cannot run `model`, the one in `file`, on zeros; None if it can. Some shapes are checked only when it runs."""
    try:
        session(folder / file, options or quiet_options(optimised=False)).run(None, _zeros(model))
    except Exception as error:  # see `session`
        return error
    return None


def _simplify(fixed: onnx.ModelProto, folder: Path, where: str, declared: int) -> None:
    """From fixed.onnx to graph.onnx in `folder`. declared: samples that the model was exported for."""
    options = quiet_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "graph.onnx")
    for entry, value in (
        ("session.optimized_model_external_initializers_file_name", "graph.bin"),
        ("session.optimized_model_external_initializers_min_size_in_bytes", str(SMALL)),
        ("session.disable_prepacking", "1"),
    ):
        options.add_session_config_entry(entry, value)
    error = _problem(fixed, folder, "fixed.onnx", options)
    if error is not None:
        _refuse_foreign(fixed, where, str(error))
        batch = f"with one image, instead of the {declared} that it was exported for" if declared > 1 else "with one image"
        raise ModelError(
            where,
            f"ONNX Runtime cannot run it {batch} ({one_line(error, folder)})",
            "a model that runs",
            "check it with onnxruntime alone, and export it with a dynamic batch axis",
        ) from error


def _refuse_foreign(model: onnx.ModelProto, where: str, problem: str) -> None:
    """Raise ModelError for a node that ONNX Runtime has no operator for in this version of its domain. problem: what it says."""
    for node in model.graph.node:
        if node.domain and f"{node.domain}:{node.op_type}(" in problem:
            raise unknown_operator(node, where)


def _with_shapes(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """`model` with the shapes that onnx cannot infer, such as those of preprocessing from scikit-learn, from a run on zeros."""
    known = {
        value.name
        for value in (*model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type and value.type.tensor_type.HasField("shape")
    }
    missing = [name for node in model.graph.node for name in node.output if name and name not in known]
    if missing:
        probe = onnx.ModelProto()
        probe.CopyFrom(model)
        del probe.graph.output[:]
        probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in missing)
        onnx.save(probe, str(folder / "probe.onnx"))
        results = session(folder / "probe.onnx").run(missing, _zeros(model))
        found = {name: value for name, value in zip(missing, results) if isinstance(value, np.ndarray)}
        values = [value for value in model.graph.value_info if value.name not in found]
        del model.graph.value_info[:]
        model.graph.value_info.extend(
            values
            + [
                onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                for name, value in found.items()
            ]
        )
    return model


def _zeros(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    tensors = {value.name: value.type.tensor_type for value in fed_inputs(model.graph)}
    return {
        name: np.zeros([dim.dim_value for dim in tensor.shape.dim], onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        for name, tensor in tensors.items()
    }
