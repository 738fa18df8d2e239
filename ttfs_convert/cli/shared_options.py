"""Options that several commands take: which data, which grid, which output labels judge."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from ..kernels.rounding import MAX_STEPS
from ..memory_bound import at_most
from ..tasks.task_names import TASK_NAMES

if TYPE_CHECKING:
    from ..network.network import Network


class Steps(click.ParamType):
    """A whole number of steps, or `continuous`, which becomes 0."""

    name = "steps"

    def get_metavar(self, param, ctx=None) -> str:
        """What help calls the value."""
        return "N|continuous"

    def convert(self, value, param, ctx) -> int:
        """N from 1 to 65535, or 0."""
        if value in ("continuous", 0):
            return 0
        try:
            steps = int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor 'continuous'", param, ctx)
        if not 1 <= steps <= MAX_STEPS:
            self.fail(f"{steps} is not between 1 and {MAX_STEPS}", param, ctx)
        return steps


class Memory(click.ParamType):
    """A number of bytes, with a unit if it is followed by one."""

    name = "size"
    UNITS = MappingProxyType({"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40})

    def convert(self, value, param, ctx) -> int:
        """Bytes."""
        if isinstance(value, int):
            return value
        text = value.strip().upper().removesuffix("B").removesuffix("I")
        unit = self.UNITS.get(text[-1:], 1)
        try:
            size = float(text if unit == 1 else text[:-1]) * unit
        except ValueError:
            size = math.nan
        if not 1 <= size < 1 << 62:
            self.fail(f"{value!r} is no size such as 500M or 8G", param, ctx)
        return int(size)


def bounded(command: Callable) -> Callable:
    """Adds `--max-memory`, and runs the command inside that bound."""

    @functools.wraps(command)
    def within(*arguments, max_memory: int | None, **options):
        with at_most(max_memory):
            return command(*arguments, **options)

    return click.option(
        "--max-memory",
        type=Memory(),
        metavar="SIZE",
        help="The most that the sizes of a network may ask for, such as 8G; three quarters of the machine's, or what limits leave, by default.",
    )(within)


def sandboxed(command: Callable) -> Callable:
    """Adds `--no-sandbox`."""
    return click.option(
        "--no-sandbox",
        is_flag=True,
        help="Hand the models to onnx and ONNX Runtime at once. Else a file that is new here is first tried in a process of its own, with limits on "
        "memory and time, so that one made to crash them is one line and exit 3.",
    )(command)


def batched(command: Callable) -> Callable:
    """Adds `--batch`."""
    return click.option(
        "--batch",
        type=click.IntRange(min=1),
        metavar="N",
        help="Samples at a time; changes no figure but time and memory.  [default: 64, or fewer of a network so large that these would take more "
        "memory than its weights]",
    )(command)


def skipping(command: Callable) -> Callable:
    """Adds `--skip-broken`."""
    text = "Leave images of a folder out that cannot be decoded, and name them; labels of the others stay. Without it the first one is an error."
    return click.option("--skip-broken", is_flag=True, help=text)(command)


def on_grid(network: Network, steps: int | None, rounding: str | None, input_steps: int | None = None) -> Network:
    """`network` with the grid that `--steps` (None: its own; 0: continuous time), `--rounding` and `--input-steps` ask for."""
    if steps is not None:
        network = network.with_steps(steps or None, rounding)
    elif rounding is not None:
        network = network.changed(rounding=rounding)
    return network if input_steps is None else network.with_input_steps(input_steps)


def judging(command: Callable) -> Callable:
    """Options that say what networks are judged by, which output, and how."""
    for option in (
        click.option(
            "--task",
            type=click.Choice(TASK_NAMES),
            help="What the network is for: accuracy of labels; PSNR and SSIM against targets y, else the input itself (needs the extra signals); "
            "RMSE, MAE and R^2 against targets; mean IoU and accuracy of label maps; "
            "SI-SDR, PESQ and STOI of speech (of ttfs-run alone; needs the extra speech). By default what labels and outputs leave no doubt about.",
        ),
        click.option(
            "--decision-threshold",
            type=float,
            metavar="X",
            help="A lone output means class 1 from X on; needed where its bounds do not say: 0.5 in [0, 1], 0 if it has none or symmetric ones.",
        ),
        click.option("--output", metavar="NAME", help="The model's output that labels judge; the first by default."),
    ):
        command = option(command)
    return command
