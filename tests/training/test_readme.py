"""The README's training snippets, run as they stand; what they export converts."""

import re
from pathlib import Path

import numpy as np
import pytest

from ttfs_convert.conversion.pipeline import convert

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of PyTorch's exporters


def snippet(module: str) -> str:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (found,) = (code for code in re.findall(r"```python\n(.*?)```", readme, re.S) if f"from {module} import" in code)
    return found


def test_pytorch(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from ttfs_convert.training.torch import ReLU1

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), ReLU1(), torch.nn.Linear(8, 3))
    exec(
        snippet("ttfs_convert.training.torch"),
        {
            "model": model,
            "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
            "cross_entropy": torch.nn.functional.cross_entropy,
            "batches": [(torch.rand(5, 6), torch.randint(3, (5,))) for _ in range(3)],
        },
    )
    assert len(convert(tmp_path / "model.onnx").layers) == 3


def test_keras(keras, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    exec(snippet("ttfs_convert.training.keras"), {"x": np.random.default_rng(0).random((40, 28, 28, 1), np.float32), "y": np.arange(40) % 10})
    network = convert(tmp_path / "model.onnx")
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "spiking", "readout"] and not network.violations
