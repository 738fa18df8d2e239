"""No option writes over what a command reads, whatever the file is called."""

import os
import shutil

import onnx
import pytest
from click.testing import CliRunner

from attacks.small_network import small_model
from tests.attacks.conftest import assert_refused, run
from ttfs_convert.cli.convert import main as convert_main


@pytest.fixture
def files(small, tmp_path):
    for name in ("snn.npz", "d.npz"):
        shutil.copy(small / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("option", ("--json", "--spikes", "--html", "--junit", "--markdown"))
@pytest.mark.parametrize("victim", ("snn.npz", "d.npz"))
def test_inputs_stay_as_they_were(files, option, victim):
    before = (files / victim).read_bytes()
    (files / "folder").mkdir()
    (files / "link.npz").symlink_to(files / victim)
    os.link(files / victim, files / "hard.npz")
    for spelling in (files / victim, files / "folder" / ".." / victim, files / "link.npz", files / "hard.npz", os.path.relpath(files / victim)):
        result = run(files / "snn.npz", "--data", files / "d.npz", "--max-drop", "99", option, spelling)
        assert_refused(result, 2, option, "which would be written over")
        assert (files / victim).read_bytes() == before


def test_nothing_is_written_over_a_sample_in_a_folder_of_data(files):
    (files / "data" / "class").mkdir(parents=True)
    (files / "data" / "class" / "a.png").write_bytes(b"a picture")
    result = run(files / "snn.npz", "--data", files / "data", "--json", files / "data" / "class" / "a.png")
    assert_refused(result, 2, "--json", "which would be written over")


def test_a_file_with_the_longest_name_is_written(files):
    name = "x" * 250 + ".json"
    assert run(files / "snn.npz", "--data", files / "d.npz", "--json", files / name).exit_code == 0
    assert (files / name).exists()


@pytest.mark.parametrize("option", ("--out", "--json"))
@pytest.mark.parametrize("victim", ("model.onnx", "weights.bin", "d.npz"))
def test_a_conversion_writes_over_nothing_that_it_reads(files, option, victim):
    onnx.save(small_model(), files / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    before = (files / victim).read_bytes()
    options = ["--out", files / "new.npz"] if option != "--out" else []
    arguments = [files / "model.onnx", "--mode", "exact", "--calibrate", files / "d.npz", *options, option, files / victim]
    result = CliRunner().invoke(convert_main, [str(argument) for argument in arguments])
    assert_refused(result, 2, option, "which would be written over")
    assert (files / victim).read_bytes() == before and not (files / "new.npz").exists()
