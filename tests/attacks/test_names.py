"""Names of layers are data: shown escaped and shortened, never interpreted, and every file that holds them can be written and read."""

import json

import numpy as np
import pytest

from tests.attacks.conftest import run
from ttfs_convert.network.store import load, save
from ttfs_convert.shown import NAME, shown, shown_text
from ttfs_convert.simulation.spike_file import load_spikes

NAMES = (
    "[/red]",
    "[bold]x[/bold]",
    "\x1b[2Jx",
    "a\0b",
    "\ud800",
    "x" * 10**6,
    "<script>alert(1)</script>",
    "\u202egnp.exe",
    "a\r\nb",
    "../../etc/x",
    "",
)


def renamed(name):
    def change(manifest, arrays):
        old = manifest["layers"][1]["name"]
        for layer in manifest["layers"]:
            layer["name"] = name if layer["name"] == old else layer["name"]
            if layer.get("source") == old:
                layer["source"] = name
            for connection in layer.get("connections", ()):
                connection["source"] = name if connection["source"] == old else connection["source"]

    return change


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_layer_of_any_name_is_run_and_shown(attacked, small, tmp_path, name):
    path = attacked(renamed(name))
    files = {option: tmp_path / f"out.{option}" for option in ("json", "html", "spikes", "markdown", "junit")}
    options = [part for option, file in files.items() for part in (f"--{option}", file)]
    result = run(path, "--data", small / "d.npz", "--limit", "4", "--histogram", "--max-drop", "100", *options)
    assert result.exit_code in (0, 5, 99) and len(result.output) < 40_000
    assert not set("\x1b\0\r\ud800\u202e").intersection(result.output)
    assert name not in NAMES[:2] or name in result.output
    assert name in [layer["name"] for layer in json.loads(files["json"].read_text())["layers"]]
    page = files["html"].read_text()
    assert "<script>alert" not in page and len(page) < 200_000
    recording, _ = load_spikes(files["spikes"])
    assert name in recording.spike_times and recording.spike_times[name].shape[0] == 4
    save(load(path), tmp_path / "again.npz")
    assert load(tmp_path / "again.npz").layers[1].name == name


def test_names_in_one_line():
    assert shown("conv1/weights") == "conv1/weights" and shown("図 é") == "図 é"
    assert shown("a\x1b[2J\n\0\ud800\u2028") == "a\\x1b[2J\\n\\x00\\ud800\\u2028"
    long = shown("a" * 500 + "b" * 500)
    assert len(long) < NAME + 40 and long.startswith("aaa") and "bbb(1,000 characters)" in long
    assert shown_text("two\tcolumns\nand " + "w" * 1000).startswith("two\tcolumns\nand wwww") and len(shown_text("w " * 10**6)) < 5000


def test_file_names_in_messages_are_data(tmp_path):
    result = run(tmp_path / "no\x1b[2Jsuch.npz", "--data", "mnist")
    assert result.exit_code == 2 and "\x1b" not in result.output
    odd = tmp_path / "odd\x1b[2J.npz"
    np.savez(odd, x=np.zeros(3))
    result = run(odd, "--data", "mnist")
    assert result.exit_code == 3 and "\x1b" not in result.output and "odd\\x1b[2J.npz" in result.output
