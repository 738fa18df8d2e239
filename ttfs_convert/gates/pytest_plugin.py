"""The pytest plugin: a fixture that converts, runs, judges, and fails with the verdict. pytest finds it where the package is installed.

def test_conversion(ttfs_conversion):
    ttfs_conversion("model.onnx", "test.npz", {"max-drop": 0.5, "max-latency": 350})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..data.given import GivenData
    from ..network.network import Network
    from ..report.schema import Report


@pytest.fixture(scope="session")
def ttfs_conversion() -> Callable[..., Report]:
    """A function (model, data, gates, baseline=None, conversion=None, **run) that gives the judged report, or fails the test.

    model: an .onnx file, which is converted with the options `conversion` of `ttfs_convert.convert`; an .npz that ttfs-convert wrote; or a `Network`.
    data: as `ttfs_convert.evaluate` takes it. gates: limits by kind, such as {"max-drop": 0.5}, or a TOML file with [tool.ttfs]. baseline: an
    earlier report, or its file, for max-regression. run: options of `evaluate`. A gate that is inconclusive fails too: more samples decide it.
    """
    return _conversion


def _conversion(
    model: str | Path | Network,
    data: GivenData,
    gates: Mapping[str, object] | str | Path,
    *,
    baseline: Report | str | Path | None = None,
    conversion: Mapping[str, object] | None = None,
    **run,
) -> Report:
    from ..errors import UsageError
    from ..measurement.accuracy_drift import Verdict
    from ..report.read_report import read_report
    from ..studies.evaluation import evaluate
    from .gate_list import gates_of, read_gates
    from .judge import judged, worst
    from .markdown import markdown

    limits = gates_of(gates) if isinstance(gates, Mapping) else read_gates(gates)
    if not limits:
        raise UsageError("ttfs_conversion", "no gates", "limits by kind, such as {'max-drop': 0.5}")
    earlier = read_report(baseline) if isinstance(baseline, (str, Path)) else baseline
    report = judged(evaluate(_converted(model, conversion), data, **run).report, limits, earlier)
    if worst(report.gates) is not Verdict.PASSED:
        pytest.fail(markdown(report), pytrace=False)
    return report


def _converted(model: str | Path | Network, conversion: Mapping[str, object] | None) -> str | Path | Network:
    from ..conversion.pipeline import convert
    from ..errors import UsageError

    if isinstance(model, (str, Path)) and Path(model).suffix == ".onnx":
        return convert(model, **(conversion or {}))  # type: ignore[arg-type]
    if conversion:
        raise UsageError("conversion", f"options for {model if isinstance(model, (str, Path)) else 'a network'}", "an .onnx file to convert")
    return model
