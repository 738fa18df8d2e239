"""Which operators a model may have: those of ONNX's own domains and of ONNX Runtime's, and functions that the model itself defines. All others are
refused by name before anything in C++ looks for them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import onnx
from onnxruntime.capi import _pybind_state

from ..errors import ModelError
from .subgraphs import subgraphs

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")  # the first two are one


def refuse_unknown(model: onnx.ModelProto, where: str) -> None:
    """Raise ModelError, with `where`, for the first node, subgraphs and functions included, whose operator nobody here has."""
    own = {(function.domain, function.name) for function in model.functions}
    seen: set[tuple[str, str]] = set()
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in _with_inner(nodes):
            key = node.domain, node.op_type
            if key not in seen and key not in own and not _is_known(*key):
                raise unknown_operator(node, where)
            seen.add(key)


def unknown_operator(node: onnx.NodeProto, where: str) -> ModelError:
    """The error for `node`."""
    name = node.name or next(filter(None, node.output), "")
    of = f"an operator of the domain {node.domain}" if node.domain else "no operator of ONNX"
    return ModelError(where, f"{node.op_type} {name!r} is {of}", "operators that ONNX Runtime knows", "export it with operators of ONNX alone")


def _with_inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for graph in subgraphs(node) if node.attribute else ():
            yield from _with_inner(graph.node)


def _is_known(domain: str, operator: str) -> bool:
    if domain not in DOMAINS:
        return False
    domain = "" if domain == "ai.onnx" else domain
    if onnx.defs.has(operator, domain):
        return True
    runtime = _of_onnx_runtime()
    return (domain, operator) in runtime or (not runtime and domain.startswith("com.microsoft"))


@functools.cache
def _of_onnx_runtime() -> frozenset[tuple[str, str]]:
    """By domain and name; empty where a build of it does not tell."""
    schemas = getattr(_pybind_state, "get_all_operator_schema", list)()
    return frozenset((schema.domain, schema.name) for schema in schemas)
