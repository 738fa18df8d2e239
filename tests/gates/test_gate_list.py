"""Gates as they are given."""

import pytest

from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.gates.gate_list import Gate, gates_of, merged, parsed_gate, read_gates


def write(folder, text):
    path = folder / "gates.toml"
    path.write_text(text)
    return path


def test_a_file_says_all_kinds(tmp_path):
    path = write(
        tmp_path,
        '[project]\nname = "x"\n[tool.ttfs]\nmax-drop = { accuracy = 0.5, psnr = 0.1 }\nmin-agreement = 99\nmax-layer-error = 0.01\n'
        "max-p-proxy = 3e7\nmax-latency = 350\n[tool.ttfs.max-regression]\nlatency = 0\n",
    )
    assert read_gates(path) == (
        Gate("max-drop", 0.5, "accuracy"),
        Gate("max-drop", 0.1, "psnr"),
        Gate("min-agreement", 99),
        Gate("max-layer-error", 0.01),
        Gate("max-p-proxy", 3e7),
        Gate("max-latency", 350),
        Gate("max-regression", 0, "latency"),
    )


@pytest.mark.parametrize(
    "text, error, message",
    (
        ("[tool.ttfs]\nmax-drp = 1", UsageError, r"\[tool.ttfs\]: key 'max-drp'; expected one of max-drop, .*; perhaps max-drop is meant"),
        ("[tool.ttfs]\nmax-drop = '1'", UsageError, "max-drop = '1'; expected a number, or a table"),
        ("[tool.ttfs]\nmax-drop = true", UsageError, "max-drop = True; expected a number"),
        ("[tool.ttfs]\nmax-latency = { a = 1 }", UsageError, "max-latency = {'a': 1}; expected a number$"),
        ("[tool.ttfs]\nmax-drop = -1", UsageError, "max-drop: -1; expected a number from 0 up"),
        ("[tool.ttfs]\nmax-drop = nan", UsageError, "max-drop: nan; expected a number from 0 up"),
        ("[tool.ttfs]\nmin-agreement = 101", UsageError, "min-agreement: 101; expected 0 to 100, in percent"),
        ("tool = 1", DataError, r"no table \[tool.ttfs\]"),
        ("[tool.ttfs]\n", DataError, r"no table \[tool.ttfs\]"),
        ("[tool.ttfs", DataError, "no TOML"),
    ),
)
def test_another_file_is_refused(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        read_gates(write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_gates(tmp_path / "none.toml")


@pytest.mark.parametrize("text", ("", "x", "=1", "psnr=", "-1", "inf", "nan"))
def test_another_option_is_refused(text):
    with pytest.raises(UsageError, match="--max-drop: .*MEASURE=X such as psnr=0.1"):
        parsed_gate("max-drop", text)


def test_the_later_limit_counts():
    found = merged(gates_of({"max-drop": {"psnr": 1, "ssim": 2}, "max-latency": 9}), [parsed_gate("max-drop", "psnr=3"), Gate("min-agreement", 9)])
    assert found == (Gate("max-drop", 3, "psnr"), Gate("max-drop", 2, "ssim"), Gate("max-latency", 9), Gate("min-agreement", 9))
