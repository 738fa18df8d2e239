"""The file format: bit-identical round trips, atomic writes, and one clear line for every kind of broken file."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.test_naive_network import Build
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.errors import ModelError, TtfsError, UsageError
from ttfs_convert.files import atomic
from ttfs_convert.network import store
from ttfs_convert.network.network import FORMAT_VERSION, Network
from ttfs_convert.network.populations import Reorder
from ttfs_convert.network.store import MANIFEST, load, save
from ttfs_convert.network.synapses.scale import Scale

EXAMPLE = Path(__file__).parents[2] / "examples/fashion_mnist/model.onnx"


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Network:
    """1-D: conv, clip, residual conv, clip, flatten, linear."""
    rng = np.random.default_rng(0)
    weights = {"w1": (3, 2, 3), "b1": (3,), "w2": (3, 3, 3), "w3": (15, 4)}
    constants = [numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name) for name, shape in weights.items()]
    constants += [numpy_helper.from_array(np.float32(bound), name) for name, bound in (("zero", 0), ("one", 1))]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1]),
        helper.make_node("Clip", ["c1", "zero", "one"], ["a1"]),
        helper.make_node("Conv", ["a1", "w2"], ["c2"], pads=[1, 1]),
        helper.make_node("Add", ["c2", "a1"], ["sum"]),
        helper.make_node("Clip", ["sum", "zero", "one"], ["a2"]),
        helper.make_node("Flatten", ["a2"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w3"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        constants,
    )
    path = tmp_path_factory.mktemp("residual") / "residual.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return convert(path, mode="unchecked")


@pytest.fixture
def file(network, tmp_path) -> Path:
    path = tmp_path / "net.npz"
    save(network, path)
    return path


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def manifest_of(members: dict[str, bytes]) -> dict:
    return json.loads(np.load(io.BytesIO(members[MANIFEST])).tobytes())


def with_manifest(members: dict[str, bytes], manifest: object) -> dict[str, bytes]:
    return {**members, MANIFEST: npy(np.frombuffer(json.dumps(manifest).encode(), np.uint8))}


def first_conv(manifest: dict) -> dict:
    return next(layer for layer in manifest["layers"] if layer["kind"] == "spiking")["connections"][0]["path"][0]


def assert_refused(path: Path, *fragments: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(path)
    text = str(caught.value)
    assert caught.value.exit_code == 3 and text.startswith(str(path)) and "\n" not in text and len(text) < 1000
    for fragment in fragments:
        assert fragment in text


def assert_equal(first: object, second: object) -> None:
    """Of two model dumps: same structure, and arrays of the same type and values."""
    if isinstance(first, np.ndarray):
        assert first.dtype == second.dtype and np.array_equal(first, second)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert_equal(value, second[key])
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second)
        for one, other in zip(first, second):
            assert_equal(one, other)
    else:
        assert first == second


def assert_round_trip(network: Network, folder: Path) -> None:
    first, second = folder / "first.npz", folder / "second.npz"
    save(network, first)
    loaded = load(first)
    save(loaded, second)
    assert first.read_bytes() == second.read_bytes()
    assert_equal(loaded.model_dump(), network.model_dump())


def test_round_trip_of_the_example(tmp_path):
    network = convert(EXAMPLE)
    assert not network.violations and network.onnx is not None
    assert_round_trip(network, tmp_path)


def test_round_trip_of_a_residual_network(network, tmp_path):
    assert_round_trip(network, tmp_path)
    assert_round_trip(network.model_copy(update={"steps": None, "onnx": None}), tmp_path)


def test_the_bytes_do_not_depend_on_the_clock(network, file, monkeypatch):
    content = file.read_bytes()
    monkeypatch.setattr(zipfile.time, "time", lambda: 2e9)
    save(network, file)
    assert file.read_bytes() == content


def test_the_file_is_a_plain_npz(file):
    with np.load(file, allow_pickle=False) as archive:
        names = [name for name in archive.files if name.endswith("path.0.weights")]
        assert len(names) == 3 and all(archive[name].dtype == np.float32 for name in names)


def test_refuses_what_is_no_archive(tmp_path):
    for name, content, found in (
        ("empty", b"", "is empty"),
        ("text", b"PK, said the text\n", "cannot be read"),
        ("random", np.random.default_rng(0).bytes(5000), "cannot be read"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert_refused(path, found, "written by ttfs-convert")
    assert_refused(tmp_path, "cannot be read")
    assert_refused(tmp_path / "absent.npz", "cannot be read")


def test_refuses_every_truncation(file):
    content = file.read_bytes()
    for end in (*range(0, len(content), len(content) // 40), len(content) - 1):
        file.write_bytes(content[:end])
        assert_refused(file)


def change(**fields):
    return lambda members: with_manifest(members, {**manifest_of(members), **fields})


def change_conv(**fields):
    def apply(members):
        manifest = manifest_of(members)
        first_conv(manifest).update(fields)
        return with_manifest(members, manifest)

    return apply


def redeclare(**fields):
    """Change the declaration of the first convolution's weights, not the member."""

    def apply(members):
        manifest = manifest_of(members)
        first_conv(manifest)["weights"].update(fields)
        return with_manifest(members, manifest)

    return apply


def replace_weights(make):
    """Replace the member of the first convolution's weights, not its declaration."""

    def apply(members):
        name = first_conv(manifest_of(members))["weights"]["array"]
        return {**members, name: make(np.load(io.BytesIO(members[name])))}

    return apply


def without_weights(members):
    name = first_conv(manifest_of(members))["weights"]["array"]
    return {key: content for key, content in members.items() if key != name}


def unknown_source(members):
    manifest = manifest_of(members)
    manifest["layers"][-1]["connections"][0]["source"] = "nowhere"
    return with_manifest(members, manifest)


def huge_member(members):
    """Header and declaration agree on 2^60 values that the file does not hold."""
    huge = npy(np.zeros((3, 2, 3), np.float32)).replace(b"(3, 2, 3)", b"(%d,)" % 2**60)
    return redeclare(shape=[2**60])(replace_weights(lambda weights: huge)(members))


BROKEN = {
    "newer version": (change(format_version=FORMAT_VERSION + 1), ("format version 2", "update ttfs-convert")),
    "version zero": (change(format_version=0), ("format_version",)),
    "version as a truth value": (change(format_version=True), ("format_version",)),
    "version as text": (change(format_version="1"), ("format_version",)),
    "manifest that is a list": (lambda members: with_manifest(members, [1]), ("format_version",)),
    "manifest that is no JSON": (lambda members: {**members, MANIFEST: npy(np.frombuffer(b"{", np.uint8))}, ("cannot be read",)),
    "manifest too deep": (lambda members: {**members, MANIFEST: npy(np.frombuffer(b"[" * 200_000, np.uint8))}, ("cannot be read",)),
    "manifest with a huge number": (lambda members: {**members, MANIFEST: npy(np.frombuffer(b'{"steps": 1%s}' % (b"0" * 9999), np.uint8))}, ()),
    "manifest in two rows": (lambda members: {**members, MANIFEST: npy(np.zeros((2, 5), np.uint8))}, ("manifest.npy holds |u1 (2, 5)",)),
    "no manifest": (lambda members: {name: content for name, content in members.items() if name != MANIFEST}, ("an archive of arrays (",)),
    "missing member": (without_weights, ("missing or not in the manifest", "weights.npy")),
    "extra member": (lambda members: {**members, "extra.npy": npy(np.zeros(2))}, ("missing or not in the manifest", "extra.npy")),
    "unknown field": (change(colour="red"), ("colour",)),
    "unknown field of a layer": (change_conv(colour="red"), ("colour",)),
    "unknown kind": (change_conv(kind="gelu"), ("gelu",)),
    "unknown source": (unknown_source, ("nowhere",)),
    "no layers": (lambda members: with_manifest({MANIFEST: b""}, {**manifest_of(members), "layers": [], "onnx": None}), ("readout",)),
    "steps of zero": (change(steps=0), ("steps",)),
    "weights as text": (change_conv(weights="none"), ("missing or not in the manifest",)),
    "declared other shape": (redeclare(shape=[2, 3, 3]), ("weights.npy holds", "(2, 3, 3) as the manifest says")),
    "declared other dtype": (redeclare(dtype="<i8"), ("weights.npy holds <f4",)),
    "declared unknown dtype": (redeclare(dtype="|O"), ("dtype of",)),
    "declared dtype of no dtype": (redeclare(dtype=["<f4"]), ("dtype of",)),
    "declared negative shape": (redeclare(shape=[-3, -2, 3]), ("a shape",)),
    "declared huge shape": (redeclare(shape=[2**40, 2**40]), ("as the manifest says",)),
    "huge shape everywhere": (huge_member, ("weights.npy holds",)),
    "member of other shape": (replace_weights(lambda weights: npy(weights[:-1])), ("weights.npy holds",)),
    "member of other dtype": (replace_weights(lambda weights: npy(weights.astype(np.float64))), ("weights.npy holds <f8",)),
    "member in Fortran order": (replace_weights(lambda weights: npy(np.asfortranarray(weights))), ("weights.npy holds",)),
    "member cut short": (replace_weights(lambda weights: npy(weights)[:-4]), ("weights.npy holds",)),
    "member with more behind": (replace_weights(lambda weights: npy(weights) + b"more"), ("weights.npy holds",)),
    "member without header": (replace_weights(lambda weights: weights.tobytes()), ("no array header",)),
    "member with an odd header": (replace_weights(lambda weights: npy(weights).replace(b"{'descr'", b"{[]: [ ")), ("no array header",)),
    "pickled member": (replace_weights(lambda weights: npy(weights.astype(object))), ("weights.npy holds |O",)),
    "NaN weights": (replace_weights(lambda weights: npy(np.where(weights > 0, np.float32("nan"), weights))), ("not finite",)),
    "infinite weights": (replace_weights(lambda weights: npy(np.full_like(weights, np.inf))), ("not finite",)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses_a_broken_file(file, case):
    edit, fragments = BROKEN[case]
    write_members(file, edit(members_of(file)))
    assert_refused(file, *fragments)


def test_rewriting_the_members_alone_breaks_nothing(file):
    before = load(file)
    members = members_of(file)
    write_members(file, with_manifest(members, manifest_of(members)))
    assert_equal(load(file).model_dump(), before.model_dump())


def gate(size: int) -> Network:
    """Four gates, wired to `size` positions each, and weights that do not repeat."""
    wide, rng = (size, 4), np.random.default_rng(0)
    build = Build((4,)).wire(Reorder, "spread", wide, "x", index=np.tile(np.arange(4), size))
    factors = rng.normal(0, 1, wide).astype(np.float32)
    return build.fire("h", wide, {"spread": Scale.by(factors, wide)}, factors).watch()


def test_arrays_that_repeat_themselves_take_little_room(tmp_path):
    path, network = tmp_path / "net.npz", gate(8192)
    save(network, path)
    with zipfile.ZipFile(path) as archive:
        shares = {info.filename: info.compress_size / info.file_size for info in archive.infolist()}
    assert shares["network.layers.1.index.npy"] < 0.02
    assert [shares[name] for name in shares if "weight" in name] == [1, 1, 1]
    assert_equal(load(path).model_dump(), network.model_dump())


def test_refuses_a_deflated_array_that_promises_more_than_it_can_hold(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    save(gate(8192), path)
    monkeypatch.setattr(store, "DEFLATES_TO", 10)
    monkeypatch.setattr(store.np, "empty", lambda *_: pytest.fail("allocated an array before the sizes were checked"))
    assert_refused(path, "more bytes than it can hold")


def test_refuses_compressed_members(file):
    write_members(file, members_of(file), zipfile.ZIP_DEFLATED)
    assert_refused(file, "compressed")


def test_refuses_a_member_twice(file):
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(MANIFEST, npy(np.zeros(3, np.uint8)))
    assert_refused(file, "twice")


def test_refuses_a_directory_that_promises_more_than_the_file_holds(file, monkeypatch):
    """Sizes in the archive's directory are as untrusted as the rest: nothing is allocated for bytes that cannot be there."""
    members = members_of(file)
    name = first_conv(manifest_of(members))["weights"]["array"]
    huge = 2**31 // 4
    members = redeclare(shape=[huge])(members)
    members[name] = npy(np.zeros((3, 2, 3), np.float32)).replace(b"(3, 2, 3)", b"(%d,)" % huge)
    header_and_data = len(members[name])
    write_members(file, members)
    content = bytearray(file.read_bytes())
    promised = len(npy(np.zeros((3, 2, 3), np.float32))) - 72 + 4 * huge
    for signature, offset in ((b"PK\x03\x04", 18), (b"PK\x01\x02", 20)):
        start = content.find(signature)
        while content[start + (30 if offset == 18 else 46) :][: len(name)] != name.encode():
            start = content.find(signature, start + 1)
        assert content[start + offset : start + offset + 4] == header_and_data.to_bytes(4, "little")
        content[start + offset : start + offset + 8] = promised.to_bytes(4, "little") * 2
    file.write_bytes(content)
    monkeypatch.setattr(store.np, "empty", lambda *_: pytest.fail("allocated an array before the sizes were checked"))
    assert_refused(file, "larger than the file")


def test_refuses_flipped_bits_in_every_member(file):
    content = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        starts = {info.filename: content.index(archive.read(info)) for info in infos}
    for info in infos:
        for position in (0, 64, info.file_size - 1):
            damaged = bytearray(content)
            damaged[starts[info.filename] + position] ^= 1
            file.write_bytes(damaged)
            assert_refused(file)


def loads_or_refuses(path: Path) -> bool:
    try:
        load(path)
        return True
    except ModelError as error:
        assert "\n" not in str(error)
        return False


def test_random_bytes_lead_to_model_errors_alone(network, tmp_path):
    path = tmp_path / "net.npz"
    save(network.model_copy(update={"onnx": None}), path)
    content, rng = path.read_bytes(), np.random.default_rng(1)
    directory = content.index(b"PK\x01\x02")
    loaded = 0
    for trial in range(400):
        damaged = bytearray(content)
        for position in rng.integers(directory if trial % 2 else 0, len(content), rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        loaded += loads_or_refuses(path)
    assert 0 < loaded < 200  # dates in the directory do no harm; nearly everything else does


@pytest.mark.filterwarnings("ignore")  # NumPy compiles the damaged headers
def test_random_members_lead_to_model_errors_alone(network, tmp_path):
    """As above behind valid checksums: bytes of the manifest and of the array headers."""
    path = tmp_path / "net.npz"
    save(network.model_copy(update={"onnx": None}), path)
    members, rng = members_of(path), np.random.default_rng(2)
    names = [MANIFEST, *(name for name in members if name != MANIFEST)]
    loaded = 0
    for trial in range(400):
        name = names[0] if trial % 2 else names[rng.integers(1, len(names))]
        damaged = bytearray(members[name])
        for position in rng.integers(0, len(damaged) if name == MANIFEST else 128, rng.integers(1, 3)):
            damaged[position] = rng.integers(32, 127)
        write_members(path, {**members, name: bytes(damaged)})
        loaded += loads_or_refuses(path)
    assert 0 < loaded < 200  # other names and numbers may be as good; nearly everything else is not


def test_a_failed_write_leaves_the_old_file_and_nothing_else(network, tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    path.write_bytes(b"old")
    write_array, calls, failures = np.lib.format.write_array, [], []

    def fail_at_the_third(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 3:
            raise failures[-1]
        write_array(*arguments, **options)

    monkeypatch.setattr(store.np.lib.format, "write_array", fail_at_the_third)
    for failure, expected in ((OSError(28, "No space left on device"), TtfsError), (KeyboardInterrupt(), KeyboardInterrupt)):
        calls.clear()
        failures.append(failure)
        with pytest.raises(expected):
            save(network, path)
        assert len(calls) == 3 and path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_a_usage_error(network, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "absent" / "net.npz", tmp_path / "file" / "net.npz", tmp_path / "folder"):
        with pytest.raises(UsageError, match="cannot be written") as caught:
            save(network, path)
        assert caught.value.exit_code == 2 and str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic, "temporary_file", refuse)
    with pytest.raises(UsageError, match="Permission denied"):
        save(network, tmp_path / "net.npz")
