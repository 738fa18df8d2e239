"""A gate in a few words."""

from __future__ import annotations

import re

from ..report.schema import GatePart

UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot say, escaped or not


def printable(text: str) -> str:
    """Names come from models: control characters in them have a stand-in."""
    return UNPRINTABLE.sub("\ufffd", text)


def figure(value: float) -> str:
    """Six digits; whole counts from 100,000 on in full."""
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.6g}"


def title(gate: GatePart) -> str:
    """Its kind, limit and measure: max-drop 0.5 pp, max-drop 0.1 dB of psnr."""
    of = f" of {gate.measure}" if gate.measure not in (None, "accuracy") else ""
    return f"{gate.gate} {figure(gate.limit)} {gate.unit}".rstrip() + of


def line(gate: GatePart) -> str:
    """With its outcome."""
    return f"gate {title(gate)}: {gate.outcome}"
