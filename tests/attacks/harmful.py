"""What files might do to the process that tries them, without such a file: tasks of `ttfs_convert.sandbox.box.Box`."""

import os
import sys
import time
from pathlib import Path


def passes(request) -> None:
    """As good files do."""


def raises(request) -> None:
    raise ValueError("of Python's own")


def lacks_memory(request) -> None:
    raise RuntimeError("std::bad_alloc")  # as ONNX Runtime tells it


def fills_memory(request) -> None:
    held = []
    while True:
        held.append(bytearray(64 << 20))


def aborts(request) -> None:
    os.abort()


def leaves(request) -> None:
    os._exit(7)


def hangs(request) -> None:
    time.sleep(600)


def spins(request) -> None:
    while True:
        pass


def writes_much(request) -> None:
    """On standard output, which is not the answer."""
    os.write(1, b"passed" * 10000)
    raise ValueError


def hangs_after_its_pid(request) -> None:
    Path(request["path"] + ".pid").write_text(str(os.getpid()))
    time.sleep(600)


def may_not_dump_core(request) -> None:
    import resource

    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


def knows_no_working_folder(request) -> None:
    assert "" not in sys.path and os.getcwd() not in sys.path
