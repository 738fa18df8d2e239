"""Files of spike times: what NumPy finds in them, and that they come whole or not at all."""

import dataclasses
import functools
import gc
import json
import os
import zipfile

import numpy as np
import pytest

from tests.models import Chain, converted, dataset
from tests.simulation.networks import case
from tests.test_naive_network import Build, dense
from ttfs_convert.errors import DataError, TtfsError, UsageError
from ttfs_convert.simulation import spike_file
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.spike_file import SpikeWriter, load_spikes
from ttfs_convert.simulation.threads import numba_threads
from ttfs_convert.studies import evaluation

evaluate = functools.partial(evaluation.evaluate, threads=1)
MODEL = Chain((2, 6, 6)).conv(3, pads=[1] * 4).relu1().add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
MODEL.conv(4, (2, 2)).relu1().readout(3)
IMAGES = MODEL.images(11)


@pytest.fixture(autouse=True)
def one_thread():
    with numba_threads(1):
        yield


@pytest.fixture(scope="module")
def network():
    return converted(MODEL.model(), mode="strict", steps=30)


def opened(path):
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize(
    "engine, threshold, steps, dtype",
    (
        ("exact", "dynamic", 30, np.uint8),
        ("exact", "dynamic", 300, np.uint16),
        ("exact", "dynamic", None, np.float32),
        ("clock", "dynamic", 30, np.uint8),
        ("clock", "dynamic", 300, np.uint16),
        ("event", "dynamic", 30, np.float32),
        ("clock", "fixed", 30, np.float32),
        ("event", "fixed", None, np.float32),
    ),
)
def test_a_file_holds_the_recording_of_all_images(network, tmp_path, engine, threshold, steps, dtype):
    """Written in batches, equal to a run over all images at once; NumPy opens it without pickles."""
    network, path = network.with_steps(steps), tmp_path / "spikes.npz"
    evaluate(network, dataset(IMAGES), batch=4, engine=engine, threshold=threshold, spikes=path)
    expected, found = simulate(network, IMAGES, engine, threshold), opened(path)
    assert set(found) == {"about", *(f"spikes/{layer.name}" for layer in network.layers[:-1]), f"potentials/{MODEL.at}"}
    for name, times in expected.spike_times.items():
        assert found[f"spikes/{name}"].dtype == times.dtype == dtype
        np.testing.assert_array_equal(found[f"spikes/{name}"], times)
    np.testing.assert_array_equal(found[f"potentials/{MODEL.at}"], expected.potentials)
    assert found[f"potentials/{MODEL.at}"].dtype == np.float32
    loaded, about = load_spikes(path)
    assert {name: loaded.steps[name] for name in expected.spike_times} == {name: expected.steps[name] for name in expected.spike_times}
    for name in expected.spike_times:
        np.testing.assert_array_equal(loaded.activations(name), expected.activations(name))
        np.testing.assert_array_equal(loaded.missing(name), expected.missing(name))
    np.testing.assert_array_equal(loaded.potentials, expected.potentials)
    assert np.isnan(found[f"spikes/{network.layers[1].name}"]).any() if threshold == "fixed" else not loaded.missing("x").any()
    assert (about["engine"], about["threshold"]) == (engine, threshold)


def test_a_file_says_what_it_is_of(network, tmp_path):
    data = dataset(IMAGES)
    evaluate(network, data, spikes=tmp_path / "spikes.npz")
    about = json.loads(str(opened(tmp_path / "spikes.npz")["about"]))
    layers = about.pop("layers")
    assert [(layer["name"], layer["shape"]) for layer in layers] == [(layer.name, list(layer.shape)) for layer in network.layers[:-1]]
    assert [(layer["window"], layer["steps"]) for layer in layers] == [(0, 30), (1, 30), (1, 30), (2, 30)]
    assert about == {
        "format_version": 1,
        "network": network.name,
        "onnx_sha256": network.onnx_sha256,
        "rounding": "nearest",
        "engine": "exact",
        "threshold": "dynamic",
        "data": "images",
        "data_sha256": data.sha256,
        "images": 11,
    }


def test_numbers_of_steps_are_those_of_each_layer(network, tmp_path):
    names = [layer.name for layer in network.layers[:-1]]
    own = network.with_layer_steps({names[0]: 300, names[1]: 20, names[3]: 7})
    evaluate(own, dataset(IMAGES), batch=5, spikes=tmp_path / "spikes.npz")
    loaded, about = load_spikes(tmp_path / "spikes.npz")
    assert [layer["steps"] for layer in about["layers"]] == [300, 20, 20, 7]
    assert [loaded.spike_times[name].dtype for name in names] == [np.uint16, np.uint8, np.uint8, np.uint8]
    for name in names:
        np.testing.assert_array_equal(loaded.activations(name), simulate(own, IMAGES).activations(name))


@pytest.mark.parametrize("family", ("two_readouts", "two_inputs", "analog"))
def test_several_readouts_and_inputs_and_analog_input(tmp_path, family):
    network, x = case(family, "gated")
    recording = simulate(network, x)
    with SpikeWriter(tmp_path / "spikes.npz", network, {}) as writer:
        writer.add(recording)
    loaded, _ = load_spikes(tmp_path / "spikes.npz")
    assert set(loaded.spike_times) == set(recording.spike_times) and set(loaded.readouts) == {str(name) for name in recording.readouts}
    assert ("x" in loaded.spike_times) == (family != "analog") and len(loaded.readouts) == 1 + (family == "two_readouts")
    for name, times in recording.spike_times.items():
        np.testing.assert_array_equal(loaded.spike_times[name], times)


def test_names_with_slashes_and_dots(tmp_path):
    names = ["/block.0/relu", "potentials/x", "spikes/x", "a b/../c.npy"]
    build = Build((3,))
    for name in names:
        build.fire(name, (3,), {list(build.layers)[-1]: dense(0.5 * np.eye(3))}, 0.5, [0.2, 0.3, 0.4])
    network = build.watch()
    *layers, readout = network.layers
    network = network.model_copy(update={"layers": (*layers, readout.model_copy(update={"tensor": "/out/put:0"}))})
    recording = simulate(network, np.array([[0.5, 0.25, 0.75]], np.float32))
    with SpikeWriter(tmp_path / "spikes.npz", network, {}) as writer:
        writer.add(recording)
    spikes = {f"spikes/{name}" for name in ("x", *names)}
    assert set(opened(tmp_path / "spikes.npz")) == {"about", "potentials//out/put:0"} | spikes
    loaded, about = load_spikes(tmp_path / "spikes.npz")
    assert [layer["name"] for layer in about["layers"]] == ["x", *names] and set(loaded.readouts) == {"/out/put:0"}
    for name, times in recording.spike_times.items():
        np.testing.assert_array_equal(loaded.spike_times[name], times)


# Broken files


def without_about(path):
    np.savez(path, x=np.zeros(3))


def about_of_another_kind(path):
    np.savez(path, about=np.array("[1]"))


def pickled(path):
    np.savez(path, about=np.array({"layers": []}, object))


def corrupt(path, save):
    save(path, about=np.array('{"layers": []}' + " " * 1000), x=np.zeros(1000))
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("about.npy").header_offset + 70
    content = bytearray(path.read_bytes())
    content[at : at + 40] = b"\xff" * 40
    path.write_bytes(content)


@pytest.mark.parametrize(
    "write",
    (
        lambda path: None,
        lambda path: path.write_text("hello"),
        lambda path: path.write_bytes(b"PK\x03\x04 nothing"),
        without_about,
        about_of_another_kind,
        pickled,
        lambda path: np.save(path.open("wb"), np.zeros(3)),
        lambda path: corrupt(path, np.savez),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b""),
        lambda path: corrupt(path, np.savez_compressed),
    ),
    ids=("missing", "text", "torn", "no about", "another about", "pickled", "npy", "corrupt", "folder", "empty", "compressed"),
)
def test_other_files_are_data_errors(tmp_path, write):
    write(tmp_path / "spikes.npz")
    with pytest.raises(DataError, match="spikes.npz: (cannot be read|is) .*; expected a file of ttfs-run --spikes"):
        load_spikes(tmp_path / "spikes.npz")


def test_a_file_cut_off_is_a_data_error(network, tmp_path):
    evaluate(network, dataset(IMAGES), spikes=tmp_path / "spikes.npz")
    whole = (tmp_path / "spikes.npz").read_bytes()
    for size in (100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "spikes.npz").write_bytes(whole[:size])
        with pytest.raises(DataError):
            load_spikes(tmp_path / "spikes.npz")


# Whole or not at all


@pytest.mark.parametrize("before", (None, b"an older file"))
def test_an_error_in_the_middle_leaves_nothing_behind(network, tmp_path, before):
    """An image of the last batch holds a value that the input cannot encode, and is none of the few that are tried, or timed, first."""
    path, x = tmp_path / "spikes.npz", IMAGES.copy()
    if before is not None:
        path.write_bytes(before)
    x[-2, 0, 0, 0] = 1.5
    told = []
    with pytest.raises(DataError, match="1.5"):
        evaluate(network, dataset(x), batch=4, layers="none", spikes=path, progress=lambda done, of: told.append(os.listdir(tmp_path)))
    assert len(told) == 2 and all(len(names) == 1 + (before is not None) for names in told), "no batch was written before the error"
    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_run_leaves_one_file(network, tmp_path):
    (tmp_path / "spikes.npz").write_bytes(b"an older file")
    evaluate(network, dataset(IMAGES), batch=4, spikes=tmp_path / "spikes.npz")
    assert os.listdir(tmp_path) == ["spikes.npz"] and len(load_spikes(tmp_path / "spikes.npz")[0].potentials) == 11


def test_a_full_disk_leaves_nothing_behind(network, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spike_file.zipfile, "ZipFile", full)
    with pytest.raises(TtfsError, match="spikes.npz: cannot be written .No space left on device"):
        evaluate(network, dataset(IMAGES), spikes=tmp_path / "spikes.npz")
    gc.collect()
    assert not os.listdir(tmp_path)


def test_a_path_that_cannot_be_written_is_refused_before_any_work(network, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "Tallies", lambda *arguments: pytest.fail("it ran"))
    for path in (tmp_path, tmp_path / "none" / "spikes.npz", "/dev/null"):
        with pytest.raises(UsageError, match="cannot be written"):
            evaluate(network, dataset(IMAGES), spikes=path)
    assert not os.listdir(tmp_path)


def test_results_do_not_depend_on_writing_them(network, tmp_path):
    with_file = evaluate(network, dataset(IMAGES), spikes=tmp_path / "spikes.npz").report
    without = evaluate(network, dataset(IMAGES)).report
    timing = {"timing": without.timing}
    assert with_file.model_copy(update=timing) == without and dataclasses.is_dataclass(load_spikes(tmp_path / "spikes.npz")[0])


def test_spike_times_of_a_layer_that_are_missing_are_missed(network, tmp_path):
    path = tmp_path / "spikes.npz"
    evaluate(network, IMAGES, spikes=path)
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    name = next(name for name in members if name.startswith("spikes/"))
    for other in ({}, {"spikes/other": members[name]}):
        np.savez(path, **{key: value for key, value in members.items() if key != name}, **other)
        with pytest.raises(DataError, match="not those of its layers"):
            load_spikes(path)
