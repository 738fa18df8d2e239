"""Keras on the torch backend, and a small data set in the files of MNIST and Fashion-MNIST."""

import argparse
import importlib
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def keras(tmp_path_factory):
    """Both variables are read when Keras is imported, which else writes to the home directory."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras_home")))
        yield pytest.importorskip("keras", minversion="3.8")


@pytest.fixture(scope="session")
def shim(keras):
    from ttfs_convert.training import keras as shim

    return shim


@contextmanager
def scripts(folder: str, *names: str) -> Iterator[argparse.Namespace]:
    """Scripts of examples/`folder` as modules; they import each other by their plain names, which other folders have, too."""
    kept = {name: sys.modules.pop(name, None) for name in names}
    sys.path.insert(0, str(EXAMPLES / folder))
    try:
        yield argparse.Namespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(EXAMPLES / folder))
        for name, module in kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


@pytest.fixture(scope="module")
def paper():
    with scripts("paper", "architectures", "images", "recipe", "train", "table2", "table3", "silence") as modules:
        yield modules


@pytest.fixture
def squares(tmp_path):
    """A folder with 400 training and 60 test images of ten classes that differ by the position of a bright square."""
    for name, count in (("train", 400), ("t10k", 60)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = np.random.default_rng(count).integers(0, 60, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels):
            image[4 + 10 * (label // 5) : 12 + 10 * (label // 5), 5 * (label % 5) : 5 * (label % 5) + 7] += 180
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, count, 28, 28) + images.tobytes())
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, count) + labels.tobytes())
    return tmp_path


@pytest.fixture(autouse=True)
def one_thread():
    """Numba's OpenMP layer sets the number of threads for the whole process; small tensors on several threads mostly wait."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
