"""`ttfs-inspect` as its users see it: what would become of a model, what a network file holds, errors and exit codes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from tests.models import Chain, save
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.inspect import main
from ttfs_convert.lowering.operators.table import NO_REMEDY
from ttfs_convert.measurement.operation_counts import paper, spiking_mac_share, synaptic
from ttfs_convert.network.populations import neurons
from ttfs_convert.network.store import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist" / "model.onnx"


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def inspected(path, code=0):
    """What --json - writes, after the same with tables has ended with the same exit code and written nothing."""
    files = {file: file.stat().st_mtime_ns for file in path.parent.rglob("*")}
    tables, result = run(path), run(path, "--json", "-")
    assert tables.exit_code == result.exit_code == code, tables.output
    assert tables.stdout and bool(tables.stderr) == bool(code) and "\x1b" not in tables.stdout
    assert {file: file.stat().st_mtime_ns for file in path.parent.rglob("*")} == files
    return tables.stdout, json.loads(result.stdout)


def verdict(tables: str, mode: str) -> str:
    (line,) = (line for line in tables.splitlines() if line.strip().startswith(f"mode {mode} "))
    return line.strip().removeprefix(f"mode {mode}").strip()


def lossless() -> Chain:
    """Two layers that keep the paper's constraints, and a readout."""
    return Chain((6,), seed=1).gemm(8).relu1().gemm(7).relu1().readout(3)


def relu() -> Chain:
    return Chain((6,), seed=3).gemm(8, total=2).add("Relu").gemm(7).add("Relu").readout(3)


# Models


def test_a_model_that_every_mode_converts(tmp_path):
    path = save(lossless().model(), tmp_path)
    tables, content = inspected(path)
    assert [verdict(tables, mode) for mode in ("strict", "exact", "unchecked")] == ["yes"] * 3
    assert "Layers in mode strict" in tables and "Not lossless" not in tables and "Unsupported" not in tables
    for text in ("x: batch x 6", "batch x 3", "100.0 % of them", "gemm0", "(exempt)"):
        assert text in tables
    assert content["onnx_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and content["name"] == "model"
    assert content["inputs"] == {"x": ["batch", 6]} and list(content["outputs"].values()) == [["batch", 3]] and content["opset"] == 17
    assert content["ann_macs"] == 6 * 8 + 8 * 7 + 7 * 3 and content["spiking_mac_share"] == 1
    assert content["layers_of_mode"] == "strict"
    assert [layer["slope"] for layer in content["layers"]] == [None, "fan_in", "fan_in", None]
    nothing = {"converts": True, "verdict": "yes", "unsupported": [], "violations": [], "calibrate": []}
    assert content["modes"] == dict.fromkeys(("strict", "exact", "unchecked"), nothing)


def test_layers_are_those_that_conversion_makes(tmp_path):
    options = ("--out", str(tmp_path / "snn.npz"), "--json", str(tmp_path / "snn.json"))
    assert CliRunner().invoke(convert_main, [str(EXAMPLE), *options]).exit_code == 0
    converted = json.loads((tmp_path / "snn.json").read_text())
    (tmp_path / "model.onnx").write_bytes(EXAMPLE.read_bytes())
    _, content = inspected(tmp_path / "model.onnx")
    assert all(layer.pop("steps") == 50 for layer in converted["layers"])
    assert content["layers"] == converted["layers"] and content["layers_of_mode"] == "strict"
    for field in ("name", "onnx_sha256", "ann_macs", "spiking_mac_share"):
        assert content[field] == converted[field]


def test_a_model_that_needs_calibration(tmp_path):
    tables, content = inspected(save(relu().model(), tmp_path))
    assert verdict(tables, "strict").startswith("no: 2 layers outside the paper's constraints")
    assert verdict(tables, "exact").startswith("yes, with --calibrate DATA: the range of 2 layers")
    assert verdict(tables, "unchecked").startswith("yes, not lossless: 2 layers")
    assert "Layers in mode exact" in tables and content["layers_of_mode"] == "exact"
    assert [layer["slope"] for layer in content["layers"]] == [None, "gated", "gated", None]
    modes = content["modes"]
    assert [modes[mode]["converts"] for mode in ("strict", "exact", "unchecked")] == [False, True, True]
    assert modes["exact"]["calibrate"] == ["gemm0", "gemm2"] and not modes["strict"]["calibrate"] and not modes["exact"]["violations"]


def test_violations_are_those_that_strict_mode_refuses(tmp_path):
    path = save(relu().model(), tmp_path)
    tables, content = inspected(path)
    result = CliRunner().invoke(convert_main, [str(path), "--out", str(tmp_path / "snn.npz"), "--mode", "unchecked"])
    assert result.exit_code == 0
    violations = [violation.model_dump() for violation in load(tmp_path / "snn.npz").violations]
    assert content["modes"]["strict"]["violations"] == content["modes"]["unchecked"]["violations"] == violations
    assert {(violation["layer"], violation["problem"]) for violation in violations} == {
        ("gemm0", "activation is ReLU, not ReLU1"),
        ("gemm0", "weight sum is not 1"),
        ("gemm2", "activation is ReLU, not ReLU1"),
    }
    (worst,) = (violation for violation in violations if violation["worst"])
    assert worst["worst"] == pytest.approx(1, abs=1e-5) and worst["neurons"] == 8
    for text in ("Not lossless", "activation is ReLU, not ReLU1", "weight sum is not 1", "train with ReLU1 (clamp to [0, 1])"):
        assert text in tables


def test_a_range_that_is_not_known_is_not_shown(tmp_path):
    _, content = inspected(save(relu().model(), tmp_path))
    assert content["layers"][1]["range"] is None


def test_unsupported_nodes_are_all_listed_with_what_to_do(tmp_path):
    chain = Chain((6,)).gemm(8).relu1().gemm(7).add("Sinh").gemm(5).add("Asinh").readout(3)
    tables, content = inspected(save(chain.model(), tmp_path), code=3)
    expected = [
        {"node": "sinh3", "operator": "Sinh", "why": f"{NO_REMEDY[0]}: it is not linear in its input", "remedy": NO_REMEDY[1]},
        {"node": "asinh5", "operator": "Asinh", "why": NO_REMEDY[0], "remedy": NO_REMEDY[1]},
    ]
    words = " ".join(tables.split())
    for mode in ("strict", "exact", "unchecked"):
        assert content["modes"][mode]["unsupported"] == expected and not content["modes"][mode]["converts"]
        assert verdict(tables, mode) == "no: 2 nodes without a spiking form"
    for node in expected:
        assert " ".join(node[part] for part in ("operator", "why", "remedy", "node")) in words
    assert content["operators"]["Asinh"] == content["operators"]["Sinh"] == 1
    assert [layer["name"] for layer in content["layers"]] == ["x", "gemm0"]  # what could be lowered


def test_the_share_of_macs_counts_the_layers_that_were_lowered(tmp_path):
    chain = Chain((2, 6, 6)).conv(3).relu1().add("Flatten").gemm(10).add("Asinh").readout(4)
    tables, content = inspected(save(chain.model(), tmp_path), code=3)
    macs = {"conv": 3 * 4 * 4 * 2 * 9, "gemm": 48 * 10, "readout": 10 * 4}
    assert content["ann_macs"] == sum(macs.values())
    assert content["spiking_mac_share"] == pytest.approx(macs["conv"] / sum(macs.values()))
    assert f"{content['ann_macs']:,}, {100 * content['spiking_mac_share']:.1f} % of them" in tables


def test_an_output_whose_rows_are_folded_into_the_batch(tmp_path):
    tables, content = inspected(save(Chain((4, 6)).add("Reshape", np.array([-1, 6])).gemm(3).model(), tmp_path))
    for mode in ("strict", "exact", "unchecked"):
        assert verdict(tables, mode) == "yes" and content["modes"][mode]["converts"] and not content["modes"][mode]["unsupported"]
    assert content["inputs"] == {"x": ["batch", 4, 6]}
    assert [layer["shape"] for layer in content["layers"]] == [[4, 6], [4, 3]]


def test_a_tail_and_shapes_of_a_fixed_batch(tmp_path):
    model = lossless().add("Softmax").model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model.graph.output[0].type.tensor_type.shape.dim[1].Clear()
    _, content = inspected(save(model, tmp_path))
    assert content["inputs"] == {"x": [1, 6]} and list(content["outputs"].values()) == [["batch", "?"]]
    assert content["operators"]["Softmax"] == 1 and content["layers"][-1]["kind"] == "readout"


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_weights_that_are_not_finite(tmp_path, weight):
    model = lossless().model()
    array = numpy_helper.to_array(model.graph.initializer[0]).copy()
    array[0, 0] = weight
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, model.graph.initializer[0].name))
    result = run(save(model, tmp_path))
    assert result.exit_code == 3 and "not finite" in result.output


def test_external_data(tmp_path):
    onnx.save(lossless().model(), tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    _, content = inspected(tmp_path / "model.onnx")
    (tmp_path / "weights.bin").unlink()
    assert content["modes"]["strict"]["converts"]
    assert_refused(run(tmp_path / "model.onnx"), "external data cannot be read")


# Networks


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Networks of every mode and slope, by name, and their files."""
    folder = tmp_path_factory.mktemp("networks")
    np.savez(folder / "images.npz", x=relu().images(30))
    exact = ("--mode", "exact", "--calibrate", folder / "images.npz")
    cases = {
        "strict": (lossless(), "--no-embed", "--rounding", "ceil"),
        "unchecked": (relu(), "--mode", "unchecked", "--steps", "9"),
        "gated": (relu(), *exact),
        "reference": (relu().add("Softmax"), *exact, "--slope", "reference", "--steps", "continuous"),
        "percentile": (relu(), *exact, "--method", "99.5", "--calibration-limit", "20", "--pooling", "spiking"),
    }
    for name, (chain, *options) in cases.items():
        arguments = [save(chain.model(), folder), "--out", folder / f"{name}.npz", "--json", folder / f"{name}.json", *options]
        result = CliRunner().invoke(convert_main, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
    return folder


@pytest.mark.parametrize("name", ["strict", "unchecked", "gated", "reference", "percentile"])
def test_what_a_network_file_holds(networks, name):
    path = networks / f"{name}.npz"
    network = load(path)
    tables, content = inspected(path)
    assert content == json.loads((networks / f"{name}.json").read_text())  # the same as ttfs-convert writes
    for count, expected in (("paper", paper(network)), ("synaptic", synaptic(network))):
        assert content["counts"][count] == {"synops": expected.synops, "neuronops": expected.neuronops, "p_proxy": expected.p_proxy}
        row = next(line.split() for line in tables.splitlines() if line.split()[:1] == [count])
        p_proxy, neuronops = ("-" if value is None else f"{value:,}" for value in (expected.p_proxy, expected.neuronops))
        assert row[1:] == [p_proxy, f"{expected.synops:,}", neuronops]
    assert content["onnx_sha256"] == network.onnx_sha256 and content["embedded"] == (network.onnx is not None)
    assert content["spiking_mac_share"] == spiking_mac_share(network) == 1 and content["windows"] == 3
    for text in (
        network.onnx_sha256,
        f"{path.stat().st_size:,} bytes, format {network.format_version}",
        "100.0 %",
        f"mode {network.mode}, slope {network.slope}, pooling {network.pooling}",
        f"{sum(map(neurons, network.layers)):,}",
    ):
        assert text in tables


@pytest.mark.parametrize(
    "name, present, absent",
    [
        ("strict", ("not embedded", "50 steps per window, rounding ceil; latency 150 steps", "fan_in"), ("samples of",)),
        ("unchecked", (", embedded", "9 steps per window, rounding nearest; latency 27 steps"), ("samples of",)),
        ("gated", ("30 samples of images.npz, maximum + 10 %", "slope gated, pooling synaptic"), ("behind the readout",)),
        ("reference", ("30 samples of images.npz", "slope reference", "continuous", "run by ONNX Runtime behind"), ("latency",)),
        ("percentile", ("20 samples of images.npz, 99.5\n", "pooling spiking"), ("maximum",)),
    ],
)
def test_provenance_in_words(networks, name, present, absent):
    tables = run(networks / f"{name}.npz").stdout
    for text in present:
        assert text in tables
    for text in absent:
        assert text not in tables


# Errors


def assert_refused(result, *fragments):
    assert result.exit_code == 3 and not result.stdout
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    for fragment in fragments:
        assert fragment in line


@pytest.mark.parametrize(
    "name, content",
    [
        ("text.onnx", b"no model\nat all\n"),
        ("empty.onnx", b""),
        ("empty.npz", b""),
        ("random.npz", np.random.default_rng(0).bytes(500)),
        ("zip.npz", None),
        ("start.npz", b"PK"),
        ("cut.npz", 100),
        ("end.npz", -1),
        ("cut.onnx", EXAMPLE.read_bytes()[:10_000]),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json", "-")])
def test_garbage_gives_one_line(networks, tmp_path, name, content, options):
    path = tmp_path / name
    if content is None:
        np.savez(path, x=np.ones(3))
    else:
        path.write_bytes((networks / "gated.npz").read_bytes()[:content] if isinstance(content, int) else content)
    assert_refused(run(path, *options), name)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_and_an_absent_file_are_usage_errors(tmp_path):
    """As for the other commands: click looks at arguments before any of ours is read."""
    for path, text in ((tmp_path, "is a directory"), (tmp_path / "none.onnx", "does not exist")):
        result = run(path)
        assert result.exit_code == 2 and text in result.stderr


def test_json_to_a_file_writes_that_file_alone(networks, tmp_path):
    model = save(lossless().model(), tmp_path)
    for path in (model, networks / "gated.npz"):
        before = {*tmp_path.iterdir(), *networks.iterdir()}
        result = run(path, "--json", tmp_path / f"{path.stem}.json")
        assert result.exit_code == 0 and result.stdout == run(path).stdout
        assert {*tmp_path.iterdir(), *networks.iterdir()} - before == {tmp_path / f"{path.stem}.json"}
        assert json.loads((tmp_path / f"{path.stem}.json").read_text()) == json.loads(run(path, "--json", "-").stdout)


def test_json_of_a_model_that_does_not_convert_is_written_too(tmp_path):
    model = save(Chain((6,)).gemm(8).add("Asinh").readout(3).model(), tmp_path)
    assert run(model, "--json", tmp_path / "report.json").exit_code == 3
    assert not any(mode["converts"] for mode in json.loads((tmp_path / "report.json").read_text())["modes"].values())


def test_json_where_nothing_can_be_written(tmp_path):
    model = save(lossless().model(), tmp_path)
    for target in (tmp_path, tmp_path / "none" / "report.json"):
        result = run(model, "--json", target)
        assert result.exit_code == 2 and "cannot be written" in result.stderr and not result.stdout
    assert list(tmp_path.iterdir()) == [model]
