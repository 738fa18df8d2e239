"""Reports made up for what gates read of them."""

import numpy as np

from ttfs_convert.report.sample_bits import packed
from ttfs_convert.report.schema import LayerPart, Report

LAYER = {
    "name": "conv",
    "kind": "conv",
    "slope": "fan_in",
    "tensor": "relu",
    "range": (0.0, 1.0),
    "window": 1,
    "steps": 50,
    "neurons": 10,
    "synapses": 90,
    "weight_sum_max_deviation": 0.0,
    "max_error": 0.1,
    "mean_error": 0.01,
    "mean_error_ci95": (0.008, 0.012),
    "tolerance": 0.02,
    "saturated": 0.0,
    "silent": 0.5,
    "synops": 90.0,
    "neuronops": 500,
    "spike_times": None,
}
NO_OPERATIONS = {"synops": 0.0, "neuronops": None, "p_proxy": None}


def layer(name="conv", mean=0.01, ends=(0.008, 0.012), **others):
    return LayerPart.model_validate({**LAYER, "name": name, "mean_error": mean, "mean_error_ci95": ends, **others})


def measure(name="accuracy", **others):
    usual = {"accuracy": ("fraction", "pp", True), "psnr": ("dB", "dB", True), "rmse": ("", "", False)}
    unit, drift_unit, higher = usual[name]
    return {"name": name, "unit": unit, "drift_unit": drift_unit, "higher_is_better": higher, "samples": 1000, "left_out": 0, **others}


ACCURACY = (measure(),)


def report(measures=ACCURACY, layers=None, drift=None, steps=350, p_proxy=1000.0, p_proxy_ends=(900.0, 1100.0), snn=None, ann=None, **others):
    """Of 1,000 labelled samples, of which the spiking network loses 1 pp."""
    return Report.model_validate(
        {
            "model": {
                "name": "net",
                "onnx_sha256": "ab" * 32,
                "layers": 2,
                "neurons": 20,
                "synapses": 90,
                "windows": 7,
                "steps": 50,
                "rounding": "nearest",
                "spiking_mac_share": 1.0,
                "mode": "strict",
                "slope": "fan_in",
            },
            "engine": {"name": "exact", "threshold": "dynamic", "neurons": None, "differing": None, "farthest": None},
            "data": {"name": "data.npz", "sha256": "cd" * 32, "samples": 1000},
            "ann": {"accuracy": 0.93, **(ann or {})},
            "snn": {"accuracy": 0.92, "latency_steps": steps, "spikes_per_neuron": 1.0, **(snn or {})},
            "drift": {
                "accuracy_pp": -1.0,
                "ci95_pp": (-1.5, -0.5),
                "agreement": 0.98,
                "agreement_ci95": (0.97, 0.987),
                "max_output_error": None,
                "output_range": None,
                **(drift or {}),
            },
            "task": {"name": "classification", "why": "", "about": None, "measures": measures} if measures else None,
            "outputs": (),
            "quantised_ann": None,
            "energy": {
                "paper": NO_OPERATIONS,
                "synaptic": NO_OPERATIONS,
                "event_if_gated": NO_OPERATIONS,
                "ann_macs": 90,
                "event": {"synops": 90.0, "neuronops": None, "p_proxy": p_proxy},
                "event_p_proxy_ci95": p_proxy_ends,
            },
            "layers": (layer(),) if layers is None else layers,
            "timing": {"ann_seconds": 1.0, "snn_seconds": 1.0, "compile_seconds": 1.0},
            "notes": (),
            **others,
        }
    )


def right(wrong_ann=range(70), wrong_snn=range(80)):
    """Bits of 1,000 samples, of which those named are wrong."""
    ann, snn = np.ones(1000, bool), np.ones(1000, bool)
    ann[list(wrong_ann)] = snn[list(wrong_snn)] = False
    return {"ann_right": packed(ann), "snn_right": packed(snn)}
