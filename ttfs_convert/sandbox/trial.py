"""One file of a stranger's, tried before the command itself hands it to onnx and ONNX Runtime."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from ..errors import ModelError, TtfsError
from ..memory_bound import in_words, memory_bound
from .box import SECONDS, Box
from .remembered import Passed, content_of

MODEL, NETWORK = "ttfs_convert.sandbox.probes:model", "ttfs_convert.sandbox.probes:network"
OPTION = "--no-sandbox"
ON = True  # False: nothing is tried, as with the option


class Trial(contextlib.AbstractContextManager):
    """Of the file at `path`, by `task`, MODEL or NETWORK. The process starts at once, and loads what it needs while the command does the same; none
    starts for a file that has passed before, or if not `wanted`. It ends with the context."""

    def __init__(self, task: str, path: str | Path, wanted: bool = True):
        self._task, self._path, self._box, self._request = task, Path(path), None, None
        self._passed = Passed(task, path) if wanted and ON else None
        if self._passed is not None and not self._passed.any:
            self._box = Box(task)

    def ask(self, **asked: object) -> None:
        """Have it tried with what the command was asked, besides its path; `passes` waits for the answer. All has to be JSON."""
        if self._passed is None or self._passed.holds(asked):
            return
        self._request = asked
        if self._box is None:
            self._box = Box(self._task)
        self._box.ask({"path": str(self._path.absolute()), **asked, "memory": memory_bound()}, memory_bound(), SECONDS)

    def passes(self) -> None:
        """Raise ModelError where what was asked ended in a crash, took too much memory or too long. An error that has a message of its own is left
        to the command, which will meet it, too."""
        if self._passed is None or self._box is None or self._request is None:
            return
        answer = self._box.answer()
        if answer == "passed":
            self._passed.add(self._request, {} if self._task == NETWORK else _beside(self._path))
        elif answer == "none":
            raise TtfsError(str(self._path), "no process could be started to try it in", remedy=f"if you trust it, {OPTION}")
        elif answer != "refused":
            raise ModelError(
                str(self._path), _found(answer, self._box), "a model that loads and runs", f"do without it, or, if you trust it, {OPTION}"
            )
        self._request = None

    def __exit__(self, *_: object) -> None:
        if self._box is not None:
            self._box.__exit__()


def trust(path: str | Path) -> None:
    """Remember the network at `path`, which this user's own command has just written, as one that passed."""
    if ON:
        Passed(NETWORK, path).add({"onnx": None}, {})


def _found(answer: str, box: Box) -> str:
    trying = "when it was tried in a process of its own"
    if answer == "time":
        return f"onnx and ONNX Runtime took more than {SECONDS:.0f} seconds {trying}"
    if answer == "memory":
        return f"onnx and ONNX Runtime asked for more than {in_words(memory_bound())} of memory {trying}"
    return f"onnx or ONNX Runtime crashed{box.signal} {trying}"


def _beside(path: Path) -> Mapping[str, str]:
    """SHA-256 of the files with the model's weights."""
    from ..onnx_model.external_data import external_files
    from ..onnx_model.read import parsed

    files = external_files(parsed(path), path.parent)
    return {file.relative_to(path.parent).as_posix(): content_of(file) or "" for file in files}
