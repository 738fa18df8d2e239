"""Read an untrusted ONNX file, and let ONNX Runtime simplify it for conversion."""

from __future__ import annotations

import contextlib
import hashlib
import math
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError

from .atomic import writing
from .batch_axis import unbatched_inputs
from .dataflow import fed_inputs
from .errors import ModelError
from .file_kind import MODEL, refuse_others
from .input_sizes import chosen_sizes, set_sizes
from .input_types import input_type
from .precision import to_float32, weight
from .randomness import refuse_random
from .runnable import runnable
from .subgraphs import captured

SMALL = 1024  # bytes; larger weights stay on the disk while a model is converted
WEIGHTS = "weights.bin"
DOMAINS = ("ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")  # that ONNX Runtime has operators of


def load_onnx(path: str | Path) -> onnx.ModelProto:
    """The model at `path`, external data included, checked by onnx, see `runnable`. Raises ModelError with one line for whatever is
    wrong."""
    return _said_plainly(_whole(path), str(path))


def _said_plainly(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    try:
        return runnable(model)
    except (RuntimeError, ValueError) as error:  # the inliner's, and those of sparse weights
        raise ModelError(where, one_line(error), "a valid ONNX model", "export it again") from error


def _whole(path: str | Path) -> onnx.ModelProto:
    """The model at `path` as it is, external data included."""
    where, model = str(path), parsed(path)
    try:
        onnx.load_external_data_for_model(model, str(Path(path).parent))
    except (OSError, onnx.checker.ValidationError, ValueError) as error:
        raise _no_external_data(where, error) from error
    check_onnx(model, where)
    return model


def parsed(path: str | Path) -> onnx.ModelProto:
    """The model at `path` without its external data, not checked. Raises ModelError."""
    where = str(path)
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        refuse_others(path, MODEL, ModelError, "an ONNX model")
        raise ModelError(where, "is not an ONNX model or is cut short", "a protobuf with an ONNX graph", "export it again") from error
    except OSError as error:
        raise ModelError(where, f"cannot be read ({error.strerror or error})", "an ONNX file") from error
    if not model.ir_version or not model.graph.node:
        refuse_others(path, MODEL, ModelError, "an ONNX model")
        raise ModelError(where, "a protobuf without an ONNX graph", "an ONNX model",
                         "export the trained network with its framework's ONNX exporter")
    return model


def _no_external_data(where: str, error: Exception) -> ModelError:
    return ModelError(where, f"external data cannot be read ({error})", "the file beside the model, inside its folder",
                      "keep both files together, or export with the weights inside")


def check_onnx(model: onnx.ModelProto | Path, where: str) -> None:
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        folder = model.parent if isinstance(model, Path) else None
        raise ModelError(where, f"onnx's checker refuses it ({one_line(error, folder)})", "a valid ONNX model", "export it again") from error


def one_line(error: Exception, folder: Path | None = None) -> str:
    """The error's text, without the temporary `folder`."""
    text = " ".join(str(error).split())
    return (text if folder is None else text.replace(f"{folder}/", ""))[:300]


def sha256_of(path: str | Path) -> str:
    """Of the file at `path` and, if it is a model with weights in other files, of those after it. Raises ModelError if one cannot be
    read."""
    try:
        external = _external_files(parsed(path), Path(path).parent)
    except ModelError:
        external = ()
    return _digest(Path(path), external)


def _digest(path: Path, external: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for part in (path, *external):
        try:
            with open(part, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise (ModelError(str(path), f"cannot be read ({error.strerror or error})", "an ONNX file") if part == path
                   else _no_external_data(str(path), error)) from error
    return digest.hexdigest()


def _external_files(model: onnx.ModelProto, base: Path) -> tuple[Path, ...]:
    places = {entry.value for tensor in _tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL
              for entry in tensor.external_data if entry.key == "location"}
    return tuple(base / place for place in sorted(places))


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All that may have external data: initializers and attributes."""
    yield from model.graph.initializer
    yield from (attribute.t for node in model.graph.node for attribute in node.attribute if attribute.type == onnx.AttributeProto.TENSOR)


def without_unread_inputs(model: onnx.ModelProto, also: Collection[str] = ()) -> onnx.ModelProto:
    """`model` without the inputs on which no output and none of the tensors `also` depend, and without the nodes that read them;
    `model` itself if there are none."""
    graph, needed = model.graph, {*also, *(value.name for value in model.graph.output)}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input, captured(node))
            kept.append(node)
    if needed.issuperset(value.name for value in graph.input):
        return model
    trimmed = onnx.ModelProto()
    trimmed.CopyFrom(model)
    for part, values in ((trimmed.graph.node, kept[::-1]), (trimmed.graph.input, [value for value in graph.input if value.name in needed])):
        del part[:]
        part.extend(values)
    return trimmed


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
        return _whole(self.path).SerializeToString() if self.external else self.path.read_bytes()

    @property
    def sha256(self) -> str:
        """As `sha256_of` its path."""
        return _digest(self.path, self.external)

    def array(self, tensor: onnx.TensorProto) -> np.ndarray:
        """A weight of either model."""
        return weight(tensor, self.folder)


@contextlib.contextmanager
def simplified(path: str | Path, sizes: Callable[[onnx.ModelProto, str], Mapping[str, tuple[int, ...]]] | None = None) -> Iterator[Simplified]:
    """The model at `path`, checked, and simplified by ONNX Runtime's basic rewrites for one image.

    The batch axis (the first one of every input that has one, see `batch_axis`) becomes 1, and with it all shapes are known. sizes: gives, for
    the model and its path, the sizes of inputs that leave others open (see `input_sizes.chosen_sizes`, without data and options). Raises
    ModelError for a file that is no
    model, when ONNX Runtime cannot run it, or for an input with another axis of unknown size. Memory: hardly more than the weights once;
    the rest is in a temporary folder.
    """
    where = str(path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with writing(folder, "free some space, or set TMPDIR to a folder on another disk"):
            original, external = _without_weights(Path(path), folder)
            check_onnx(folder / "original.onnx", where)
            original = without_unread_inputs(_said_plainly(original, where))
            refuse_random(original, where)
            precision = to_float32(original, folder)
            for value in fed_inputs(original.graph):
                input_type(value)  # that it takes numbers
            chosen = sizes(original, where) if sizes else chosen_sizes(original, where, None, None)
            set_sizes(original, chosen)
            fixed = onnx.ModelProto()
            fixed.CopyFrom(original)
            unbatched = unbatched_inputs(fixed, folder)
            declared = _declared_batch(fixed, unbatched)
            _fix_batch(fixed, unbatched, where)
            onnx.save(fixed, str(folder / "fixed.onnx"))
            if declared > 1 and _problem(fixed, folder, "fixed.onnx") is not None:
                _free_reshapes(fixed, declared)
                onnx.save(fixed, str(folder / "fixed.onnx"))
        _simplify(fixed, folder, where, declared)
        graph = onnx.load(str(folder / "graph.onnx"), load_external_data=False)
        yield Simplified(Path(path), original, _with_shapes(onnx.shape_inference.infer_shapes(graph), folder), unbatched, folder, external,
                         precision, chosen)


def _without_weights(path: Path, folder: Path) -> tuple[onnx.ModelProto, tuple[Path, ...]]:
    """The model at `path` with its large weights in `folder`, where it is saved as original.onnx, and the files that held some of them."""
    model = parsed(path)
    external = _external_files(model, path.parent)
    try:
        _load_weights(model, path.parent)
    except (OSError, onnx.checker.ValidationError, ValueError) as error:
        raise _no_external_data(str(path), error) from error
    _move_weights(model, folder / WEIGHTS, str(path))
    onnx.save(model, str(folder / "original.onnx"))
    return onnx.load(str(folder / "original.onnx"), load_external_data=False), external  # `model` keeps the memory of what it has lost


def _load_weights(model: onnx.ModelProto, base: Path) -> None:
    """Into `model`, from its external data below `base`."""
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(base))
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]


def _move_weights(model: onnx.ModelProto, target: Path, where: str) -> None:
    """Move every large initializer from `model` to the file `target`."""
    with open(target, "wb") as file:
        for tensor in model.graph.initializer:
            if not tensor.HasField("raw_data") or len(tensor.raw_data) <= SMALL:
                continue
            try:
                size = math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            except KeyError as error:
                raise ModelError(where, f"initializer {tensor.name!r} of data type {tensor.data_type}", "a type that ONNX knows") from error
            if len(tensor.raw_data) != size:
                raise ModelError(where, f"initializer {tensor.name!r} holds {len(tensor.raw_data)} bytes", f"{size} for its shape",
                                 "export it again; 4-bit weights are not taken")
            offset = file.seek(-file.tell() % 64, 1)
            file.write(tensor.raw_data)
            onnx.external_data_helper.set_external_data(tensor, WEIGHTS, offset, len(tensor.raw_data))
            tensor.ClearField("raw_data")


def _fix_batch(model: onnx.ModelProto, unbatched: Collection[str], where: str) -> None:
    for value in fed_inputs(model.graph):
        for dim in value.type.tensor_type.shape.dim[:value.name not in unbatched]:
            dim.ClearField("dim_param")
            dim.dim_value = 1
    for value in model.graph.output:
        if not value.type.HasField("tensor_type"):
            raise ModelError(where, f"output {value.name!r} is a {value.type.WhichOneof('value')}", "tensors",
                             "export without ZipMap (skl2onnx: options={'zipmap': False})")
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def _declared_batch(model: onnx.ModelProto, unbatched: Collection[str]) -> int:
    """Samples that the model takes at a time; 1 where it takes any number."""
    sizes = [value.type.tensor_type.shape.dim[0].dim_value for value in fed_inputs(model.graph)
             if value.name not in unbatched and value.type.tensor_type.shape.dim]
    return max(sizes, default=1)


def _free_reshapes(model: onnx.ModelProto, declared: int) -> None:
    """Let every Reshape to a constant shape of `declared` rows, which holds the batch that the model was exported for, make one row."""
    shapes = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
              if tensor.data_type == onnx.TensorProto.INT64 and tensor.data_location != onnx.TensorProto.EXTERNAL}
    shapes |= {node.output[0]: onnx.numpy_helper.to_array(attribute.t) for node in model.graph.node if node.op_type == "Constant"
               for attribute in node.attribute if attribute.name == "value"}
    for node in model.graph.node:
        shape = shapes.get(node.input[1]) if node.op_type == "Reshape" and len(node.input) > 1 else None
        if shape is not None and shape.ndim == 1 and shape.size and shape[0] == declared:
            name = f"{node.output[0]}/one_row"
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.concatenate([[1], shape[1:]]).astype(np.int64), name))
            node.input[1] = name


def _problem(model: onnx.ModelProto, folder: Path, file: str, options: onnxruntime.SessionOptions | None = None) -> Exception | None:
    """Why ONNX Runtime cannot run `model`, the one in `file`, on zeros; None if it can. Some shapes are checked only when it runs."""
    if options is None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(str(folder / file), options, providers=["CPUExecutionProvider"]).run(None, _zeros(model))
    except Exception as error:  # ONNX Runtime has one exception class per status, none of them public
        return error
    return None


def _simplify(fixed: onnx.ModelProto, folder: Path, where: str, declared: int) -> None:
    """From fixed.onnx to graph.onnx in `folder`. declared: samples that the model was exported for."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "graph.onnx")
    for entry, value in (("session.optimized_model_external_initializers_file_name", "graph.bin"),
                         ("session.optimized_model_external_initializers_min_size_in_bytes", str(SMALL)), ("session.disable_prepacking", "1")):
        options.add_session_config_entry(entry, value)
    error = _problem(fixed, folder, "fixed.onnx", options)
    if error is not None:
        _refuse_foreign(fixed, where, str(error))
        batch = f"with one image, instead of the {declared} that it was exported for" if declared > 1 else "with one image"
        raise ModelError(where, f"ONNX Runtime cannot run it {batch} ({one_line(error, folder)})", "a model that runs",
                         "check it with onnxruntime alone, and export it with a dynamic batch axis") from error


def _refuse_foreign(model: onnx.ModelProto, where: str, problem: str) -> None:
    """Raise ModelError for a node that ONNX Runtime has no operator for. problem: what it says."""
    for node in model.graph.node:
        if node.domain and (node.domain not in DOMAINS or f"{node.domain}:{node.op_type}(" in problem):
            raise ModelError(where, f"{node.op_type} {node.name or node.output[0]!r} is an operator of the domain {node.domain}",
                             "operators that ONNX Runtime knows", "export it with operators of ONNX alone")


def _with_shapes(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """`model` with the shapes that onnx cannot infer, such as those of preprocessing from scikit-learn, from a run on zeros."""
    known = {value.name for value in (*model.graph.value_info, *model.graph.output)
             if value.type.tensor_type.elem_type and value.type.tensor_type.HasField("shape")}
    missing = [name for node in model.graph.node for name in node.output if name and name not in known]
    if missing:
        probe = onnx.ModelProto()
        probe.CopyFrom(model)
        del probe.graph.output[:]
        probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in missing)
        onnx.save(probe, str(folder / "probe.onnx"))
        session = onnxruntime.InferenceSession(str(folder / "probe.onnx"), providers=["CPUExecutionProvider"])
        found = {name: value for name, value in zip(missing, session.run(missing, _zeros(model))) if isinstance(value, np.ndarray)}
        values = [value for value in model.graph.value_info if value.name not in found]
        del model.graph.value_info[:]
        model.graph.value_info.extend(values + [onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape) for name, value in found.items()])
    return model


def _zeros(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    tensors = {value.name: value.type.tensor_type for value in fed_inputs(model.graph)}
    return {name: np.zeros([dim.dim_value for dim in tensor.shape.dim], onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
            for name, tensor in tensors.items()}
