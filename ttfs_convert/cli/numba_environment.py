"""Numba's environment variables, which it reads as it is imported: what it cannot read would end in a traceback, or in a warning that shows one."""

from __future__ import annotations

import os
import warnings

MOST_THREADS = 1024
_PROBLEMS: list[str] = []


def set_aside() -> None:
    """Import Numba, without variables that it cannot be imported with; `check_numba_environment` says which."""
    threads = os.environ.get("NUMBA_NUM_THREADS")
    if threads is not None and not (threads.isdecimal() and len(threads) < 9 and 1 <= int(threads) <= MOST_THREADS):
        _PROBLEMS.append(f"NUMBA_NUM_THREADS is {threads!r}, which is no number from 1 to {MOST_THREADS}")
        del os.environ["NUMBA_NUM_THREADS"]
    if any(name.startswith("NUMBA_") for name in os.environ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import numba  # noqa: F401
        found = [str(each.message).splitlines()[0] for each in caught]
        _PROBLEMS.extend(line for line in found if line.startswith("Environment variable"))


def check_numba_environment() -> None:
    """Raise UsageError for variables that Numba does not understand."""
    from ..errors import UsageError

    if any(name.startswith("NUMBA_") for name in os.environ) and not _PROBLEMS:
        import numba

        try:
            numba.get_num_threads()  # loads the threading layer
        except ValueError as error:
            _PROBLEMS.append(str(error).splitlines()[0])
    if _PROBLEMS:
        raise UsageError("environment", _PROBLEMS[0], "variables that Numba understands", "unset those that begin with NUMBA_")
