"""Many kernel calls as one: what a network does with a batch, without Python in between, which takes longer than a small layer's sums.

Calls are recorded while they are made, written to a table of integers, and made again on other data by `run`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.np.numpy_support import carray

from ._jit import intrinsic, jit
from ._threads import Call, left_to, share, with_helpers
from .integrate import integrate, integrate_shared
from .pool import average_pool_decoded_rows, average_pool_decoded_shared, max_pool_rows, max_pool_shared
from .threshold import encode_rows, encode_shared

BYTES, SINGLES, DOUBLES, INTEGERS = np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
ARGUMENTS = {  # of each function `run` can call: arrays by dtype and dimensions, or so many integers, or one float
    integrate_shared: (
        (BYTES, 4),
        (SINGLES, 4),
        (SINGLES, 1),
        (INTEGERS, 1),
        (INTEGERS, 1),
        (INTEGERS, 1),
        (INTEGERS, 1),
        4,
        (SINGLES, 2),
        (BYTES, 4),
        (DOUBLES, 3),
        (SINGLES, 3),
        (SINGLES, 4),
        (BYTES, 4),
    ),
    encode_shared: ((SINGLES, 3), (SINGLES, 1), (SINGLES, 1), 1, float, (BYTES, 3)),
    average_pool_decoded_shared: ((BYTES, 4), 1, (SINGLES, 2), 2, 2, 2, 2, (SINGLES, 4)),
    max_pool_shared: ((BYTES, 4), 1, 2, 2, 2, 2, (BYTES, 4)),
}
HEAD = 3  # of a row: which function, items, chunk; then the arguments, an array as base, offset and shape


def _places(arguments) -> tuple[int, ...]:
    """Where in its row each argument begins."""
    sizes = [2 + each[1] if isinstance(each, tuple) else 1 if each is float else each for each in arguments]
    return tuple(HEAD + sum(sizes[:k]) for k in range(len(sizes)))


_INTEGRATE, _ENCODE, _AVERAGE_POOL, _MAX_POOL = (_places(arguments) for arguments in ARGUMENTS.values())


def table(calls: Sequence[Call], place: Callable[[np.ndarray], tuple[int, int]]) -> np.ndarray | None:
    """What `run` reads, int64, one row per call; None if it cannot make one of them. place: an array's base and offset."""
    functions = list(ARGUMENTS)
    if not all(call.shared in ARGUMENTS and all(map(_fits, call.arguments, ARGUMENTS[call.shared])) for call in calls):
        return None
    rows = [
        [functions.index(call.shared), call.items, call.chunk, *(number for each in call.arguments for number in _numbers(each, place))]
        for call in calls
    ]
    width = max(map(len, rows), default=HEAD)
    return np.array([row + [0] * (width - len(row)) for row in rows], np.int64).reshape(-1, width)


@contextmanager
def through_run(calls: list[Call] | None = None) -> Iterator[None]:
    """Inside, what this thread does `in_parallel` is done by `run`, which then is all the compiled code that is needed; and appended to `calls`.
    Hold CALLER."""

    def make(call: Call) -> None:
        if calls is not None:
            calls.append(call)
        alone = table([call], lambda array: (0, address(array)))
        if alone is None:
            with_helpers(call.shared, call.items, call.chunk, *call.arguments)
        else:
            with_helpers(run, alone, np.zeros(1, np.int64))

    with left_to(make):
        yield


def address(array: np.ndarray) -> int:
    """Of the first element of `array` in memory."""
    return array.__array_interface__["data"][0]


def _fits(argument, expected) -> bool:
    if isinstance(expected, tuple):
        return isinstance(argument, np.ndarray) and (argument.dtype, argument.ndim) == expected and argument.flags.c_contiguous
    return isinstance(argument, float) == (expected is float)


def _numbers(argument, place) -> Sequence[int]:
    if isinstance(argument, np.ndarray):
        return *place(argument), *argument.shape
    if isinstance(argument, float):
        return (int(np.float64(argument).view(np.int64)),)
    return argument if isinstance(argument, tuple) else (int(argument),)


@intrinsic
def _pointer(typing_context, address):
    def codegen(context, b, sig, args):
        return b.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(address), codegen


@jit(inline="always")
def _array_1(row, k, bases, dtype):
    return carray(_pointer(bases[row[k]] + row[k + 1]), (row[k + 2],), dtype)


@jit(inline="always")
def _array_2(row, k, bases, dtype):
    return carray(_pointer(bases[row[k]] + row[k + 1]), (row[k + 2], row[k + 3]), dtype)


@jit(inline="always")
def _array_3(row, k, bases, dtype):
    return carray(_pointer(bases[row[k]] + row[k + 1]), (row[k + 2], row[k + 3], row[k + 4]), dtype)


@jit(inline="always")
def _array_4(row, k, bases, dtype):
    return carray(_pointer(bases[row[k]] + row[k + 1]), (row[k + 2], row[k + 3], row[k + 4], row[k + 5]), dtype)


@jit(inline="always")
def _pair(row, k):
    return row[k], row[k + 1]


@jit()
def run(state, table, bases):
    """Make the calls of a `table`, one after the other. state: of a team of threads. bases: int64, addresses that offsets are added to. Nothing
    is checked."""
    for number in range(table.shape[0]):
        row = table[number]
        function, items, chunk = row[0], row[1], row[2]
        if function == 0:
            k = _INTEGRATE
            share(
                integrate,
                state,
                items,
                chunk,
                (
                    _array_4(row, k[0], bases, np.uint8),
                    _array_4(row, k[1], bases, np.float32),
                    _array_1(row, k[2], bases, np.float32),
                    _array_1(row, k[3], bases, np.int64),
                    _array_1(row, k[4], bases, np.int64),
                    _array_1(row, k[5], bases, np.int64),
                    _array_1(row, k[6], bases, np.int64),
                    (row[k[7]], row[k[7] + 1], row[k[7] + 2], row[k[7] + 3]),
                    _array_2(row, k[8], bases, np.float32),
                    _array_4(row, k[9], bases, np.uint8),
                    _array_3(row, k[10], bases, np.float64),
                    _array_3(row, k[11], bases, np.float32),
                    _array_4(row, k[12], bases, np.float32),
                    _array_4(row, k[13], bases, np.uint8),
                ),
            )
        elif function == 1:
            k = _ENCODE
            share(
                encode_rows,
                state,
                items,
                chunk,
                (
                    _array_3(row, k[0], bases, np.float32),
                    _array_1(row, k[1], bases, np.float32),
                    _array_1(row, k[2], bases, np.float32),
                    row[k[3]],
                    row[k[4] : k[4] + 1].view(np.float64)[0],
                    _array_3(row, k[5], bases, np.uint8),
                ),
            )
        elif function == 2:
            k = _AVERAGE_POOL
            share(
                average_pool_decoded_rows,
                state,
                items,
                chunk,
                (
                    _array_4(row, k[0], bases, np.uint8),
                    row[k[1]],
                    _array_2(row, k[2], bases, np.float32),
                    _pair(row, k[3]),
                    _pair(row, k[4]),
                    _pair(row, k[5]),
                    _pair(row, k[6]),
                    _array_4(row, k[7], bases, np.float32),
                ),
            )
        elif function == 3:
            k = _MAX_POOL
            share(
                max_pool_rows,
                state,
                items,
                chunk,
                (
                    _array_4(row, k[0], bases, np.uint8),
                    np.uint8(row[k[1]]),
                    _pair(row, k[2]),
                    _pair(row, k[3]),
                    _pair(row, k[4]),
                    _pair(row, k[5]),
                    _array_4(row, k[6], bases, np.uint8),
                ),
            )
