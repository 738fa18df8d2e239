"""Networks with something in the middle that has no spiking form."""

import numpy as np
from onnx import TensorProto, helper

from tests.models import Chain


def behind_spikes(outputs: int = 12) -> Chain:
    return Chain((3, 6, 5)).conv(4).relu1().readout(outputs)


def recurrent(chain: Chain, operator: str = "LSTM", hidden: int = 7) -> Chain:
    """A recurrent cell of random weights over (time, batch, features)."""
    gates, features = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator] * hidden, chain.width(2)
    weights = [(0.4 * chain.rng.normal(size=shape)).astype(np.float32) for shape in ((1, gates, features), (1, gates, hidden), (1, 2 * gates))]
    return chain.add(operator, *weights, hidden_size=hidden)


def sequence() -> Chain:
    """(time, batch, features) of spikes."""
    return Chain((3, 8)).conv(5, (3,)).add("Relu").add("Transpose", perm=[2, 0, 1])


def batch_first(chain: Chain) -> Chain:
    """What a recurrent cell gives, as (batch, time, hidden)."""
    return chain.add("Squeeze", np.array([1])).add("Transpose", perm=[1, 0, 2])


def ending(chain: Chain) -> Chain:
    return chain.gemm(6).add("Relu").readout(4)


def topk() -> Chain:
    return ending(behind_spikes().add("TopK", np.array([5]), outputs=2, axis=1))


def lstm() -> Chain:
    return batch_first(recurrent(sequence())).readout(9).add("Relu").readout(4)


def curved() -> Chain:
    return ending(behind_spikes().add("Asinh"))


def two_parts() -> Chain:
    chain = behind_spikes().add("Asinh").gemm(9).add("Relu").add("TopK", np.array([5]), outputs=2, axis=1)
    return ending(chain)


def around() -> Chain:
    """A residual sum around a part, which reads spikes."""
    chain = behind_spikes().add("Relu")
    stream = chain.at
    return ending(chain.add("Asinh").add("Add", stream))


def chosen() -> Chain:
    """Indices, which are no floats, choose what goes on: both are computed in one part."""
    chain = behind_spikes()
    scores = chain.at
    indices = chain.add("TopK", np.array([5]), outputs=2, axis=1).at.replace("_out", "_extra1")
    chain.at = scores
    return ending(chain.add("GatherElements", indices, axis=1))


def labelled() -> Chain:
    """The place of the largest value is a number that spikes stand for."""
    chain = behind_spikes().add("ArgMax", axis=1, keepdims=0).add("Cast", to=TensorProto.FLOAT).add("Unsqueeze", np.array([1]))
    return chain.gemm(60).add("Relu").readout(9)


def stacked() -> Chain:
    """Two cells with nothing but moves in between."""
    chain = recurrent(recurrent(sequence(), "GRU").add("Squeeze", np.array([1])), "RNN")
    return batch_first(chain).readout(9).add("Relu").readout(4)


def meeting() -> Chain:
    """Two cells that read the same spikes, and a node that reads both."""
    chain = sequence()
    read = chain.at
    first = recurrent(chain).at
    chain.at = read
    chain = recurrent(chain, "GRU").add("Add", first).add("TopK", np.array([3]), outputs=2, axis=3)
    return batch_first(chain).readout(9).add("Relu").readout(4)


def interleaved() -> Chain:
    """A node that reads what a part gives, and what spikes behind that part: it is a part of its own."""
    chain = behind_spikes().add("TopK", np.array([6]), outputs=2, axis=1)
    values = chain.at
    divisor = chain.gemm(6).add("Relu").add("Add", np.float32(0.5)).at
    chain.at = values
    return ending(chain.add("Asinh").add("Mod", divisor, fmod=1))


def with_input() -> Chain:
    """A part that reads the model's input too."""
    chain = behind_spikes()
    read = chain.at
    chain.at = "x"
    divisor = chain.add("Flatten").add("Slice", np.array([0]), np.array([12]), np.array([1])).add("Add", np.float32(0.5)).at
    chain.at = read
    return ending(chain.add("Mod", divisor, fmod=1))


def looped() -> Chain:
    chain = behind_spikes()
    state = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 12]) for name in ("v", "next")]
    going = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("on", "still")]
    nodes = [helper.make_node("Sin", ["v"], ["next"]), helper.make_node("Identity", ["on"], ["still"])]
    turn = helper.make_tensor_value_info("turn", TensorProto.INT64, [])
    body = helper.make_graph(nodes, "body", [turn, going[0], state[0]], [going[1], state[1]])
    read, chain.at = chain.at, chain.constant(np.array(3))
    return ending(chain.add("Loop", np.array(True), read, body=body))


def branching() -> Chain:
    chain = behind_spikes()
    read = chain.at

    def branch(operator: str):
        result = helper.make_tensor_value_info(f"then_{operator}", TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(operator, [read], [result.name])], operator, [], [result])

    chain.add("ReduceMax", keepdims=0).add("Greater", np.float32(1))
    return ending(chain.add("If", then_branch=branch("Sin"), else_branch=branch("Neg")))
