"""The documents say what the code does."""

import re
from pathlib import Path

from ttfs_convert.cli.reference import COMMANDS, reference

ROOT = Path(__file__).parent.parent


def test_cli_reference_is_current():
    assert (ROOT / "CLI.md").read_text() == reference(), "run: python -m ttfs_convert.cli.reference > CLI.md"


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
