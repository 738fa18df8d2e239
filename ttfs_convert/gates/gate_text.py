"""A gate in a few words."""

from __future__ import annotations

from ..report.schema import GatePart


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
