"""The trained example keeps its promises, and the public verbs work as the README shows them."""

import os
import runpy
from pathlib import Path

import numpy as np
import pytest

import ttfs_convert
from ttfs_convert.data import load_dataset
from ttfs_convert.measurement.engine_agreement import AT_A_TIE

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "fashion_mnist"


@pytest.fixture(scope="module")
def network():
    return ttfs_convert.convert(EXAMPLE / "model.onnx")


@pytest.fixture(scope="module")
def full_test_set():
    if "TTFS_DATA" not in os.environ:
        pytest.skip("TTFS_DATA does not say where Fashion-MNIST is")
    return load_dataset("fashion-mnist")


def test_fifty_steps_on_all_test_images(network, full_test_set):
    report = ttfs_convert.evaluate(network, full_test_set, verify=10_000).report
    assert report.data.samples == report.compared_samples == 10_000
    assert (report.engine.checked, report.engine.checked_samples) == ("clock", 10_000), "every step of every neuron was simulated"
    assert report.engine.differing <= 1e-5 * report.engine.neurons and report.engine.farthest <= AT_A_TIE
    assert report.ann.accuracy >= 0.905
    assert report.drift.agreement >= 0.995
    assert abs(report.drift.accuracy_pp) <= 0.15
    assert report.drift.ci95_pp[0] <= 0 <= report.drift.ci95_pp[1]


def test_continuous_time_on_all_test_images(network, full_test_set):
    evaluation = ttfs_convert.evaluate(network.model_copy(update={"steps": None}), full_test_set)
    assert evaluation.report.drift.agreement >= 0.9999
    spiking = [layer for layer in evaluation.report.layers if layer.slope]
    assert len(spiking) == 6 and all(layer.max_error <= 1e-5 for layer in spiking)
    assert evaluation.layer_errors.first_out_of_tolerance() is None and evaluation.layer_errors.not_compared() == []


def test_the_trained_resnet_is_converted_without_loss(tmp_path):
    network = ttfs_convert.convert(ROOT / "examples" / "paper" / "resnet20.onnx")
    assert network.mode == "strict" and network.windows == 20
    with np.load(EXAMPLE / "images.npz") as archive:
        padded = np.pad(archive["x"][:200], ((0, 0), (2, 2), (2, 2)))
        np.savez(tmp_path / "images.npz", x=padded, y=archive["y"][:200])
    images = load_dataset(str(tmp_path / "images.npz"))
    continuous = ttfs_convert.evaluate(network.with_steps(None), images)
    assert continuous.report.drift.agreement == 1 and continuous.layer_errors.first_out_of_tolerance() is None
    assert continuous.layer_errors.not_compared() == []
    assert ttfs_convert.evaluate(network, images).report.drift.agreement >= 0.98


@pytest.fixture(scope="module")
def pictures():
    """200 images, calibrated on too, so that no value lies beyond its range: what is tested is exactness."""
    with np.load(EXAMPLE / "images.npz") as archive:
        return archive["x"][:200, None].astype(np.float32) / 255, archive["y"][:200]


@pytest.mark.parametrize("slope", ("gated", "reference"))
@pytest.mark.parametrize("name", ("fashion_mnist/resnet", "fashion_mnist/mobilenet", "mnist/autoencoder"))
def test_ordinary_networks_are_exact_in_continuous_time(name, slope, pictures):
    network = ttfs_convert.convert(ROOT / "examples" / f"{name}.onnx", mode="exact", slope=slope, steps=None, calibrate=pictures)
    evaluation = ttfs_convert.evaluate(network, pictures)
    errors, (output,) = evaluation.layer_errors, evaluation.report.outputs
    assert errors.not_compared() == [] and errors.first_out_of_tolerance() is None and errors.first_cut_off() is None
    low, high = output.range
    assert output.max_error <= 1e-4 * (high - low)


def test_an_autoencoder_is_judged_by_its_pictures(pictures):
    x, _ = pictures
    network = ttfs_convert.convert(ROOT / "examples" / "mnist" / "autoencoder.onnx", mode="exact", calibrate=x)
    continuous, steps = (ttfs_convert.evaluate(each, (x, x)).report for each in (network.with_steps(None), network))
    assert continuous.outputs[0].psnr > 100 > steps.outputs[0].psnr > 25
    assert continuous.outputs[0].rule.startswith("no labels") and continuous.drift.agreement is None
    assert continuous.ann.mean_squared_error == pytest.approx(continuous.snn.mean_squared_error, rel=1e-4)


def test_every_public_name_resolves():
    for name in ttfs_convert.__all__:
        assert getattr(ttfs_convert, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ttfs_convert.nothing


def test_broken_inputs_from_python(network):
    with pytest.raises(ttfs_convert.DataError, match=r"shape \(2, 28, 28\); expected \(n, 1, 28, 28\)"):
        ttfs_convert.run(network, np.zeros((2, 28, 28), np.float32))
    with pytest.raises(ttfs_convert.DataError, match="values from 0 to 2; expected 0 to 1"):
        ttfs_convert.run(network, np.eye(28, dtype=np.float32)[None, None] * 2)
    with pytest.raises(ttfs_convert.UsageError, match="rounding"):
        ttfs_convert.convert(EXAMPLE / "model.onnx", rounding="floor")


def test_an_original_that_is_not_there(network):
    with pytest.raises(ttfs_convert.ModelError, match="nowhere.onnx"):
        ttfs_convert.evaluate(network, str(EXAMPLE / "images.npz"), onnx_file="nowhere.onnx")


def test_splitting_a_batch_changes_no_bit(network):
    with np.load(EXAMPLE / "images.npz") as archive:
        x = archive["x"][:9, None].astype(np.float32) / 255
    whole = ttfs_convert.run(network, x)
    parts = [ttfs_convert.run(network, part) for part in (x[:1], x[1:4], x[4:])]
    np.testing.assert_array_equal(whole.potentials, np.concatenate([part.potentials for part in parts]))
    for name, times in whole.spike_times.items():
        np.testing.assert_array_equal(times, np.concatenate([part.spike_times[name] for part in parts]))


def test_the_papers_autoencoder_rebuilds_digits():
    """Section V-A of the paper: its network and its count of operations, on the digits that ship."""
    pytest.importorskip("skimage")
    network = ttfs_convert.convert(ROOT / "examples" / "mnist" / "autoencoder.onnx")
    digits = ROOT / "examples" / "mnist" / "images.npz"
    steps, continuous = (ttfs_convert.evaluate(network, digits, steps=steps, task="reconstruction").report for steps in (50, None))
    assert network.mode == "strict" and steps.energy.paper.p_proxy == 581_184 and steps.data.samples == 40
    assert steps.ann.psnr > 18 and abs(steps.drift.psnr_db) <= 0.1 and abs(steps.drift.ssim) <= 0.002
    assert abs(continuous.drift.psnr_db) <= 1e-3 and abs(continuous.drift.ssim) <= 1e-4


def test_the_table_of_the_autoencoder(capsys):
    pytest.importorskip("skimage")
    folder = ROOT / "examples" / "mnist"
    runpy.run_path(str(folder / "table4.py"))["main"](["--data", str(folder / "images.npz")])
    lines = capsys.readouterr().out.splitlines()
    names = ["ANN", "SNN, 50 steps", "SNN, 32 steps", "SNN, 16 steps", "SNN, continuous time", "the paper's ANN, full MNIST", "the paper's SNN"]
    assert lines[0] == "images.npz, 40 pictures" and [line.split(" | ")[0].lstrip("| ") for line in lines[4:]] == names and "| 581,184 |" in lines[5]


def test_the_table_of_the_autoencoder_is_the_same_everywhere():
    """In its README and in the evidence; the training's log ends with its figures."""
    shown, proven, log = (
        (ROOT / path).read_text() for path in ("examples/mnist/README.md", "docs/evidence.md", "examples/mnist/train_autoencoder.log")
    )
    table = shown[shown.index("| autoencoder | PSNR") : shown.index("\n\nPSNR and SSIM are means")]
    assert table in proven
    for name, line in zip(("50 steps", "continuous time"), log.splitlines()[-2:]):
        ann, snn = (next(row for row in table.splitlines() if row.startswith(f"| {start} ")).split(" | ")[1:3] for start in ("ANN", f"SNN, {name}"))
        assert line == f"2,000 test images, {name}: ANN PSNR {ann[0]} dB, SSIM {ann[1]}; SNN {snn[0]} dB, {snn[1]}"


@pytest.fixture(scope="module")
def digits():
    """All test digits of the subset that the autoencoder was judged on."""
    folder = Path(os.environ.get("TTFS_DATA", ".")) / "mnist-10k"
    if not folder.is_dir():
        pytest.skip("TTFS_DATA does not say where the subset of MNIST is")
    return load_dataset("mnist", data_dir=folder)


def test_the_autoencoder_on_all_test_digits(digits):
    network = ttfs_convert.convert(ROOT / "examples" / "mnist" / "autoencoder.onnx")
    report = ttfs_convert.evaluate(network, digits, task="reconstruction").report
    assert (f"{report.ann.psnr:.2f}", f"{report.snn.psnr:.2f}") == ("19.78", "19.75") and abs(report.drift.ssim) <= 0.002
