"""What is fuzzed: the files that commands read, each with good ones to begin with, what changes them, and what reads them."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .mutations import Mutation, damaged, damaged_text, rewritten_archive, rewritten_json
from .small_network import small_model

SAMPLES = 6
FORMATS = {"png": ".png", "jpeg": ".jpg", "bmp": ".bmp", "webp": ".webp", "tiff": ".tif"}


@dataclass(frozen=True)
class Target:
    """One kind of file. name: where it stands in its folder. seeds: good ones. read: what a command does with it; raises TtfsError for what it
    refuses. told: where damage has to show, what it read as text: a file that is read has to be as its seed. beside: files that stand there, too."""

    name: str
    seeds: tuple[bytes, ...]
    mutation: Mutation
    read: Callable[[Path], object]
    told: Callable[[object], str] | None = None
    beside: dict[str, bytes] = field(default_factory=dict)


def targets(only: str | None = None) -> dict[str, Target]:
    """All by name, or the one of that name alone, without what the others take to prepare."""
    return {name: make() for name, make in MAKERS.items() if only in (None, name)}


@functools.cache
def _network() -> bytes:
    from ttfs_convert.conversion.pipeline import convert
    from ttfs_convert.network.store import archive_of

    out = io.BytesIO()
    archive_of(convert(small_model(), mode="unchecked"))(out)
    return out.getvalue()


def _data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"x": rng.random((SAMPLES, 2, 8, 8)).astype(np.float32), "y": rng.integers(0, 4, SAMPLES)}


def _npz(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)  # pyright: ignore[reportArgumentType]
    return out.getvalue()


def _network_file(mutation: Mutation, whole: bool) -> Target:
    from ttfs_convert.network.store import fingerprint, load

    def read(path: Path) -> object:
        network = load(path)
        if not whole:
            _run(network)
        return network

    return Target("snn.npz", (_network(),), mutation, read, fingerprint if whole else None)


def _run(network) -> None:
    """One that is another and nevertheless whole has to run, if it is small."""
    from ttfs_convert.simulation.head_and_tail import run
    from ttfs_convert.simulation.run_size import check_run, run_bytes, run_work

    check_run(network)
    if run_work(network) < 10**7 and sum(run_bytes(network)) < 1 << 24 and network.input_shapes == [(2, 8, 8)] and (network.steps or 1) < 1000:
        run(network, _data()["x"][:2])


def _data_file(mutation: Mutation, whole: bool) -> Target:
    from ttfs_convert.data import load_dataset

    told = (lambda found: found.sha256) if whole else None
    return Target("d.npz", (_npz(**_data()), _npz(images=np.zeros((3, 4, 4), np.uint8))), mutation, load_dataset, told)


def _idx(packed: bool) -> Target:
    from ttfs_convert.data import load_dataset

    images = struct.pack(">IIII", 2051, SAMPLES, 28, 28) + np.random.default_rng(0).integers(0, 256, SAMPLES * 784, dtype=np.uint8).tobytes()
    labels = struct.pack(">II", 2049, SAMPLES) + bytes(range(SAMPLES))
    pack = (lambda data: gzip.compress(data, mtime=0)) if packed else bytes
    told = (lambda found: found.sha256) if packed else None
    names = [f"t10k-{kind}-ubyte{'.gz' * packed}" for kind in ("images-idx3", "labels-idx1")]

    def read(path: Path) -> object:
        return load_dataset("mnist", data_dir=path.parent)

    return Target(names[0], (pack(images),), damaged, read, told, {names[1]: pack(labels)})


def _cifar(packed: bool) -> Target:
    from ttfs_convert.data import cifar, load_dataset

    few = cifar.Format("cifar-10-batches-bin", {"test": {"test_batch.bin": SAMPLES}, "train": {}}, (("label", 10),))
    cifar.FORMATS["cifar10"] = few  # the real one holds 30 MB
    rng = np.random.default_rng(0)
    records = np.concatenate(
        [np.arange(SAMPLES, dtype=np.uint8)[:, None], rng.integers(0, 256, (SAMPLES, cifar.PIXELS), dtype=np.uint8)], 1
    ).tobytes()
    if packed:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
            for name, content in (("cifar-10-batches-bin/readme.html", b"text"), ("cifar-10-batches-bin/test_batch.bin", records)):
                info = tarfile.TarInfo(name)
                info.size, info.pax_headers = len(content), {"comment": "a header of its own"}
                archive.addfile(info, io.BytesIO(content))
        unpacked = gzip.decompress(out.getvalue())

        def mutation(random, data):
            return damaged(random, data) if random.random() < 0.5 else gzip.compress(damaged(random, unpacked), 1)

    def read(path: Path) -> object:
        return load_dataset("cifar10", data_dir=path.parent)

    if packed:
        return Target("cifar-10-binary.tar.gz", (out.getvalue(),), mutation, read)
    return Target("test_batch.bin", (records,), damaged, lambda path: cifar.read(path, "cifar10", "test"))


def _image(kind: str) -> Target:
    from PIL import Image

    from ttfs_convert.data import load_dataset

    rng, seeds = np.random.default_rng(0), []
    for mode in ("L", "RGB", "P", "1"):
        picture, out = Image.fromarray(rng.integers(0, 256, (12, 10), dtype=np.uint8)).convert(mode), io.BytesIO()
        if (kind, mode) not in (("jpeg", "P"), ("jpeg", "1")):
            picture.save(out, {"tiff": "TIFF"}.get(kind, kind.upper()))
            seeds.append(out.getvalue())

    return Target(f"class/picture{FORMATS[kind]}", tuple(seeds), damaged, lambda path: load_dataset(path.parent.parent))


GATES = b"""[tool.ttfs]
max-drop = { accuracy = 0.5, psnr = 0.1 }
min-agreement = 99
max-latency = 400
max-regression = 0.2
"""
COSTS = b"""title = "a chip"
leaves_out = "the memory"
[synop]
pj = 23.6
source = "a paper"
[mac]
pj = 4
source = "another"
[step]
seconds = 1e-6
source = "a manual"
"""


def _gates() -> Target:
    from ttfs_convert.gates.gate_list import read_gates

    return Target("gates.toml", (GATES,), damaged_text, read_gates)


def _costs() -> Target:
    from ttfs_convert.measurement.cost_table import cost_table

    return Target("costs.toml", (COSTS,), damaged_text, cost_table)


@functools.cache
class _Study:
    """The small network on its data, with the sums of a run, its report, a log of a sweep and spike times as files' contents."""

    def __init__(self) -> None:
        import tempfile

        from ttfs_convert.network.store import load
        from ttfs_convert.studies import evaluation as module
        from ttfs_convert.studies.evaluation import evaluate
        from ttfs_convert.studies.run_log import RunLog
        from ttfs_convert.studies.setting import setting_of
        from ttfs_convert.studies.sweep import sweep
        from ttfs_convert.studies.tallies import Asked, Tallies

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "snn.npz").write_bytes(_network())
            network, pair = load(folder / "snn.npz"), tuple(_data().values())
            report = evaluate(network, pair, log=folder / "sums", verify=0).report
            evaluate(network, pair, spikes=folder / "spikes", verify=0)
            sweep(network, pair, "drop=0.1", repeats=1, log=folder / "log")
            self.report = report.model_dump_json().encode()
            self.sums, self.spikes, self.log = ((folder / each).read_bytes() for each in ("sums", "spikes", "log"))
        first = json.loads(self.log.splitlines()[0])
        self.setting = {key: first[key] for key in ("network", "data", "samples", "seed", "task") if key in first}
        setting = setting_of(network, pair, {"threads": 1})
        comparison, asked = setting.comparison(), Asked("exact", "dynamic", False, False, False, "all", ())
        about = module._about(setting, comparison, asked, False)

        def restored(path: Path) -> Tallies:
            log, tallies = RunLog(path, about), Tallies(network, comparison, asked, None, None)
            log.restore(tallies)
            tallies.evaluation()
            return tallies

        self.restored = restored


def _sums(mutation: Mutation, whole: bool) -> Target:
    study = _Study()
    return Target("sums.npz", (study.sums,), mutation, study.restored, _told_sums if whole else None)


def _told_sums(tallies) -> str:
    from ttfs_convert.studies.run_log import _encoded

    parts: list[bytes] = []
    return json.dumps(_encoded(tallies, parts)) + hashlib.sha256(b"".join(parts)).hexdigest()


def _sweep_log() -> Target:
    from ttfs_convert.studies.sweep_log import SweepLog

    study = _Study()
    return Target("log.jsonl", (study.log,), damaged_text, lambda path: SweepLog(path, study.setting))


def _report() -> Target:
    from ttfs_convert.gates.gate_list import Gate
    from ttfs_convert.gates.judge import judged
    from ttfs_convert.report.read_report import read_report

    gates = (Gate("max-drop", 0.5), Gate("min-agreement", 90), Gate("max-latency", 400), Gate("max-layer-error", 1), Gate("max-regression", 1))
    return Target("report.json", (_Study().report,), damaged_text, lambda path: judged(read_report(path), gates, read_report(path)))


def _spikes(mutation: Mutation, whole: bool) -> Target:
    from ttfs_convert.simulation.spike_file import load_spikes

    return Target("spikes.npz", (_Study().spikes,), mutation, load_spikes, _told_spikes if whole else None)


def _told_spikes(found) -> str:
    recording, about = found
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for arrays in (recording.spike_times, recording.readouts):
        for name in sorted(arrays):
            digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode() + arrays[name].tobytes())
    return digest.hexdigest()


def _onnx() -> Target:
    from ttfs_convert.conversion.pipeline import convert

    from .onnx_mutations import other_attributes

    return Target("model.onnx", (small_model().SerializeToString(),), other_attributes, lambda path: convert(path, mode="unchecked"))


MAKERS: dict[str, Callable[[], Target]] = {
    "network, damaged": lambda: _network_file(damaged, True),
    "network, arrays": lambda: _network_file(rewritten_archive, False),
    "network, manifest": lambda: _network_file(rewritten_json("manifest.npy"), False),
    "ONNX, attributes": _onnx,
    "data .npz, damaged": lambda: _data_file(damaged, True),
    "data .npz, arrays": lambda: _data_file(rewritten_archive, False),
    "IDX": lambda: _idx(False),
    "IDX, gzip": lambda: _idx(True),
    "CIFAR, .bin": lambda: _cifar(False),
    "CIFAR, .tar.gz": lambda: _cifar(True),
    **{f"image, {kind}": (lambda kind=kind: _image(kind)) for kind in FORMATS},
    "gates .toml": _gates,
    "costs .toml": _costs,
    "sums of --resume, damaged": lambda: _sums(damaged, True),
    "sums of --resume, values": lambda: _sums(rewritten_json("tree.npy"), False),
    "log of a sweep": _sweep_log,
    "report .json": _report,
    "spike times, damaged": lambda: _spikes(damaged, True),
    "spike times, arrays": lambda: _spikes(rewritten_archive, False),
}


def _pixels(path: Path) -> int:
    """Bytes of an image of that size, as colours."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return 4 * image.width * image.height
    except Exception:  # no image
        return 0


def declared(path: Path) -> int:
    """Bytes that a file has, or says that it has unpacked."""
    size = path.stat().st_size
    if path.suffix in FORMATS.values():
        return size + _pixels(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return size + sum(info.file_size for info in archive.infolist())
    except Exception:  # no archive, or a broken one
        return size
