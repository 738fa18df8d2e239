"""A node of the ONNX graph with its attributes as Python values."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from .subgraphs import captured


@dataclass(frozen=True)
class Node:
    """An ONNX node with its attributes as Python values. `name` is never empty."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict
    domain: str
    proto: onnx.NodeProto

    @classmethod
    def of(cls, proto: onnx.NodeProto) -> Node:
        """`proto` with what its subgraphs read among its inputs, and the name of its first output if it has no name."""
        if not proto.attribute:
            return cls(proto.op_type, proto.name or proto.output[0], tuple(proto.input), tuple(proto.output), {}, proto.domain, proto)
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute}
        texts = {key: value.decode() if isinstance(value, bytes) else value for key, value in attributes.items()}
        inputs = (*proto.input, *sorted(captured(proto) - set(proto.input)))
        return cls(proto.op_type, proto.name or proto.output[0], inputs, tuple(proto.output), texts, proto.domain, proto)
