"""One family of errors: where, what was found, what was expected, what to do. Each class knows the exit code of the commands."""

from __future__ import annotations

from .shown import shown_text


class TtfsError(Exception):
    """A problem the user can act on; its text is one line.

    where: the node, layer, file or option. found, expected, remedy: phrases without a final stop; the last two may be empty.
    """

    exit_code = 1

    def __init__(self, where: str, found: str, expected: str = "", remedy: str = ""):
        parts = [f"{where}: {found}", f"expected {expected}" if expected else "", remedy]
        super().__init__(shown_text("; ".join(" ".join(part.split()) for part in parts if part)))
        self.where, self.found, self.expected, self.remedy = where, found, expected, remedy


class UsageError(TtfsError):
    """Options that do not fit together, or a value out of its range."""

    exit_code = 2


class ModelError(TtfsError):
    """A model or network file that is broken, unsupported, or not convertible in the mode asked for."""

    exit_code = 3


class DataError(TtfsError):
    """Data that is missing, broken, or does not fit the model's input."""

    exit_code = 4
