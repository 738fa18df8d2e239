"""Keras on the torch backend; both variables are read when Keras is imported, which else writes to the home directory."""

import pytest


@pytest.fixture(scope="session")
def keras(tmp_path_factory):
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras_home")))
        yield pytest.importorskip("keras", minversion="3.8")


@pytest.fixture(scope="session")
def shim(keras):
    from ttfs_convert.shims import keras as shim

    return shim
