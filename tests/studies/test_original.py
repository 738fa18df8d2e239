"""The original with its weights in a folder: the same figures, memory given back, nothing left behind."""

import gc
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.models import Chain, converted, dataset
from ttfs_convert.errors import ModelError, UsageError
from ttfs_convert.studies import comparison as comparisons
from ttfs_convert.studies import original
from ttfs_convert.studies.comparison import Comparison
from ttfs_convert.studies.evaluation import evaluate
from ttfs_convert.studies.original import folder_for_weights, original_model

CHAIN = Chain((2, 8, 8), seed=4).conv(12, pads=[1] * 4).relu1().conv(12, pads=[1] * 4).relu1().readout(4)
IMAGES = CHAIN.images(11)


@pytest.fixture(scope="module")
def network():
    return converted(CHAIN.model(), mode="unchecked")


@pytest.fixture
def folders(monkeypatch) -> list[Path]:
    """Every model counts as large; the folders that were made."""
    made = []
    monkeypatch.setattr(original, "LARGE", 0)
    monkeypatch.setattr(comparisons, "folder_for_weights", lambda *arguments: made.append(folder_for_weights(*arguments)) or made[-1])
    return made


def test_no_figure_depends_on_where_the_weights_are(network, folders):
    apart = evaluate(network, dataset(IMAGES), threads=1).report
    assert folders[0] is not None
    original.LARGE = 1 << 40
    inside = evaluate(network, dataset(IMAGES), threads=1).report
    assert folders[1] is None
    hidden = {"timing", "tool"}
    assert apart.model_dump(exclude=hidden) == inside.model_dump(exclude=hidden)


def test_the_folder_lasts_as_long_as_the_comparison(network, folders):
    comparison = Comparison(network, dataset(IMAGES), threads=1)
    (folder,) = folders
    assert (folder / "weights.bin").stat().st_size > 4 * 2 * 12 * 9
    assert all(len(tensor.raw_data) <= 1024 for tensor in comparison.model.graph.initializer)
    del comparison
    gc.collect()
    assert not folder.exists()


def test_a_file_of_its_own(network, tmp_path, folders):
    onnx.save(CHAIN.model(), str(tmp_path / "model.onnx"))
    bare = network.changed(onnx=None)
    folder = tmp_path / "weights"
    folder.mkdir()
    with pytest.raises(UsageError, match="not inside"):
        original_model(bare, None, folder)
    other = Chain((2, 8, 8), seed=5).conv(3).relu1().readout(4).model()
    onnx.save(other, str(tmp_path / "other.onnx"))
    with pytest.raises(ModelError, match="SHA-256"):
        original_model(bare, tmp_path / "other.onnx", folder)


def test_closed_sessions_are_not_run(network, folders):
    comparison = Comparison(network, dataset(IMAGES), threads=1)
    tapped = comparison.reference(comparison.model, ["nothing"])
    x = comparison.inputs(slice(0, 2))
    assert np.isfinite(next(iter(tapped(x).values()))).all()
    comparison.close()
    for each in (comparison.original, tapped):
        with pytest.raises(RuntimeError, match="closed"):
            each(x)


def test_a_folder_that_is_gone_is_one_line(network, folders, monkeypatch):
    monkeypatch.setattr(comparisons, "folder_for_weights", lambda network, owner: Path("/nowhere/at/all"))
    with pytest.raises(Exception, match="cannot be written") as caught:
        Comparison(network, dataset(IMAGES), threads=1)
    assert "TMPDIR" in str(caught.value)
