"""The documents say what the code does."""

import re
from pathlib import Path

from ttfs_convert.cli.api_manual import api_reference
from ttfs_convert.cli.commands import COMMANDS
from ttfs_convert.cli.manual import reference

ROOT = Path(__file__).parent.parent


def test_cli_reference_is_current():
    assert (ROOT / "CLI.md").read_text() == reference(), "run: python -m ttfs_convert.cli.manual > CLI.md"


def test_api_reference_is_current():
    assert (ROOT / "docs" / "api.md").read_text() == api_reference(), "run: python -m ttfs_convert.cli.manual api > docs/api.md"


def test_every_option_has_a_help_text():
    for command in COMMANDS.values():
        assert command.help
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.help, parameter.name


def test_operator_recipe_names_files_that_exist():
    recipe = (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`((?:lowering|simulate|measure)/\w+\.py)`", recipe):
        assert (ROOT / "ttfs_convert" / name).exists(), name
    for name in re.findall(r"`((?:ttfs_convert|tests|kernels)/[\w./]*)`", recipe):
        assert (ROOT / name).exists(), name


def masked(text):
    """Lines without their figures, which differ in the last digits between processors, and without the widths that follow from them."""
    return {" ".join(re.sub(r"[-+]?\d[\d.,]*(e[-+]\d+)?", "#", line).replace("─", "").split()) for line in text.splitlines()}


def test_readme_shows_what_the_commands_print(tmp_path):
    from click.testing import CliRunner

    readme = (ROOT / "README.md").read_text()
    example = ROOT / "examples" / "fashion_mnist"
    convert, run = COMMANDS["ttfs-convert"], COMMANDS["ttfs-run"]
    converted = CliRunner().invoke(convert, [str(example / "model.onnx"), "--out", str(tmp_path / "snn.npz")])
    result = CliRunner().invoke(run, [str(tmp_path / "snn.npz"), "--data", str(example / "images.npz"), "--max-drop", "0.5"])
    assert converted.exit_code == 0 and result.exit_code == 0
    printed = masked(converted.stdout.replace(str(tmp_path / "snn.npz"), "snn.npz") + result.stdout + result.stderr)
    assert len(printed) > 25 and printed - masked(readme) == set()
    assert "@@" not in readme
