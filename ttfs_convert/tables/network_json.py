"""A converted network as JSON."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..measurement.operation_counts import layer_connections, paper, spiking_mac_share, synaptic
from ..measurement.weight_memory import weight_bytes
from ..network.network import Network
from ..network.populations import Analog, Coded, Layer, Readout, Spiking, label, neurons, weight_sum_deviation


def network_json(network: Network) -> dict:
    """What `ttfs-convert --json` and `ttfs-inspect SNN.npz --json` write: provenance, layers, counts that need no data, violations."""
    return {
        "name": network.name,
        "onnx_sha256": network.onnx_sha256,
        "embedded": network.onnx is not None,
        "mode": network.mode,
        "slope": network.slope,
        "steps": network.steps,
        "rounding": network.rounding,
        "pooling": network.pooling,
        "windows": network.windows,
        "latency_steps": network.latency_steps,
        "calibration": network.calibration and network.calibration.model_dump(mode="json"),
        "compensation": network.compensation and network.compensation.model_dump(mode="json"),
        "weight_bits": network.weight_grid and network.weight_grid.bits,
        "weight_bytes": weight_bytes(network),
        "ann_macs": network.ann_macs,
        "spiking_mac_share": spiking_mac_share(network),
        "analog": analog_json(network.layers, network.ann_macs),
        "counts": {
            name: {"synops": count.synops, "neuronops": count.neuronops, "p_proxy": count.p_proxy}
            for name, count in (("paper", paper(network)), ("synaptic", synaptic(network)))
        },
        "layers": [{**layer, "steps": steps} for layer, steps in zip(layers_json(network.layers), network.steps_per_layer().values())],
        "violations": [violation.model_dump() for violation in network.violations],
        "notes": list(network.notes),
    }


def analog_json(layers: Sequence[Layer], ann_macs: int) -> list[dict]:
    """One object per analog part: its nodes, their multiply-accumulates and the share that these are of the original's."""
    return [
        {
            "name": layer.name,
            "nodes": [node.model_dump() for node in layer.nodes],
            "macs": layer.macs,
            "mac_share": layer.macs / ann_macs if ann_macs else 0.0,
        }
        for layer in layers
        if isinstance(layer, Analog)
    ]


def layers_json(layers: Sequence[Layer], unmeasured: Collection[str] = ()) -> list[dict]:
    """One object per layer. unmeasured: names of layers whose range only calibration will tell."""
    return [
        {
            "name": layer.name,
            "kind": "readout" if isinstance(layer, Readout) else label(layer),
            "shape": list(layer.shape),
            "neurons": neurons(layer),
            "synapses": layer_connections(layers, layer)[0],
            "window": layer.window,
            "slope": layer.slope if isinstance(layer, Spiking) else None,
            "tensor": layer.tensor,
            "range": [float(layer.lo.min()), float(layer.hi.max())] if isinstance(layer, Coded) and layer.name not in unmeasured else None,
            "activation": [layer.low, layer.high] if isinstance(layer, Spiking) else None,
            "weight_sum_max_deviation": weight_sum_deviation(layer),
        }
        for layer in layers
    ]
