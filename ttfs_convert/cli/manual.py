"""CLI.md from the commands themselves:  python -m ttfs_convert.cli.manual > CLI.md

docs/api.md from the docstrings:  python -m ttfs_convert.cli.manual api > docs/api.md
"""

from __future__ import annotations

import sys

import click

from ..tables import widths
from .api_manual import api_reference
from .command_list import COMMANDS


def reference() -> str:
    """The whole text of CLI.md: each command's help and the table of operators."""
    from ..lowering.decomposition.decomposed import RULES
    from ..lowering.operators.probed import INPUTS
    from ..lowering.operators.table import OPERATORS, QUANTISED, REMEDIES, TAIL_MACS, TAIL_OPERATORS
    from ..onnx_model.randomness import RANDOM

    parts = ["# Command line", "", "Generated from the commands' help by `python -m ttfs_convert.cli.manual > CLI.md`.", ""]
    for name, command in COMMANDS.items():
        context = click.Context(command, info_name=name, terminal_width=widths.HELP, **command.context_settings)
        parts += [f"## {name}", "", "```", command.get_help(context).rstrip(), "```", ""]
    parts += ["## Operators", "", "| ONNX operator | what is taken |", "|---|---|"]
    parts += [f"| {name} | {operator.takes} |" for name, operator in OPERATORS.items()]
    parts += [
        f"| {name} | at the output: ONNX Runtime runs it on the potentials, and whatever follows; of the network's multiply-accumulates at "
        f"most {TAIL_MACS:.0%} |"
        for name in TAIL_OPERATORS
    ]
    parts += [
        f"| any other | if it is linear in its one computed input, of at most {INPUTS:,} elements: as the matrix that ONNX Runtime gives for it |"
    ]
    parts += ["", "Rewritten in mode exact, as functions of one tensor and linear operators:", "", "| ONNX operator | what is taken |", "|---|---|"]
    parts += [f"| {name} | {rule.takes} |" for name, rule in RULES.items()]
    parts += [
        "",
        "Refused in the middle of a network, and why (before its first and behind its last layer ONNX Runtime runs them). Mode exact takes some of "
        "them. With --allow-analog ONNX Runtime runs those that it does not take, and any other node without a spiking form, between two windows; "
        "not the operators of networks that others have quantised:",
        "",
        "| ONNX operator | why | what to do | with --allow-analog |",
        "|---|---|---|---|",
    ]
    parts += [
        f"| {name} | {why} | {remedy} | {'refused' if name in QUANTISED else 'spikes, else analog' if name in RULES else 'analog'} |"
        for name, (why, remedy) in sorted(REMEDIES.items())
    ]
    parts += [
        "",
        f"Refused everywhere, for they do not give the same results every time: {', '.join(RANDOM)}; Dropout and BatchNormalization in "
        "training mode.",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(api_reference() if sys.argv[1:] == ["api"] else reference(), end="")
