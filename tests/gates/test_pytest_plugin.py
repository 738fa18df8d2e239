"""The fixture `ttfs_conversion`, in a test suite of its own."""

import numpy as np
import pytest

from tests.models import Chain, save

pytest_plugins = ("pytester",)


@pytest.fixture
def suite(pytester):
    """A folder with model.onnx and data.npz, where the plugin is loaded as an installation loads it."""
    chain = Chain((2, 6, 6)).conv(3).relu1().readout(3)
    save(chain.model(), pytester.path)
    np.savez(pytester.path / "data.npz", x=chain.images(40))
    pytester.makeconftest("from ttfs_convert.gates.pytest_plugin import ttfs_conversion")
    return pytester


def test_outcomes(suite):
    suite.makepyfile(
        """
        def test_good(ttfs_conversion):
            report = ttfs_conversion("model.onnx", "data.npz", {"max-latency": 40}, conversion={"steps": 20})
            assert report.gates[0].outcome == "passed" and report.model.steps == 20

        def test_bad(ttfs_conversion):
            ttfs_conversion("model.onnx", "data.npz", {"max-latency": 39}, conversion={"steps": 20})

        def test_undecided(ttfs_conversion):
            ttfs_conversion("model.onnx", "data.npz", {"min-agreement": 100}, conversion={"steps": None})
        """
    )
    result = suite.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        ["### TTFS conversion of *: ❌ failed", "*max-latency 39 steps*40 steps*", "No gate failed, but this sample is too small to decide*"]
    )


def test_what_the_fixture_refuses(suite):
    suite.makepyfile(
        """
        import pytest
        from ttfs_convert import UsageError

        def test_no_gates(ttfs_conversion):
            with pytest.raises(UsageError, match="no gates"):
                ttfs_conversion("model.onnx", "data.npz", {})

        def test_unknown(ttfs_conversion):
            with pytest.raises(UsageError, match="key 'max-lat'"):
                ttfs_conversion("model.onnx", "data.npz", {"max-lat": 1})

        def test_options_of_a_conversion_that_was(ttfs_conversion):
            with pytest.raises(UsageError, match="an .onnx file to convert"):
                ttfs_conversion("snn.npz", "data.npz", {"max-latency": 1}, conversion={"steps": 5})
        """
    )
    suite.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider").assert_outcomes(passed=3)
