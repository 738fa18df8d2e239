"""A file of another kind than was asked for: each command says what it is and which command or exporter takes it."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, save
from ttfs_convert.cli import convert, inspect, run, tune
from ttfs_convert.errors import DataError
from ttfs_convert.files import content_kind as file_kind
from ttfs_convert.files.content_kind import kind_of
from ttfs_convert.simulation.spike_file import load_spikes


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """model.onnx, its network snn.npz, data.npz, spikes.npz."""
    folder = tmp_path_factory.mktemp("files")
    chain = Chain((4,)).gemm(5).relu1().readout(2)
    save(chain.model(), folder)
    np.savez(folder / "data.npz", x=chain.images(6), y=np.zeros(6, np.int64))
    for main, arguments in (
        (convert.main, ("model.onnx", "--out", folder / "snn.npz")),
        (run.main, ("snn.npz", "--data", folder / "data.npz", "--spikes", folder / "spikes.npz")),
    ):
        result = CliRunner().invoke(main, [str(folder / arguments[0]), *map(str, arguments[1:])])
        assert result.exit_code == 0, result.output
    return folder


COMMANDS = {
    "convert": (convert.main, "{} --out {tmp}/o.npz"),
    "calibrate": (convert.main, "{files}/model.onnx --out {tmp}/o.npz --mode exact --calibrate {}"),
    "run": (run.main, "{} --data {files}/data.npz"),
    "tune": (tune.main, "{} --data {files}/data.npz"),
    "inspect": (inspect.main, "{}"),
    "data": (run.main, "{files}/snn.npz --data {}"),
    "tuning data": (tune.main, "{files}/snn.npz --data {}"),
    "onnx": (run.main, "{files}/snn.npz --data {files}/data.npz --onnx {}"),
}


def message(command, path, files, tmp_path):
    """The exit code and the only line."""
    main, arguments = COMMANDS[command]
    result = CliRunner().invoke(main, [part.format(path, files=files, tmp=tmp_path) for part in arguments.split()])
    assert len(result.stderr.splitlines()) == 1 and not result.stdout, result.output
    return result.exit_code, result.stderr.strip()


IS_MODEL = "is an ONNX model; expected {}; convert it first: ttfs-convert {file} --out SNN.npz"
IS_NETWORK = "is a spiking network; expected {}; run it with ttfs-run {file} --data DATA, or look into it with ttfs-inspect {file}"
IS_DATA = "is an archive of arrays (x, y); expected {}; data is for --data of ttfs-run and ttfs-tune, or --calibrate of ttfs-convert"
A_MODEL, A_NETWORK, SOME_DATA = (
    "an ONNX model",
    "a network written by ttfs-convert",
    "data: an .npz with x and, for accuracy, y, or a folder of pictures",
)


@pytest.mark.parametrize(
    "command, name, code, text",
    (
        ("run", "model.onnx", 3, IS_MODEL.replace("{}", A_NETWORK)),
        ("tune", "model.onnx", 3, IS_MODEL.replace("{}", A_NETWORK)),
        ("data", "model.onnx", 4, IS_MODEL.replace("{}", SOME_DATA)),
        ("calibrate", "model.onnx", 4, IS_MODEL.replace("{}", SOME_DATA)),
        ("convert", "snn.npz", 3, IS_NETWORK.replace("{}", A_MODEL)),
        ("onnx", "snn.npz", 3, IS_NETWORK.replace("{}", "the ONNX model that was converted")),
        ("data", "snn.npz", 4, IS_NETWORK.replace("{}", SOME_DATA)),
        ("tuning data", "snn.npz", 4, IS_NETWORK.replace("{}", SOME_DATA)),
        ("calibrate", "snn.npz", 4, IS_NETWORK.replace("{}", SOME_DATA)),
        ("run", "data.npz", 3, IS_DATA.replace("{}", A_NETWORK)),
        ("tune", "data.npz", 3, IS_DATA.replace("{}", A_NETWORK)),
        ("convert", "data.npz", 3, IS_DATA.replace("{}", A_MODEL)),
        ("inspect", "data.npz", 3, IS_DATA.replace("{}", A_NETWORK)),
        ("run", "spikes.npz", 3, "is a file of spike times"),
        ("data", "spikes.npz", 4, "open it with ttfs_convert.load_spikes or numpy.load"),
    ),
)
def test_our_own_files(files, tmp_path, command, name, code, text):
    found_code, line = message(command, files / name, files, tmp_path)
    assert found_code == code and text.replace("{file}", str(files / name)) in line and line.startswith(f"error: {files / name}: is ")


def zipped(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")
    return content.getvalue()


def tarred(name):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return content.getvalue()


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


IDX = struct.pack(">IIII", 0x803, 1, 2, 2) + bytes(4)
STRANGERS = {
    "net.pt": (zipped("net/data.pkl", "net/version"), "is a PyTorch file", "torch.onnx.export"),
    "scripted.pt": (zipped("net/code/__torch__.py", "net/data.pkl"), "is a PyTorch file", "torch.onnx.export"),
    "exported.pt2": (zipped("net/archive_format", "net/models/model.json"), "is a PyTorch file", "torch.onnx.export"),
    "old.pth": (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2), "is a PyTorch file", "torch.onnx.export"),
    "net.keras": (zipped("metadata.json", "config.json", "model.weights.h5"), "is a Keras model", "model.export('model.onnx', format='onnx')"),
    "net.h5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "is an HDF5 file", "model.export('model.onnx', format='onnx')"),
    "net.tflite": (b"\x1c\0\0\0TFL3" + bytes(20), "is a TensorFlow Lite model", "tf2onnx.convert --tflite"),
    "net.ort": (b"\x18\0\0\0ORTM" + bytes(20), "ONNX Runtime's own format", "take the .onnx"),
    "net.safetensors": (struct.pack("<Q", 2) + b"{}" + bytes(8), "is weights alone (safetensors)", "into their network"),
    "net.pkl": (pickle.dumps({"a": 1}), "is a Python pickle", "skl2onnx"),
    "second.pkl": (pickle.dumps({"a": 1}, 2), "is a Python pickle", "skl2onnx"),
    "net.onnx.gz": (gzip.compress(b"\x08\x07" + bytes(30)), "is compressed with gzip", "gunzip"),
    "t10k-images-idx3-ubyte.gz": (gzip.compress(IDX), "is a file in MNIST's format", "--data mnist --data-dir FOLDER"),
    "t10k-images-idx3-ubyte": (IDX, "is a file in MNIST's format", "--data mnist --data-dir FOLDER"),
    "cifar-10-binary.tar.gz": (tarred("cifar-10-batches-bin/test_batch.bin"), "is a tar archive", "--data cifar10 --data-dir FOLDER"),
    "x.npy": (npy(np.zeros((3, 4), np.float32)), "is a lone NumPy array", "numpy.savez(path, x=samples, y=labels)"),
    "cat.png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "is a picture", "one sub-folder per class"),
    "lfs.onnx": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS", "git lfs pull"),
    "page.onnx": (b"\n<!DOCTYPE html><html>", "is a page of HTML", "download the file itself"),
    "report.json": (b'{"schema_version": 1}', "is a JSON file", "reports are not read"),
    "table.csv": ("é,x\n1,2\n".encode() * 200, "is a text file", "numpy.savez"),
    "empty.npz": (b"", "is empty", "download it again"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_files_of_others(files, tmp_path, name):
    content, what, remedy = STRANGERS[name]
    path = tmp_path / name
    path.write_bytes(content)
    for command, code in (("convert", 3), ("run", 3), ("inspect", 3), ("data", 4)):
        found_code, line = message(command, path, files, tmp_path)
        assert found_code == code and line.startswith(f"error: {path}: is ") and what in line and remedy in line and "{file}" not in line
    assert list(tmp_path.iterdir()) == [path]


def test_an_external_file_of_spikes(files):
    assert load_spikes(files / "spikes.npz")
    with pytest.raises(DataError, match="is a spiking network; expected a file of ttfs-run --spikes"):
        load_spikes(files / "snn.npz")


def test_what_nothing_tells(tmp_path):
    for content in (b"\x01\x02\xff\xfe" * 50, b"\x08\x07" + bytes(20), b"PK\x03\x04 cut", b"\x80", struct.pack("<Q", 10**6) + b"{"):
        (tmp_path / "file").write_bytes(content)
        assert kind_of(tmp_path / "file") is None
    assert kind_of(tmp_path) is None and kind_of(tmp_path / "none") is None


def test_the_right_files_are_told(files):
    kinds = {"model.onnx": file_kind.MODEL, "snn.npz": file_kind.NETWORK, "spikes.npz": file_kind.SPIKES, "data.npz": file_kind.DATA}
    assert {name: kind_of(files / name).what for name in kinds} == {name: kind.what for name, kind in kinds.items()}
