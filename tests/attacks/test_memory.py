"""Memory and work are known from sizes, and refused before anything is allocated."""

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from tests.attacks.conftest import assert_refused, run
from ttfs_convert import memory_bound
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.shared_options import Memory
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.errors import ModelError, UsageError
from ttfs_convert.memory_bound import at_most, in_words
from ttfs_convert.network.store import load
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.run_size import check_run, run_bytes, run_work


def test_the_bound_follows_the_smallest_limit(tmp_path, monkeypatch):
    group = tmp_path / "memory.max"
    monkeypatch.setattr(memory_bound, "_physical", lambda: 100 << 20)
    monkeypatch.setattr(memory_bound, "_of_process", lambda: 1 << 62)
    monkeypatch.setattr(memory_bound, "CONTROL_GROUPS", (tmp_path / "absent", group))
    group.write_text("max\n")
    assert memory_bound.memory_bound() == 75 << 20
    group.write_text(f"{40 << 20}\n")
    assert memory_bound.memory_bound() == 30 << 20
    with at_most(7):
        assert memory_bound.memory_bound() == 7
    assert memory_bound.memory_bound() == 30 << 20


def test_a_run_takes_what_its_sizes_say(small):
    network = load(small / "snn.npz")
    sizes = {layer.name: int(np.prod(layer.shape)) for layer in network.layers}
    weights = sum(step.weights.nbytes for layer in network.layers for each in getattr(layer, "connections", ()) for step in each.path if step.trained)
    fixed, each = run_bytes(network)
    assert fixed == 2 * weights
    spikes = sum(sizes.values()) + 3 * sizes[network.layers[-1].name] + 3 * sizes["x"] * (network.layers[0].coding == "direct")
    assert sum(sizes.values()) < each <= spikes + 3 * 4 * max(sizes.values())
    assert run_work(network) >= network.ann_macs


@pytest.mark.parametrize("engine", ("exact", "clock", "event"))
def test_no_engine_begins_what_is_too_large(small, engine):
    network, x = load(small / "snn.npz"), np.zeros((40, 2, 8, 8), np.float32)
    fixed, each = run_bytes(network)
    with at_most(fixed + each - 1), pytest.raises(ModelError, match="of memory for one sample"):
        simulate(network, x, engine)
    if engine == "exact":
        with at_most(fixed + 10 * each), pytest.raises(UsageError, match="set --batch 10"):
            simulate(network, x)
        with at_most(fixed + 40 * each):
            assert len(simulate(network, x).potentials) == 40


def test_work_is_bounded(small, monkeypatch):
    network = load(small / "snn.npz")
    check_run(network)
    monkeypatch.setattr("ttfs_convert.simulation.run_size.MAX_WORK", run_work(network) - 1)
    with pytest.raises(ModelError, match="synaptic operations a sample"):
        check_run(network)


def test_the_command_bounds_runs_and_files(small):
    snn, data = small / "snn.npz", small / "d.npz"
    assert_refused(run(snn, "--data", data, "--max-memory", "1K"), 3, "arrays of", "--max-memory")
    fixed, each = run_bytes(load(snn))
    little = ("--max-memory", str(fixed + each + (64 << 10)))
    assert_refused(run(snn, "--data", data, "--batch", "64", *little), 2, "batch", "--batch")
    assert run(snn, "--data", data, *little).exit_code == 0, "fewer at a time, where nobody asks for more"
    assert run(snn, "--data", data, "--limit", "4", "--max-memory", "100M").exit_code == 0
    for text in ("nothing", "-1", "0", "1e99"):
        assert run(snn, "--data", data, "--max-memory", text).exit_code == 2


def test_sizes_in_words():
    convert = lambda text: Memory().convert(text, None, None)  # noqa: E731
    assert [convert(text) for text in ("100", "2k", "1.5M", "8G", "8GiB", "1TB")] == [100, 2048, 3 << 19, 8 << 30, 8 << 30, 1 << 40]
    assert [in_words(size) for size in (5, 2048, 3 << 20, 8 << 30, 16 << 40)] == ["5 bytes", "2 KiB", "3 MiB", "8 GiB", "16 TiB"]


@pytest.mark.parametrize(
    "attributes", ({"dilations": [2**40, 1], "pads": [2**40, 1, 2**40, 1]}, {"pads": [2**20, 1, 2**20, 1]}, {"pads": [2**33, 1, 2**33, 1]})
)
def test_a_valid_model_that_asks_for_terabytes_is_refused_before_anything_is_written(tmp_path, attributes):
    nodes = [helper.make_node("Conv", ["x", "w"], ["z"], **attributes), helper.make_node("Clip", ["z", "lo", "hi"], ["y"])]
    values = {"w": np.ones((2, 1, 3, 3), np.float32), "lo": np.float32(0), "hi": np.float32(1)}
    ends = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in (("x", ["n", 1, 8, 8]), ("y", ["n", 2, "h", "v"])))
    graph = helper.make_graph(nodes, "huge", *ends, [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()])
    model, out = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "snn.npz"
    onnx.save(model, tmp_path / "model.onnx")
    result = CliRunner().invoke(convert_main, [str(tmp_path / "model.onnx"), "--out", str(out), "--mode", "unchecked"])
    assert result.exit_code == 3 and result.output.count("\n") == 1 and not out.exists(), result.output
    with pytest.raises(ModelError):
        convert(model, mode="unchecked")


@pytest.mark.parametrize("batch", (1 << 31, (1 << 63) - 1))
def test_a_batch_that_no_memory_holds_is_refused(tmp_path, batch):
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 784]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="for the batch that it declares"):
        convert(tmp_path / "m.onnx")
