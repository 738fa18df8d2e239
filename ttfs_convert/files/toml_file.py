"""Reads a TOML file: a gate list or a cost table."""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import DataError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports] - of Python 3.10 alone

LARGEST = 1 << 20  # bytes


def read_toml(path: str | Path, expected: str) -> dict:
    """Its content. expected: what was asked for, for the message. Raises DataError for a file that cannot be read, has more than `LARGEST` bytes, or
    is no TOML."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise DataError(str(path), f"more than {LARGEST:,} bytes", expected)
        return tomllib.loads(content.decode("utf-8").replace("\r\n", "\n"))
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror or error})", expected) from error
    except (ValueError, RecursionError) as error:  # of TOML, UTF-8, numbers of thousands of digits, brackets within brackets
        raise DataError(str(path), f"no TOML ({error})", expected) from error
