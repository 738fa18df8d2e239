"""Convert trained networks in ONNX form to time-to-first-spike networks, run them, and measure what the conversion cost.

    network = ttfs_convert.convert("model.onnx")
    ttfs_convert.save(network, "snn.npz")
    recording = ttfs_convert.run(network, x)          # spike times of every layer, potentials of the readout
    report = ttfs_convert.evaluate(network, "fashion-mnist").report
    tuned = ttfs_convert.tune(network, "fashion-mnist", max_drop=0.1).network

The verbs are those of the commands. They load on first use, so that importing the package costs nothing.
"""

import importlib
import os

_FOLDER = os.path.dirname(os.path.abspath(__file__))
if not os.path.isdir(os.path.join(_FOLDER, "kernels")):
    __path__.append(
        os.path.dirname(_FOLDER)
    )  # a clone, where kernels/ lies beside this folder; it hides what is installed from programs started in it

__version__ = "0.1.0"

_PUBLIC = {  # name -> module that defines it
    "convert": "conversion.pipeline",
    "load": "network.store",
    "save": "network.store",
    "run": "simulation.head_and_tail",
    "evaluate": "studies.evaluation",
    "sweep": "studies.sweep",
    "tune": "studies.tuning",
    "load_spikes": "simulation.spike_file",
    "load_dataset": "data",
    "Network": "network.network",
    "Recording": "simulation.recording",
    "Evaluation": "studies.evaluation",
    "Report": "report.schema",
    "Sweep": "studies.sweep",
    "Tuning": "studies.tuning",
    "Dataset": "data",
    "TtfsError": "errors",
    "UsageError": "errors",
    "ModelError": "errors",
    "DataError": "errors",
}
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ttfs_convert' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    globals()[name] = value
    return value
