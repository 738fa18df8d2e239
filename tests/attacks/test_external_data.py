"""External data that is not the model's own, whatever of the file names it: refused before it is opened."""

import os
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.attacks.conftest import small_model
from ttfs_convert.errors import ModelError
from ttfs_convert.memory_bound import at_most
from ttfs_convert.onnx_model.embedded import embedded_model
from ttfs_convert.onnx_model.external_data import external_files
from ttfs_convert.onnx_model.read import load_onnx, parsed


def outside(location: str = "../secret.bin", shape: tuple[int, ...] = (2, 2), **fields: int) -> TensorProto:
    """A tensor whose numbers are said to be elsewhere."""
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **fields}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def in_initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


def in_attribute(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("value", tensor))


def in_attribute_of_another_type(model: onnx.ModelProto, tensor: TensorProto) -> None:
    in_attribute(model, tensor)
    model.graph.node[0].attribute[-1].type = onnx.AttributeProto.FLOAT


def in_list_of_tensors(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("values", [tensor, tensor]))


def in_sparse_initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    indices = numpy_helper.from_array(np.arange(4), "places")
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=tensor, indices=indices, dims=[4]))


def in_sparse_attribute(model: onnx.ModelProto, tensor: TensorProto) -> None:
    sparse = onnx.SparseTensorProto(values=numpy_helper.from_array(np.ones(4), "t"), indices=tensor, dims=[4])
    model.graph.node[0].attribute.append(helper.make_attribute("sparse_value", sparse))


def in_subgraph(model: onnx.ModelProto, tensor: TensorProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [tensor])
    model.graph.node[0].attribute.append(helper.make_attribute("then_branch", inner))


def in_function(model: onnx.ModelProto, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    model.functions.append(helper.make_function("own", "f", [], ["c"], [node], [helper.make_opsetid("", 17)]))


PLACES = (
    *(in_initializer, in_attribute, in_attribute_of_another_type, in_list_of_tensors, in_sparse_initializer, in_sparse_attribute),
    *(in_subgraph, in_function),
)


@pytest.mark.parametrize("put", PLACES)
def test_wherever_the_tensor_is(put, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    model = small_model()
    put(model, outside())
    path = tmp_path / "model" / "m.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"external data cannot be read \('../secret.bin' is not inside the folder\)"):
        parsed(path)
    with pytest.raises(ModelError, match="weights in another file"):
        embedded_model(np.frombuffer(model.SerializeToString(), np.uint8), "tail")


def refused(tmp_path, tensor: TensorProto, match: str) -> None:
    model = small_model()
    in_initializer(model, tensor)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=match):
        parsed(tmp_path / "m.onnx")


@pytest.mark.parametrize("location", ["", "/etc/hostname", "a/../../b", "C:\\weights", "*/_ORT_MEM_ADDR_/*"])
def test_places_that_are_no_files_of_the_models_own(location, tmp_path):
    refused(tmp_path, outside(location), "external data cannot be read")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_files_behind_links_to_folders(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "w.bin").write_bytes(bytes(16))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "inner").symlink_to(tmp_path / "far")
    refused(tmp_path / "model", outside("inner/w.bin"), "symbolic link")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "w.bin")
    refused(tmp_path, outside("w.bin"), "no regular file")  # opened it would wait for somebody who writes to it


def test_no_more_is_read_than_the_shape_has(tmp_path):
    with open(tmp_path / "w.bin", "wb") as file:
        file.truncate(1 << 40)  # which takes no space on the disk
    refused(tmp_path, outside("w.bin"), "asks for 1099511627776 bytes")
    refused(tmp_path, outside("w.bin", length=1 << 39), "asks for")
    refused(tmp_path, outside("w.bin", offset=(1 << 40) + 4), "which has")


def test_all_together_stay_within_the_memory(tmp_path):
    """Tensors that share bytes of a file have memory of their own."""
    (tmp_path / "w.bin").write_bytes(bytes(1 << 20))
    model = small_model()
    for number in range(20):
        tensor = outside("w.bin", (1 << 18,), length=1 << 20)
        tensor.name = f"t{number}"
        in_initializer(model, tensor)
    onnx.save(model, tmp_path / "m.onnx")
    with at_most(10 << 20), pytest.raises(ModelError, match="external data of 11 MiB or more; expected at most 10 MiB; allow more with --max-memory"):
        parsed(tmp_path / "m.onnx")
    with at_most(20 << 20):
        assert [file.name for file in external_files(parsed(tmp_path / "m.onnx"), tmp_path)] == ["w.bin"]


def test_a_models_own_files_are_read(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "w.bin").write_bytes(np.arange(6, dtype=np.float32).tobytes())
    model = small_model()
    in_initializer(model, outside("inner/w.bin", offset=8, length=16))
    onnx.save(model, tmp_path / "m.onnx")
    found = next(tensor for tensor in load_onnx(tmp_path / "m.onnx").graph.initializer if tensor.name == "t")
    np.testing.assert_array_equal(numpy_helper.to_array(found), [[2, 3], [4, 5]])
