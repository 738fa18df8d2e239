"""onnx's own test cases of the supported operators, run through the converter wherever one can be read as a network for images.

1. The tensors that a network computes (`COMPUTED`) become its inputs, each alone and all at once; the others become constants.
2. Their first axis is the batch, or they get one in front, and the axes that the node names move along. ONNX Runtime has to give the
   expected outputs of that form one image at a time; else the case is no network for images.
3. Behind every output stands an identity matrix or convolution, so that synapses have to read what the node gives; in a second network
   one stands in front of every input too, so that the node reads potentials instead of spikes.

Whatever converts, with nothing left to ONNX Runtime, has to give what the case expects.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from operator import ge
from pathlib import Path

import numpy as np
import onnx.version_converter
import onnxruntime
import pytest
from models import converted
from onnx import helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

from ttfs_convert.data import Dataset
from ttfs_convert.errors import ModelError
from ttfs_convert.lowering.operators.table import OPERATORS
from ttfs_convert.simulation.engines import simulate

KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")
PAIRS = ("Add", "Div", "Gemm", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "MatMul", "Mul", "Sub")
COMPUTED = {**dict.fromkeys(PAIRS, slice(2)), **dict.fromkeys(("Concat", "Max", "Min"), slice(None)), "Where": slice(1, 3)}
AXIS = {"Concat": 0, "Gather": 0, "GatherElements": 0, "Split": 0}  # operator -> default of its attribute
AXES = {"Pad": 3, "ReduceMean": 1, "Slice": 3, "Squeeze": 1, "Unsqueeze": 1}  # operator -> position of that input
SHAPES = ("Expand", "Reshape", "Tile")  # their second input has a number per axis
FLOATS = (np.float16, np.float32, np.float64)
LARGE_NUMBERS = (
    "test_logsoftmax_large_number_expanded",
    "test_softmax_large_number_expanded",
)  # up to 10,003, of which spikes in float32 keep 3 digits
LARGEST = 2048  # rows of an identity matrix

NOT_FLOAT, EMPTY, TOO_LARGE = "not of floats", "a tensor without elements", "numbers beyond float32, or too many"
DISAGREES, NO_IMAGES = "ONNX Runtime gives something else", "no network for images"
LEFT, REFUSED = "left to ONNX Runtime", "refused: "

RELEASE = (1, 23)  # of onnx; older ones have fewer cases, and some that they cannot read themselves
pytestmark = pytest.mark.skipif(tuple(map(int, onnx.__version__.split(".")[:2])) < RELEASE, reason="cases of another release of onnx")
RAN = {  # operator -> cases that ran, networks made of them
    "Add": (3, 14),
    "AveragePool": (15, 30),
    "BatchNormalization": (5, 10),
    "Clip": (9, 26),
    "Concat": (13, 40),
    "Conv": (26, 52),
    "ConvTranspose": (13, 26),
    "DepthToSpace": (2, 4),
    "Div": (3, 8),
    "Dropout": (4, 16),
    "Expand": (6, 16),
    "Flatten": (4, 8),
    "Gather": (3, 8),
    "Gemm": (10, 20),
    "GlobalAveragePool": (2, 4),
    "GlobalMaxPool": (2, 4),
    "HardSigmoid": (3, 10),
    "Identity": (2, 4),
    "MatMul": (2, 9),
    "Max": (7, 16),
    "MaxPool": (18, 36),
    "Min": (1, 2),
    "Mul": (3, 12),
    "Neg": (2, 6),
    "Pad": (8, 12),
    "ReduceMean": (6, 9),
    "Relu": (3, 10),
    "Reshape": (10, 20),
    "Resize": (15, 30),
    "Slice": (7, 24),
    "SpaceToDepth": (4, 8),
    "Split": (15, 40),
    "Squeeze": (3, 6),
    "Sub": (3, 18),
    "Tile": (3, 6),
    "Transpose": (7, 18),
    "Unsqueeze": (7, 24),
    "Upsample": (1, 2),
    "Where": (7, 20),
}


@dataclass(frozen=True)
class Case:
    """One of onnx's cases, or a form of it that has `computed` as inputs and all else constant."""

    name: str
    model: onnx.ModelProto
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    computed: tuple[str, ...] = ()

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        return [node for node in self.model.graph.node if node.op_type != "Constant"]

    @property
    def x(self) -> dict[str, np.ndarray]:
        return {name: self.inputs[name] for name in self.computed}


@dataclass
class Outcome:
    """networks: how many converted and gave what was expected. wrong: those that gave something else. reasons: why others are not there."""

    networks: int = 0
    wrong: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> str:
        """Why no network converted; rather the converter's own reason."""
        return "" if self.networks or self.wrong else max(self.reasons, key=lambda reason: reason.startswith(REFUSED))


@functools.cache
def cases() -> dict[str, list[Case]]:
    """Those that have only operators of the table, by the last one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnx computes some of its cases with NaN
        tests = [test for kind in KINDS for test in load_model_tests(kind=kind)]
    found = defaultdict(list)
    for test in sorted(tests, key=lambda test: test.name):
        model = test.model or onnx.load(Path(test.model_dir) / "model.onnx")
        constants = {tensor.name for tensor in model.graph.initializer}
        names = ([value.name for value in values if value.name not in constants] for values in (model.graph.input, model.graph.output))
        data = test.data_sets[0] if test.data_sets else (_stored(Path(test.model_dir), part) for part in ("input", "output"))
        arrays = ([np.asarray(value) if isinstance(value, np.generic) else value for value in values] for values in data)
        case = Case(test.name, model, *map(dict, map(zip, names, arrays)))
        if case.nodes and not test.name.startswith(LARGE_NUMBERS) and all(node.op_type in OPERATORS for node in case.nodes):
            found[case.nodes[-1].op_type].append(case)
    return found


def _stored(folder: Path, part: str) -> list[np.ndarray]:
    files = sorted(folder.glob(f"test_data_set_0/{part}_*.pb"), key=lambda file: int(file.stem.rpartition("_")[2]))
    return [numpy_helper.to_array(onnx.load_tensor(file)) for file in files]


def outcome(case: Case) -> Outcome:
    node, *others = reversed(case.nodes)
    names = case.inputs if others else node.input[COMPUTED.get(node.op_type, slice(1))]
    computed = [name for name in names if getattr(case.inputs.get(name), "dtype", None) in FLOATS]
    values = [*case.outputs.values(), *(case.inputs[name] for name in computed)]
    if not computed or any(getattr(value, "dtype", None) not in FLOATS for value in values):
        return Outcome(reasons=[NOT_FLOAT])
    if any(value.size == 0 for value in values):
        return Outcome(reasons=[EMPTY])
    if any(np.abs(value).max() > np.finfo(np.float32).max for value in values):
        return Outcome(reasons=[TOO_LARGE])
    model, result = _agreeing(case), Outcome()
    for inputs in dict.fromkeys([*((name,) for name in computed), tuple(computed)]) if model else ():
        for form, in_front in product(_forms(replace(case, model=model, computed=inputs)), (False, True)):
            _try(_among_neurons(form, in_front), result)
    result.reasons.append(NO_IMAGES if model else DISAGREES)
    return result


def _agreeing(case: Case) -> onnx.ModelProto | None:
    """Its model, or one with newer operators, that gives the expected outputs in ONNX Runtime."""
    for version_of in (lambda model: model, lambda model: onnx.version_converter.convert_version(model, 15)):
        with contextlib.suppress(Exception):  # ONNX Runtime and the version converter have many, none of them public
            model = version_of(case.model)
            if _equal(_run(model, case.inputs), case.outputs):
                return model
    return None


def _run(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip((value.name for value in model.graph.output), session.run(None, inputs)))


def _equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return all(
        found[name].shape == values.shape and np.abs(found[name] - values).max() <= max(1e-5, 1e-4 * float(np.ptp(values)))
        for name, values in expected.items()
    )


def _forms(case: Case) -> Iterator[Case]:
    """`case` with its first axis as the batch, and with one put in front, where ONNX Runtime gives the same image by image."""
    for form_of in (_with_constants, _with_batch):
        try:
            form = form_of(case)
            images = max(map(len, form.x.values()))
            rows = [_run(form.model, {name: values[k : k + 1] for name, values in form.x.items()}) for k in range(images)]
            fits = _equal({name: np.concatenate([row[name] for row in rows]) for name in form.outputs}, form.outputs)
        except Exception:  # ONNX Runtime refuses it, or there is no such axis
            continue
        if fits and {len(values) for values in form.outputs.values()} == {images}:
            yield form


def _with_constants(case: Case) -> Case:
    """Its parameters inside, and any number of images."""
    inputs, outputs = (
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), ["batch", *array.shape[1:]])
            for name, array in arrays.items()
        ]
        for arrays in (case.x, case.outputs)
    )
    constants = [numpy_helper.from_array(array, name) for name, array in case.inputs.items() if name not in case.computed]
    graph = helper.make_graph(case.model.graph.node, "net", inputs, outputs, [*case.model.graph.initializer, *constants])
    opsets = [entry for entry in case.model.opset_import if entry.domain in ("", "ai.onnx")]
    return replace(case, model=helper.make_model(graph, opset_imports=opsets, ir_version=max(4, min(10, case.model.ir_version))))


def _with_batch(case: Case) -> Case:
    """One more axis in front of its inputs and outputs."""
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    inputs = {**case.inputs, **{name: array[None] for name, array in case.x.items()}}
    if len(case.nodes) == 1:
        _move_axes(model.graph.node[-1], inputs, inputs[case.computed[0]].ndim)
    return _with_constants(
        replace(
            case, name=f"{case.name} with a batch", model=model, inputs=inputs, outputs={name: array[None] for name, array in case.outputs.items()}
        )
    )


def _move_axes(node: onnx.NodeProto, inputs: dict[str, np.ndarray], rank: int) -> None:
    """Add 1 to every axis that `node` names in its attributes or its constants `inputs`. rank: of its data, the new axis included."""
    operator = node.op_type
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if operator in AXIS:
        attributes["axis"] = _later(attributes.get("axis", AXIS[operator]))
    elif operator == "Transpose":
        attributes["perm"] = [0, *(axis + 1 for axis in attributes.get("perm", range(rank - 1)[::-1]))]
    elif operator in SHAPES:
        inputs[node.input[1]] = np.array([1, *inputs[node.input[1]]])
    elif "axes" in attributes:
        attributes["axes"] = [_later(axis) for axis in attributes["axes"]]
    elif operator in AXES:
        node.input.extend([""] * (AXES[operator] + 1 - len(node.input)))
        axes = inputs.get(node.input[AXES[operator]], range(len(inputs[node.input[1]]) if operator == "Slice" else rank - 1))
        node.input[AXES[operator]] = "axes"
        inputs["axes"] = np.array([_later(axis) for axis in axes])
    if operator in ("GatherElements", "GatherND"):
        attributes |= {"batch_dims": attributes.get("batch_dims", 0) + 1} if operator == "GatherND" else {}
        inputs[node.input[1]] = inputs[node.input[1]][None]
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())


def _later(axis: int) -> int:
    return int(axis) + (axis >= 0)


def _among_neurons(case: Case, in_front: bool) -> Case | None:
    """`case` with an identity layer behind every output, `in_front` of every input too; None if one would be too large."""
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    nodes = list(model.graph.node)
    for name, array in {**case.outputs, **(case.x if in_front else {})}.items():
        behind, inner = name in case.outputs, f"{name}/inner"
        if array.ndim not in (3, 4) and array[0].size > LARGEST:
            return None
        for names in (node.output if behind else node.input for node in nodes):
            names[:] = [inner if each == name else each for each in names]
        layer = _identity(*((inner, name) if behind else (name, inner)), array, model.graph)
        nodes = nodes + layer if behind else layer + nodes
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return replace(case, name=f"{case.name}, {' and '.join(case.computed)} as {'potentials' if in_front else 'spikes'}", model=model)


def _identity(source: str, target: str, array: np.ndarray, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes that read `source` and give it as `target`, by synapses; their constants go into `graph`."""
    shape, name = array.shape[1:], f"{target}/identity"
    if array.ndim in (3, 4):
        graph.initializer.append(numpy_helper.from_array(np.ones((shape[0], 1, *(1,) * (array.ndim - 2)), array.dtype), name))
        return [helper.make_node("Conv", [source, name], [target], group=shape[0])]
    graph.initializer.extend(
        [numpy_helper.from_array(np.eye(array[0].size, dtype=array.dtype), name), numpy_helper.from_array(np.array([-1, *shape]), f"{name}/shape")]
    )
    return [
        helper.make_node("Flatten", [source], [f"{name}/flat"]),
        helper.make_node("MatMul", [f"{name}/flat", name], [f"{name}/product"]),
        helper.make_node("Reshape", [f"{name}/product", f"{name}/shape"], [target]),
    ]


def _try(case: Case | None, result: Outcome) -> None:
    """Convert and run one network, and note what came of it."""
    if case is None:
        result.reasons.append(TOO_LARGE)
        return
    x = {name: array.astype(np.float32) for name, array in case.x.items()}
    low, high = float(min(array.min() for array in x.values())), float(max(array.max() for array in x.values()))
    images = next(iter(x.values()))
    data = Dataset("case", images, y=None, sha256="", total=len(images), notes=(), image=False, inputs=x)
    try:
        network = converted(case.model, mode="exact", calibrate=data, input_range=(low, high if high > low else low + 1))
        if network.head is not None or network.tail is not None:
            result.reasons.append(LEFT)
        elif _equal(simulate(network, x).readouts, case.outputs):
            result.networks += 1
        else:
            result.wrong.append(f"{case.name}: other values")
    except ModelError as error:
        result.reasons.append(REFUSED + (error.nodes[0][2] if hasattr(error, "nodes") else error.found).partition(" ([")[0])
    except Exception as error:  # no way to end, but the other networks shall run
        result.wrong.append(f"{case.name}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_case_that_converts_gives_what_it_expects(operator):
    """Also that as many run as ever; prints its row of the table: pytest -s -n0."""
    outcomes = [outcome(case) for case in cases()[operator]]
    skipped = Counter(each.skipped for each in outcomes if each.skipped)
    count = sum(each.networks > 0 for each in outcomes), sum(each.networks for each in outcomes)
    reasons = "; ".join(f"{number} {reason}" for reason, number in skipped.most_common())
    print(f"{operator:18} {len(outcomes):6} cases {count[0]:5} ran {count[1]:6} networks {skipped.total():6} skipped  {reasons}")
    assert [line for each in outcomes for line in each.wrong] == []
    assert {reason for reason in skipped if not reason.startswith(REFUSED)} <= {NOT_FLOAT, EMPTY, TOO_LARGE, DISAGREES, NO_IMAGES, LEFT}
    assert all(map(ge, count, RAN.get(operator, (0, 0)))), "fewer than in RAN"
