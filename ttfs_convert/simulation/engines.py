"""The engines by name, and one call that runs a batch on one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..errors import UsageError
from ..network.network import Network
from ..network.populations import Spiking
from .clock_engine import ClockSimulator
from .encoded_inputs import entries_of
from .event_engine import EventSimulator
from .exact_engine import Simulator
from .fixed_clock_engine import FixedClockSimulator
from .fixed_event_engine import FixedEventSimulator
from .recording import Recording

ENGINES: dict[str, Callable[..., Callable[[Mapping[str, np.ndarray]], Recording]]] = {
    "exact": Simulator,  # spike times in closed form
    "clock": ClockSimulator,  # every step simulated
    "event": EventSimulator,  # every spike in order of arrival, continuous time
}
FIXED: dict[str, Callable[..., Callable[[Mapping[str, np.ndarray]], Recording]]] = {  # with a threshold that is 1 at all times, for which no closed
    # form holds
    "clock": FixedClockSimulator,
    "event": FixedEventSimulator,
}


def simulator(network: Network, engine: str = "exact", threshold: str = "dynamic") -> Callable[[Mapping[str, np.ndarray]], Recording]:
    """What runs batches of `network`, given by ONNX tensor, on `engine`.

    engine: `exact`, `clock` or `event`. threshold: `dynamic`, or `fixed`: 1 at all times. Raises UsageError where the two or the network
    contradict each other.
    """
    if engine not in ENGINES:
        raise UsageError("engine", engine, f"one of {', '.join(ENGINES)}")
    if threshold not in ("dynamic", "fixed"):
        raise UsageError("threshold", threshold, "dynamic or fixed")
    if engine == "clock" and network.steps is None:
        raise UsageError("engine clock", "continuous time", "a number of steps", "set --steps N, or use --engine event")
    if engine == "event" and network.steps is not None:
        network = network.with_steps(None)
    if threshold == "dynamic":
        return ENGINES[engine](network)
    _check_fixed(network, engine)
    return FIXED[engine](network)


def _check_fixed(network: Network, engine: str) -> None:
    if engine not in FIXED:
        raise UsageError(
            "threshold fixed", f"engine {engine}, whose closed form needs the dynamic one", f"engine {' or '.join(FIXED)}", "add --engine event"
        )
    direct = [layer.name for layer in network.inputs if layer.coding == "direct"]
    if direct:
        raise UsageError("threshold fixed", f"analog input {', '.join(direct)}", "inputs that spike", "convert with --input-range LO HI")
    gated = [layer.name for layer in network.layers if isinstance(layer, Spiking) and layer.slope == "gated"]
    if gated:
        raise UsageError(
            "threshold fixed",
            f"slope gated in {', '.join(gated[:5])}",
            "slope fan_in or reference: a gate opens with the window, which a fixed threshold does not have",
            "convert with --mode unchecked",
        )
    shaped = [layer.name for layer in network.layers if isinstance(layer, Spiking) and layer.activation is not None]
    if shaped:
        raise UsageError(
            "threshold fixed",
            f"thresholds with the shape of a function in {', '.join(shaped[:5])}",
            "clamps, whose threshold is 1 in their window",
            "leave --threshold out",
        )
    if network.analog:
        raise UsageError(
            "threshold fixed",
            f"analog parts, such as {network.analog[0].name!r}",
            "layers that spike: what is between two windows needs windows",
            "leave --threshold out",
        )
    if engine == "clock" and len({steps for steps in network.steps_per_layer().values() if steps}) > 1:
        raise UsageError(
            "threshold fixed",
            "layers with numbers of steps of their own",
            "one clock: neurons fire outside their windows",
            "set --steps N, or use --engine event",
        )


def simulate(network: Network, x: np.ndarray | Mapping[str, np.ndarray], engine: str = "exact", threshold: str = "dynamic") -> Recording:
    """Run `network` on `x`: (n, *shape of what the input population encodes) float32 within its range, in the model's own layout; for
    several of them a mapping from ONNX tensors.

    engine, threshold: as for `simulator`. Batches are independent: splitting one changes no bit of the result; for many of them keep a
    simulator. Calls from several threads wait for each other. Raises DataError for an `x` that is missing, of another shape or with
    values outside the range, UsageError as `simulator`.
    """
    return simulator(network, engine, threshold)(entries_of(network, x))
