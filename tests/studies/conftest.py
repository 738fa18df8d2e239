"""What the tests of tunings share."""

import pytest

from ttfs_convert.studies import setting


@pytest.fixture
def parts(monkeypatch):
    """The data sets that a tuning compares on: the part that chooses, the part that judges."""
    seen = []

    class Seeing(setting.Comparison):
        def __init__(self, network, data, *arguments, **options):
            seen.append(data)
            super().__init__(network, data, *arguments, **options)

    monkeypatch.setattr(setting, "Comparison", Seeing)
    return seen
