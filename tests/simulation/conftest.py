import numba
import pytest


@pytest.fixture(autouse=True)
def _one_thread():
    """The networks are so small that handing work to a second thread costs more than the work."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)
