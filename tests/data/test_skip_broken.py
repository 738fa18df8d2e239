"""Broken images of a folder: the first one is an error, or all are left out, named and counted; the others keep their labels."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.models import Chain, save
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.run import main as run_main
from ttfs_convert.cli.tune import main as tune_main
from ttfs_convert.data import load_dataset
from ttfs_convert.errors import DataError
from ttfs_convert.memory_bound import at_most

CLASSES = ("ant", "bee", "cat")
COUNT = 5


@pytest.fixture
def folder(tmp_path):
    """Three classes of five pictures, whose pixels say which each is."""
    for label, name in enumerate(CLASSES):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(COUNT):
            Image.fromarray(np.full((6, 6), 10 * label + number, np.uint8)).save(tmp_path / "data" / name / f"{number}.png")
    return tmp_path / "data"


def cut(path):
    path.write_bytes(path.read_bytes()[:40])  # the header is whole


def broken(folder):
    """All of the first class and some others, each in another way; how many."""
    for path in (folder / "ant").iterdir():
        cut(path)
    (folder / "bee" / "1.png").write_bytes(b"")
    (folder / "bee" / "3.png").write_text("text")
    looped, lost = folder / "cat" / "0.png", folder / "cat" / "9.png"
    looped.unlink()
    looped.symlink_to("0.png")
    lost.symlink_to("nothing.png")
    return COUNT + 4


def test_the_first_broken_one_is_an_error(folder):
    broken(folder)
    with pytest.raises(DataError, match=r"ant/0\.png: an image that cannot be decoded"):
        load_dataset(folder)


def test_the_others_keep_their_labels(folder):
    whole = load_dataset(folder)
    count = broken(folder)
    found = load_dataset(folder, skip_broken=True)
    assert sorted(zip(found.y.tolist(), found.x[:, 0, 0, 0].tolist())) == [(1, 10), (1, 12), (1, 14), (2, 21), (2, 22), (2, 23), (2, 24)]
    assert found.class_names == whole.class_names == CLASSES and found.notes[0] == whole.notes[0]
    assert len(found.skipped) == count and found.total == len(found) == 3 * COUNT + 1 - count
    assert {each.file.rsplit("/", 2)[-2] + "/" + each.file.rsplit("/", 1)[-1] for each in found.skipped} >= {"ant/4.png", "bee/3.png", "cat/9.png"}
    why = {each.file.rsplit("/", 1)[-1]: each.why for each in found.skipped if "/cat/" in each.file}
    assert set(why.values()) == {"no regular file, or a link that leads nowhere or in a loop"}
    assert found.notes[-1].startswith(f"--skip-broken: {count} broken images are left out, ") and found.notes[-1].endswith(" and 6 more")


def test_nothing_is_said_of_whole_ones(folder):
    whole, same = load_dataset(folder), load_dataset(folder, skip_broken=True)
    assert (same.skipped, same.notes, same.sha256) == ((), whole.notes, whole.sha256)


def test_a_limit_counts_whole_ones(folder):
    cut(folder / "ant" / "0.png")
    cut(folder / "cat" / "4.png")
    found = load_dataset(folder, limit=4, skip_broken=True)
    assert found.x[:, 0, 0, 0].tolist() == [10, 20, 1, 11] and found.y.tolist() == [1, 2, 0, 1]
    assert len(found.skipped) == 1  # the other one was not looked at
    assert "1 broken image is left out" in found.notes[-1]


def test_where_none_is_whole(folder):
    for path in folder.rglob("*.png"):
        cut(path)
    with pytest.raises(DataError, match=r"no image that is whole: 15 are broken; .*ant/0\.png"):
        load_dataset(folder, skip_broken=True)


def test_of_pairs_both_are_left_out(folder, tmp_path):
    (folder / "ant").rename(tmp_path / "input")
    (folder / "bee").rename(tmp_path / "target")
    for name in ("cat/0.png", "cat/1.png", "cat/2.png", "cat/3.png", "cat/4.png"):
        (folder / name).unlink()
    (folder / "cat").rmdir()
    folder.rmdir()
    cut(tmp_path / "input" / "1.png")
    cut(tmp_path / "target" / "3.png")
    with pytest.raises(DataError, match=r"input/1\.png"):
        load_dataset(tmp_path)
    found = load_dataset(tmp_path, skip_broken=True)
    assert found.x[:, 0, 0, 0].tolist() == [0, 2, 4] and found.targets[:, 0, 0, 0].tolist() == [10, 12, 14]
    assert [each.file.rsplit("/", 2)[1] for each in found.skipped] == ["input", "target"]


def test_a_link_in_place_of_a_class_would_change_labels(folder):
    (folder / "bat").symlink_to("bat")
    for skip in (False, True):
        with pytest.raises(DataError, match="bat: a link that leads nowhere or in a loop"):
            load_dataset(folder, skip_broken=skip)


def test_an_image_of_too_many_pixels_is_named_before_it_is_decoded(folder, monkeypatch):
    """Pillow's bound on attacks, lowered here: it would warn, and from twice as many on raise."""
    for pixels in (35, 17):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
        with pytest.raises(DataError, match=r"ant/0\.png: an image that cannot be decoded .*decompression bomb"):
            load_dataset(folder)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 36)
    assert len(load_dataset(folder)) == 3 * COUNT


def test_images_that_memory_does_not_hold(folder):
    with at_most(100), pytest.raises(DataError, match="15 images of 540 bytes; expected at most 100 bytes"):
        load_dataset(folder)


def test_the_commands_name_and_count_them(folder, tmp_path):
    chain = Chain((1, 6, 6), seed=3).conv(4).relu1().conv(4).relu1().readout(3)
    model, snn = save(chain.model(), tmp_path), tmp_path / "snn.npz"
    count = broken(folder)
    calibrate = (str(model), "--out", str(snn), "--steps", "10", "--compensate", "--calibrate", str(folder), "--json", str(tmp_path / "made.json"))
    runs = {
        convert_main: (*calibrate,),
        run_main: (str(snn), "--data", str(folder), "--json", str(tmp_path / "report.json")),
        tune_main: (str(snn), "--data", str(folder), "--max-drop", "90", "--json", str(tmp_path / "tuning.json")),
    }
    for command, arguments in runs.items():
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 4 and "an image that cannot be decoded" in result.stderr
        result = CliRunner().invoke(command, (*arguments, "--skip-broken"))
        assert result.exit_code in (0, 5), result.output
        assert f"--skip-broken: {count} broken images are left out" in result.stderr
    for name in ("report", "tuning"):
        skipped = json.loads((tmp_path / f"{name}.json").read_text())["data"]["skipped"]
        assert len(skipped) == count and all(each["file"].endswith(".png") and each["why"] for each in skipped)
    assert any("9 broken images" in text for text in json.loads((tmp_path / "made.json").read_text())["compensation"]["notes"])
