"""Why a node has no spiking form."""

from __future__ import annotations


class UnsupportedNode(Exception):
    """Raised by an operator's function: why the node has no spiking equivalent here, and what would help."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


class AnalogMoved(UnsupportedNode):
    """Analog currents would have to be wired in another order, for which only spikes have populations."""

    def __init__(self):
        super().__init__("it rearranges analog input", "give the inputs bounds, with --input-range")
