"""Parts of a graph: which analog nodes run together, and that the graph stays in order."""

import itertools

import numpy as np
from onnx import helper

from ttfs_convert.lowering.analog_nodes import bounds, grouped, with_nodes_between
from ttfs_convert.onnx_model.node import Node


def nodes(**inputs: str) -> list[Node]:
    """One node per name, which gives the tensor of that name; inputs are separated by spaces. Names in capitals are analog ones."""
    return [Node.of(helper.make_node("Any", names.split(), [name], name=name)) for name, names in inputs.items()]


def parts(graph: list[Node]) -> list[str]:
    """The analog nodes of every part, in the order in which parts run."""
    found = grouped(graph, {node.name for node in graph if node.name.isupper()})
    assert sorted(node.name for node in found.nodes) == sorted(node.name for node in graph)
    seen = {"x"}
    for node in found.nodes:
        assert seen.issuperset(node.inputs)
        seen.update(node.outputs)
    runs = [(part, "".join(node.name for node in run)) for part, run in itertools.groupby(found.nodes, lambda node: found.part.get(node.name))]
    assert len({part for part, _ in runs if part is not None}) == sum(part is not None for part, _ in runs)
    return [names for part, names in runs if part is not None]


def test_parts_are_connected():
    assert parts(nodes(a="x", A="a", B="A", b="B", C="b")) == ["AB", "C"]
    assert parts(nodes(a="x", A="a", B="a", C="A B")) == ["ABC"]
    assert parts(nodes(a="x", A="a", B="a", b="A B")) == ["A", "B"]


def test_a_node_behind_spikes_that_read_a_part_does_not_join_it():
    assert parts(nodes(a="x", A="a", b="A", B="A b")) == ["A", "B"]
    assert parts(nodes(a="x", A="a", b="A", B="b", C="A B")) == ["A", "BC"]


def test_a_part_waits_for_all_that_its_nodes_read():
    assert parts(nodes(a="x", A="a", c="A", b="a", B="A b", d="c B")) == ["AB"]


def test_parts_never_wait_for_each_other():
    """A and C are joined, so B, which reads what spikes behind A, must not be joined with what C reads."""
    assert parts(nodes(A="x", a="A", B="x", C="A B", b="B", D="b C a")) == ["ABC", "D"]
    rng = np.random.default_rng(0)
    for _ in range(200):
        names, graph = ["x"], {}
        for k in range(12):
            name = chr(ord("a") + k).upper() if rng.random() < 0.5 else chr(ord("a") + k)
            graph[name] = " ".join(rng.choice(names, min(len(names), 2), replace=False))
            names.append(name)
        parts(nodes(**graph))


def test_what_lies_between():
    graph = nodes(a="x", A="a", b="A", B="b", c="B a", C="c", d="C")

    def between(*refused: str) -> set[str]:
        return with_nodes_between(graph, {"A", "B", "C"}, ["x"], lambda node: node.name not in refused)

    assert between() == {"A", "b", "B", "C"}  # c reads spikes too, d leads to no other part
    assert between("b") == {"A", "B", "C"}


def test_bounds_of_operators():
    def of(operator: str, position: int = 0, **attributes):
        return bounds(Node.of(helper.make_node(operator, ["x"], ["y"], **attributes)), position, (-2.0, 3.0))

    assert of("Cos") == of("LSTM") == of("GRU", 1) == (-1, 1)
    assert of("TopK") == of("Squeeze") == (-2, 3)
    nothing = (-np.inf, np.inf)
    assert of("LSTM", 2) == of("TopK", 1) == of("Loop") == of("LSTM", activations=["Relu"]) == nothing
