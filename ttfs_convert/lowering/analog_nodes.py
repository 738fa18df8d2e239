"""Nodes that ONNX Runtime computes in the middle of a network, and how they fall into parts that each run once.

1. A node without a spiking form                         -> analog, as lowering finds it.
2. What leads from analog nodes to analog nodes alone, without weights or other computed values between -> analog too: no spikes in between.
3. An analog node behind a part, where no spiking layer leads from that part to the node's other inputs -> joins the part.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass

from ..onnx_model.node import Node
from .ranges.rescaling import MOVERS


@dataclass(frozen=True)
class Grouped:
    """nodes: of the graph, in topological order, those of a part one after the other. part: by tensor that an analog node gives, its number."""

    nodes: list[Node]
    part: dict[str, int]

    def part_of(self, node: Node) -> list[Node]:
        """All nodes of the part of `node`, an analog one."""
        return [other for other in self.nodes if self.part.get(other.outputs[0]) == self.part.get(node.outputs[0])] or [node]


def with_nodes_between(nodes: Sequence[Node], analog: Set[str], given: Iterable[str], may: Callable[[Node], bool]) -> set[str]:
    """The tensors `analog`, and those of nodes that lead from them to nodes that give them. given: the graph's inputs. may: of nodes that may be left
    to ONNX Runtime."""
    computed = {*given, *(name for node in nodes if node.operator != "Constant" for name in node.outputs)}
    behind, candidates = set(analog), []
    for node in nodes:
        read = computed.intersection(node.inputs)
        if analog.isdisjoint(node.outputs) and read and read <= behind and may(node):
            behind.update(filter(None, node.outputs))
            candidates.append(node)
    before = {name for node in nodes if not analog.isdisjoint(node.outputs) for name in node.inputs}
    found = set(analog)
    for node in reversed(candidates):
        if not before.isdisjoint(node.outputs):
            before.update(node.inputs)
            found.update(filter(None, node.outputs))
    return found


def grouped(nodes: Sequence[Node], analog: Set[str]) -> Grouped:
    """The parts that the nodes which give the tensors `analog` fall into. nodes: in topological order."""
    joining = _Joining()
    for node in nodes:
        joining.add(node, not analog.isdisjoint(node.outputs))
    part = {name: joining.root(number) for name, number in joining.part.items()}
    return Grouped(_in_one_piece(nodes, part), part)


class _Joining:
    """Parts, joined as nodes come. part: by tensor. behind: by other tensor, the parts that lead to it."""

    def __init__(self):
        self.part: dict[str, int] = {}
        self._behind: dict[str, set[int]] = {}
        self._joined: list[int] = []
        self._above: list[set[int]] = []  # of each part, those that lead to its other inputs

    def root(self, number: int) -> int:
        while self._joined[number] != number:
            number = self._joined[number]
        return number

    def _all_above(self, numbers: Iterable[int]) -> set[int]:
        """These parts and all that lead to them."""
        found, pending = set(), [*numbers]
        while pending:
            number = self.root(pending.pop())
            if number not in found:
                found.add(number)
                pending += self._above[number]
        return found

    def add(self, node: Node, is_analog: bool) -> None:
        read = {self.root(self.part[name]) for name in node.inputs if name in self.part}
        others = set().union(*(self._behind.get(name, set()) for name in node.inputs if name not in self.part))
        if not is_analog:
            self._behind.update(dict.fromkeys(filter(None, node.outputs), read | others))
            return
        earlier = self._all_above(others).union(*(self._all_above(self._above[number]) for number in read))
        number = len(self._joined)
        self._joined.append(number)
        self._above.append(others | (read & earlier))
        for same in read - earlier:
            self._joined[same] = number
            self._above[number] |= self._above[same]
        self.part.update(dict.fromkeys(filter(None, node.outputs), number))


def _in_one_piece(nodes: Sequence[Node], part: dict[str, int]) -> list[Node]:
    """`nodes` with those of each part one after the other, as they are in all else."""
    unit = [part.get(node.outputs[0], -1 - place) for place, node in enumerate(nodes)]
    members: dict[int, list[Node]] = {}
    for key, node in zip(unit, nodes):
        members.setdefault(key, []).append(node)
    owner = {name: key for key, node in zip(unit, nodes) for name in node.outputs if name}
    needs = {key: {owner[name] for node in each for name in node.inputs if name in owner} - {key} for key, each in members.items()}
    readers: dict[int, list[int]] = {}
    for key, sources in needs.items():
        for source in sources:
            readers.setdefault(source, []).append(key)
    place = {key: number for number, key in enumerate(members)}
    ready = [(place[key], key) for key, sources in needs.items() if not sources]
    heapq.heapify(ready)
    found: list[Node] = []
    while ready:
        _, key = heapq.heappop(ready)
        found += members[key]
        for reader in readers.get(key, ()):
            needs[reader].discard(key)
            if not needs[reader]:
                heapq.heappush(ready, (place[reader], reader))
    return found


def bounds(node: Node, position: int, read: tuple[float, float]) -> tuple[float, float]:
    """Between which values output `position` of `node` lies, as far as its operator says. read: the same of its first input."""
    if (node.operator == "TopK" and position == 0) or node.operator in MOVERS:
        return read
    squashed = node.operator in ("GRU", "LSTM", "RNN") and position < 2 and "activations" not in node.attributes  # position 2 is the cell's state
    return (-1.0, 1.0) if squashed or node.operator in ("Cos", "Sin") else (-math.inf, math.inf)
