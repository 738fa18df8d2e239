"""A folder with one sub-folder of images per class."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.models import Chain
from ttfs_convert import convert, evaluate
from ttfs_convert.data import load_dataset
from ttfs_convert.errors import DataError


def _save(root, name, pixels, mode=None):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels))
    (image.convert(mode) if mode else image).save(path)
    return path


def _gray(value, height=3, width=4):
    return np.full((height, width), value, np.uint8)


def _rgb(seed, height=3, width=4):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_classes_take_turns(tmp_path):
    for value, name in enumerate(("cat/1.png", "cat/2.png", "cat/3.png", "bird/1.png", "dog/1.png", "dog/2.bmp")):
        _save(tmp_path, name, _gray(value))
    (tmp_path / "cat" / "readme.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    dataset = load_dataset(str(tmp_path))
    assert dataset.x.shape == (6, 3, 4, 1) and dataset.x.dtype == np.uint8 and dataset.y.dtype == np.int64
    assert dataset.x[:, 0, 0, 0].tolist() == [3, 0, 4, 1, 5, 2]
    assert dataset.y.tolist() == [0, 1, 2, 1, 2, 1]
    assert dataset.notes == ("labels are the sub-folders in sorted order: 0 = bird to 2 = dog",)
    assert (dataset.name, dataset.total, dataset.image) == (tmp_path.name, 6, True)


def test_split_changes_nothing(tmp_path):
    for value, name in enumerate(("a/1.png", "b/1.png")):
        _save(tmp_path, name, _gray(value))
    test, train = load_dataset(str(tmp_path)), load_dataset(str(tmp_path), split="train")
    assert (train.name, train.sha256, train.notes) == (test.name, test.sha256, test.notes)


def test_only_images_within_the_limit_are_decoded(tmp_path):
    for value, name in enumerate(("a/1.png", "b/1.png", "a/2.png")):
        _save(tmp_path, name, _gray(value))
    (tmp_path / "b" / "2.png").write_bytes(b"broken")
    dataset = load_dataset(str(tmp_path), limit=3)
    assert dataset.x[:, 0, 0, 0].tolist() == [0, 1, 2] and dataset.y.tolist() == [0, 1, 0] and dataset.total == 4
    with pytest.raises(DataError, match="cannot be decoded"):
        load_dataset(str(tmp_path), limit=4)


def test_empty_class_keeps_its_number(tmp_path):
    (tmp_path / "a").mkdir()
    _save(tmp_path, "b/1.png", _gray(1))
    dataset = load_dataset(str(tmp_path))
    assert dataset.y.tolist() == [1] and dataset.notes[1:] == ("class a has no images",)


def test_colour(tmp_path):
    _save(tmp_path, "a/1.png", _rgb(1))
    dataset = load_dataset(str(tmp_path))
    np.testing.assert_array_equal(dataset.x, _rgb(1)[None])


def test_gray_among_colour_becomes_rgb(tmp_path):
    _save(tmp_path, "a/1.png", _gray(9))
    _save(tmp_path, "b/1.png", _rgb(1), "RGBA")
    dataset = load_dataset(str(tmp_path))
    np.testing.assert_array_equal(dataset.x, [np.full((3, 4, 3), 9), _rgb(1)])


def test_modes_with_fewer_and_more_bits(tmp_path):
    ramp = np.array([[0, 128, 129, 257 * 100], [257 * 200 + 128, 257 * 200 + 129, 65_406, 65_535]], np.uint16)
    _save(tmp_path, "a/1.png", ramp)
    _save(tmp_path, "a/2.tif", ramp)
    _save(tmp_path, "a/3.png", np.array([[0, 255, 0, 0], [255, 0, 255, 255]], np.uint8), "1")
    dataset = load_dataset(str(tmp_path))
    expected = [[0, 0, 1, 100], [200, 201, 254, 255]]
    np.testing.assert_array_equal(dataset.x[..., 0], [expected, expected, [[0, 255, 0, 0], [255, 0, 255, 255]]])


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "webp", "bmp", "tif", "tiff", "png"])
def test_formats(tmp_path, suffix):
    _save(tmp_path, f"a/1.{suffix}", np.full((8, 8, 3), 200, np.uint8))
    dataset = load_dataset(str(tmp_path))
    assert dataset.x.shape == (1, 8, 8, 3)
    np.testing.assert_allclose(dataset.x.astype(int), 200, atol=3)


def _nothing(root):
    return root, "no sub-folders; expected one sub-folder of images per class"


def _no_images(root):
    (root / "a").mkdir()
    (root / "a" / "1.txt").write_text("no image")
    return root, "no images in 1 sub-folders; expected files ending in .png .jpg .jpeg .bmp .webp .tif .tiff"


def _text(root):
    path = _save(root, "a/2.png", _gray(1))
    path.write_bytes(b"text")
    return path, "an image that cannot be decoded ("


def _truncated(root):
    path = _save(root, "a/2.png", _rgb(1, 64, 64))
    path.write_bytes(path.read_bytes()[:2000])
    return path, "an image that cannot be decoded ("


def _other_format(root):
    Image.fromarray(_gray(1)).save(root / "1.gif")
    (root / "a").mkdir()
    path = root / "a" / "1.png"
    (root / "1.gif").rename(path)
    return path, "an image that cannot be decoded ("


def _other_size(root):
    first = _save(root, "a/1.png", _gray(1))
    path = _save(root, "b/1.png", _gray(1, 4, 3))
    return path, f"an image of 3 x 4; expected 4 x 3 like {first}; resize or pad the images to one size"


def _floats(root):
    path = _save(root, "a/1.tif", np.ones((3, 4), np.float32))
    return path, "an image of mode F; expected gray or colour with 8 bits (gray also 16); convert"


@pytest.mark.parametrize("make", [_nothing, _no_images, _text, _truncated, _other_format, _other_size, _floats])
def test_unsuitable_folder(tmp_path, make):
    where, text = make(tmp_path)
    with pytest.raises(DataError) as caught:
        load_dataset(str(tmp_path))
    assert str(caught.value).startswith(f"{where}: {text}") and caught.value.exit_code == 4
    if "decoded" in text:
        assert str(caught.value).endswith("; expected PNG, JPEG, BMP, WebP or TIFF; replace or remove the file")


def test_pairs_are_those_of_equal_names(tmp_path):
    for value, name in enumerate(("input/b.png", "input/a.png", "target/a.bmp", "target/b.png")):
        _save(tmp_path, name, _gray(value, *((6, 8) if "target" in name else (3, 4))))
    dataset = load_dataset(str(tmp_path))
    assert dataset.x[:, 0, 0, 0].tolist() == [1, 0] and dataset.targets[:, 0, 0, 0].tolist() == [2, 3]
    assert dataset.targets.shape == (2, 6, 8, 1) and dataset.y is None and dataset.image
    first = load_dataset(str(tmp_path), limit=1)
    assert len(first) == 1 and first.total == 2 and first.targets[0, 0, 0, 0] == 2 and first.sha256 != dataset.sha256
    _save(tmp_path, "target/c.png", _gray(9))
    with pytest.raises(DataError, match="'c' in one of input/ and target/ alone"):
        load_dataset(str(tmp_path))


def test_a_third_folder_makes_them_classes(tmp_path):
    for name in ("input/a.png", "target/a.png", "other/a.png"):
        _save(tmp_path, name, _gray(1))
    assert load_dataset(str(tmp_path)).y.tolist() == [0, 1, 2]


def test_a_network_rebuilds_pairs_of_pictures(tmp_path):
    """Targets of 0 to 255 beside inputs of 0 to 1: a copy of the input, darker by half, is 20 log10(1 / (0.5 x)) away."""
    pytest.importorskip("skimage")
    for number in range(3):
        _save(tmp_path, f"input/{number}.png", _gray(200, 8, 8))
        _save(tmp_path, f"target/{number}.png", _gray(100, 8, 8))
    chain = Chain((1, 8, 8)).add("Conv", np.ones((1, 1, 1, 1), np.float32), kernel_shape=[1, 1])
    found = evaluate(convert(chain.model(), mode="exact"), str(tmp_path), task="reconstruction", steps=None)
    assert found.scores["psnr"].snn == pytest.approx(-20 * np.log10(100 / 255), abs=1e-3)
