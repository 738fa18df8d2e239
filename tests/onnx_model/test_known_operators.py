"""Operators that nobody has are refused by name before onnx's checker and ONNX Runtime see the model; all others are taken."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.errors import ModelError
from ttfs_convert.onnx_model import known_operators
from ttfs_convert.onnx_model.embedded import embedded_model
from ttfs_convert.onnx_model.known_operators import refuse_unknown
from ttfs_convert.onnx_model.read import load_onnx, parsed


def model(*nodes: onnx.NodeProto, functions=()) -> onnx.ModelProto:
    ends = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4])] for name in "xy")
    opsets = [helper.make_opsetid(domain, 1) for domain in {node.domain for node in nodes} - {""}]
    graph = helper.make_graph([*nodes, helper.make_node("Relu", ["x"], ["y"])], "g", *ends)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), *opsets], ir_version=9, functions=functions)


def node(operator: str, domain: str = "", **attributes) -> onnx.NodeProto:
    return helper.make_node(operator, ["x"], ["z"], name="n1", domain=domain, **attributes)


def inside(inner: onnx.NodeProto) -> onnx.NodeProto:
    """An If with `inner` in both branches."""
    graph = helper.make_graph([inner], "branch", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])
    return helper.make_node("If", ["x"], ["z"], then_branch=graph, else_branch=graph)


@pytest.mark.parametrize(
    "nodes, said",
    [
        ([node("Swoosh")], "Swoosh 'n1' is no operator of ONNX"),
        ([node("Conv", "com.acme")], "Conv 'n1' is an operator of the domain com.acme"),
        ([node("NoSuchThing", "com.microsoft")], "NoSuchThing 'n1' is an operator of the domain com.microsoft"),
        ([node("Adam", "ai.onnx.preview.training")], "Adam 'n1' is an operator of the domain ai.onnx.preview.training"),
        ([inside(inside(node("Swoosh", "own")))], "Swoosh 'n1' is an operator of the domain own"),
    ],
)
def test_unknown_operators_are_refused_before_anything_else_reads_the_model(nodes, said, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx.checker, "check_model", lambda *_: pytest.fail("the checker saw it"))
    onnx.save(model(*nodes), tmp_path / "m.onnx")
    for read in (parsed, load_onnx, convert):
        with pytest.raises(ModelError, match=f"{said}; expected operators that ONNX Runtime knows; export it"):
            read(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=f"tail: {said}"):
        embedded_model(np.frombuffer(model(*nodes).SerializeToString(), np.uint8), "tail")


@pytest.mark.parametrize(
    "known",
    [
        *(node("Upsample"), node("Scatter"), node("Conv", "ai.onnx"), node("Scaler", "ai.onnx.ml"), node("FusedConv", "com.microsoft")),
        *(node("ImageScaler"), node("SimplifiedLayerNormalization")),
    ],
    ids=lambda known: known.op_type,
)
def test_old_ones_and_those_of_onnx_runtime_are_known(known):
    refuse_unknown(model(inside(known)), "m")


def test_functions_of_the_models_own_are_known_and_looked_into():
    def own(*nodes):
        return helper.make_function("own", "f", ["x"], ["z"], list(nodes), [helper.make_opsetid("", 17)])

    refuse_unknown(model(node("f", "own"), functions=[own(node("Relu"))]), "m")
    with pytest.raises(ModelError, match="Swoosh 'n1'"):
        refuse_unknown(model(node("f", "own"), functions=[own(node("Swoosh"))]), "m")
    with pytest.raises(ModelError, match="g 'n1'"):
        refuse_unknown(model(node("g", "own"), functions=[own(node("Relu"))]), "m")


def test_a_runtime_that_does_not_tell_its_operators_is_believed_to_have_them(monkeypatch):
    known_operators._of_onnx_runtime.cache_clear()
    monkeypatch.delattr(known_operators._pybind_state, "get_all_operator_schema", raising=False)
    try:
        refuse_unknown(model(node("FusedConv", "com.microsoft")), "m")
        with pytest.raises(ModelError):
            refuse_unknown(model(node("Swoosh")), "m")
    finally:
        known_operators._of_onnx_runtime.cache_clear()
