"""A network is checked whole however Python code makes it: by constructors, copies, or copies of its parts."""

import numpy as np
import pytest
from pydantic import ValidationError

from ttfs_convert.errors import ModelError
from ttfs_convert.network.network import Network
from ttfs_convert.network.store import load


@pytest.fixture(scope="module")
def network(small) -> Network:
    return load(small / "snn.npz")


def test_copies_of_steps_are_checked(network):
    step = network.layers[1].connections[0].path[0]
    for update in ({"strides": (2**62, 1)}, {"in_shape": (4, 4, 2)}, {"weights": step.weights[:1]}, {"weights": step.weights * np.float32(np.nan)}):
        with pytest.raises(ModelError, match="Conv 'conv': "):
            step.model_copy(update=update)


def test_copies_of_networks_are_checked(network):
    readout = network.layers[-1]
    with pytest.raises(ModelError, match="Readout"):
        readout.model_copy(update={"index": np.array([0.5])})
    wrong = readout.model_copy(update={"index": readout.index + 1})  # it is whole by itself
    with pytest.raises(ModelError, match=r"Network 'small': .* a broken index"):
        network.model_copy(update={"layers": (*network.layers[:-1], wrong)})
    with pytest.raises(ValidationError, match="a broken index"):
        Network.model_construct(**{**dict(network), "layers": (*network.layers[:-1], wrong)})


def test_copies_that_fit_are_what_they_were(network):
    other = network.model_copy(update={"steps": 7})
    assert other.steps == 7 and network.steps == 50 and other.layers[1] is network.layers[1]
