"""What a reader of a network's figures must know about the data that its ranges and weights are from."""

from __future__ import annotations

from ..data import Dataset
from ..data.speech_pairs import SpeechPairs
from ..network.network import Network, step_counts


def fitting_notes(network: Network, data: Dataset | SpeechPairs) -> list[str]:
    """What makes figures of `network` on `data` worth less: another grid than the one that its weights suit, and samples that it knows."""
    found, fitted = [], network.compensation
    if fitted is not None and not network.on_fitted_grid:
        now = f"{step_counts(network.grid())} steps, {network.rounding}" if network.steps else "continuous time"
        found.append(
            f"weights and biases were fitted to {step_counts(fitted.steps)} steps, {fitted.rounding}; in {now} they are not the "
            "original's and may do worse: convert again for this grid"
        )
    known = [part for part in (network.calibration, fitted) if part is not None and part.sha256 == data.sha256]
    if known:
        found.append(
            f"these are the samples that the network was {'fitted to' if fitted in known else 'calibrated on'}: figures on others may be worse"
        )
    return found
