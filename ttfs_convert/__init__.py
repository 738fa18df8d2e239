"""Convert trained networks in ONNX form to time-to-first-spike networks, run them, and measure what the conversion cost.

    network = ttfs_convert.convert("model.onnx")
    ttfs_convert.save(network, "snn.npz")
    recording = ttfs_convert.run(network, x)          # spike times of every layer, potentials of the readout
    report = ttfs_convert.evaluate(network, "fashion-mnist").report          # or (x, y), or the path of an .npz
    tuned = ttfs_convert.tune(network, "fashion-mnist", max_drop=0.1).network

The verbs are those of the commands. They load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conversion.options import ConversionOptions
    from .conversion.pipeline import convert
    from .data import Dataset, load_dataset
    from .errors import DataError, ModelError, TtfsError, UsageError
    from .network.network import Network
    from .network.store import load, save
    from .report.schema import Report
    from .simulation.head_and_tail import run
    from .simulation.recording import Recording
    from .simulation.spike_file import load_spikes
    from .studies.evaluation import Evaluation, evaluate
    from .studies.inspection import ModelInspection, inspect_model
    from .studies.rate_baseline import RateBaseline, rate_baseline
    from .studies.setting import StudyOptions
    from .studies.sweep import Sweep, sweep
    from .studies.tuning import Tuning, tune
    from .tasks.drop_limit import DropLimit
    from .tasks.scores import Score

_FOLDER = os.path.dirname(os.path.abspath(__file__))
if not os.path.isdir(os.path.join(_FOLDER, "kernels")):
    __path__.append(os.path.dirname(_FOLDER))  # a clone, whose kernels/ lie beside this folder; it hides what is installed

__version__ = "0.1.0"

__all__ = [  # the public names: those of verbs, what they take and give back, and errors
    "ConversionOptions",
    "DataError",
    "Dataset",
    "DropLimit",
    "Evaluation",
    "ModelError",
    "ModelInspection",
    "Network",
    "RateBaseline",
    "Recording",
    "Report",
    "Score",
    "StudyOptions",
    "Sweep",
    "TtfsError",
    "Tuning",
    "UsageError",
    "__version__",
    "convert",
    "evaluate",
    "inspect_model",
    "load",
    "load_dataset",
    "load_spikes",
    "rate_baseline",
    "run",
    "save",
    "sweep",
    "tune",
]

_MODULES = {  # where they are defined, for loading on first use; the imports above say the same to type checkers
    "conversion.options": ("ConversionOptions",),
    "conversion.pipeline": ("convert",),
    "data": ("Dataset", "load_dataset"),
    "errors": ("DataError", "ModelError", "TtfsError", "UsageError"),
    "network.network": ("Network",),
    "network.store": ("load", "save"),
    "report.schema": ("Report",),
    "simulation.head_and_tail": ("run",),
    "simulation.recording": ("Recording",),
    "simulation.spike_file": ("load_spikes",),
    "studies.evaluation": ("Evaluation", "evaluate"),
    "studies.inspection": ("ModelInspection", "inspect_model"),
    "studies.rate_baseline": ("RateBaseline", "rate_baseline"),
    "studies.setting": ("StudyOptions",),
    "studies.sweep": ("Sweep", "sweep"),
    "studies.tuning": ("Tuning", "tune"),
    "tasks.drop_limit": ("DropLimit",),
    "tasks.scores": ("Score",),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            value = getattr(importlib.import_module(f".{module}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'ttfs_convert' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
