"""Every activation in a small network, in all engines: on grids step by step, and in continuous time."""

import functools

import numpy as np
import pytest

from tests.naive import fire_under
from tests.network.activations.twins import TWINS
from tests.simulation.agreement import potentials
from tests.test_naive_network import Build, conv, dense, sums_of
from ttfs_convert.errors import UsageError
from ttfs_convert.kernels.rounding import HALF
from ttfs_convert.measurement.engine_agreement import AT_A_TIE, EngineCheck
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import MaxPool, Spiking
from ttfs_convert.network.store import archive_of, load, save
from ttfs_convert.simulation.encoded_inputs import entries_of
from ttfs_convert.simulation.engines import simulate
