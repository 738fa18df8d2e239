"""Several threads for one kernel call. The caller works too, and waits for nobody who has not begun.

The helpers wait in compiled code, without Python's lock: a layer takes less time than Python needs to hand it over, or than a sleeping
thread needs to wake up. OpenMP's loops end when every thread has come; on a machine with other work that takes a scheduler's time slice,
many times what a layer takes. Here a helper that comes late finds nothing left to do.
"""

# Without compilation, a plain function stands in for the intrinsic.
# pyright: reportRedeclaration=false

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types

from ._jit import JIT_OFF, intrinsic, jit
from ._llvm import I64, data, integer

SERIAL_ELEMENTS = 10_000  # of elementwise work: sharing less takes longer
CHUNKS_PER_THREAD = 8  # where there are as many items, so that one who is held up leaves the rest to the others
LOOKS = 40_000  # about a millisecond

LINE = 8  # int64 of a cache line
CALL, INSIDE, BUSY, SEATS, FUNCTION, ARGUMENTS, ITEMS, CHUNK, PARTS, FAILED, NEXT = range(0, 11 * LINE, LINE)  # of a team's int64 state, each on
# a line of its own; from NEXT on one for each thread
PARAMETERS = types.voidptr, types.int64, types.int64  # of what `_outline` makes: its argument, and a range of items


@intrinsic
def _now(typing_context, state, k):
    """state[k], read anew each time."""

    def codegen(context, b, sig, args):
        return b.load_atomic(b.gep(data(context, b, sig, args, 0), [args[1]]), "seq_cst", 8)

    return types.int64(state, k), codegen


@intrinsic
def _raise(typing_context, state, k, amount):
    """state[k] += amount, in one step for all threads; what it was."""

    def codegen(context, b, sig, args):
        return b.atomic_rmw("add", b.gep(data(context, b, sig, args, 0), [args[1]]), args[2], "seq_cst")

    return types.int64(state, k, amount), codegen


@intrinsic
def _pause(typing_context):
    """Leave the core's units to its other thread for some cycles."""

    def codegen(context, b, sig, args):
        if b.module.triple.startswith(("x86", "i686", "amd64")):
            b.call(b.module.declare_intrinsic("llvm.x86.sse2.pause", (), ir.FunctionType(ir.VoidType(), [])), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _give_way(typing_context):
    """Let another thread have this core, if one waits for it."""

    def codegen(context, b, sig, args):
        name = "SwitchToThread" if os.name == "nt" else "sched_yield"
        b.call(cgutils.get_or_insert_function(b.module, ir.FunctionType(ir.IntType(32), []), name), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _call(typing_context, function, argument, first, past):
    """Call what `_outline` made, for the items of a range; 1 if that raised an error, else 0."""

    def codegen(context, b, sig, args):
        function = b.inttoptr(args[0], _function_type(context).as_pointer())
        arguments = [b.inttoptr(args[1], cgutils.voidptr_t), *args[2:]]
        status, _ = context.call_conv.call_function(b, function, types.none, PARAMETERS, arguments)
        return b.zext(status.is_error, I64)

    return types.int64(function, argument, first, past), codegen


@jit()
def _work(state, function, argument, thread):
    """Do chunks of the call under way until nobody has to begin one: first of this thread's own part of the items, which from call to call
    is the same share of the images or weights and so in its core's cache, then of the others'. 1 if there was an error, else 0."""
    chunk, items, parts = state[CHUNK], state[ITEMS], state[PARTS]
    for k in range(parts):
        part = (thread + k) % parts
        past = (part + 1) * items // parts
        first = _raise(state, NEXT + part * LINE, chunk)
        while first < past:
            if _call(function, argument, first, min(first + chunk, past)):
                return 1
            first = _raise(state, NEXT + part * LINE, chunk)
    return 0


@jit()
def _shared_out(state, items, chunk, function, argument):
    """Whether the team of `state` has done what `share` is asked for; if not, it has to be done alone."""
    if chunk >= items:
        return False
    if _raise(state, BUSY, 1) > 0:
        _raise(state, BUSY, -1)
        return False
    state[FUNCTION], state[ARGUMENTS] = function, argument
    parts = state[SEATS] + 1
    state[ITEMS], state[CHUNK], state[PARTS] = items, chunk, parts
    for part in range(parts):
        state[NEXT + part * LINE] = part * items // parts
    _raise(state, CALL, 1)  # odd: open
    _raise(state, FAILED, _work(state, function, argument, 0))
    _raise(state, CALL, 1)
    looks = 0
    while _now(state, INSIDE) > 0:
        looks += 1
        if looks % 1024 == 0:
            _give_way()
        _pause()
    _raise(state, BUSY, -1)
    return True


@intrinsic
def share(typing_context, kernel, state, items, chunk, arguments):
    """kernel(first, past, *arguments) for ranges that make up 0 to `items`, on the threads of a team. For compiled code alone.

    kernel: compiled by `_jit.jit`; an item must not depend on another. state: a team's. A team that works for somebody else is not waited for.
    What the threads do is compiled once, for all kernels: they are called by their addresses.
    """
    shared_out = typing_context.resolve_value_type(_shared_out)
    on_team = shared_out.get_call_type(typing_context, (state, *[types.int64] * 4), {})
    inner = kernel.get_call_type(typing_context, (types.int64, types.int64, *arguments), {})

    def codegen(context, b, sig, args):
        def call(builder, first, past, values):
            values = cgutils.unpack_tuple(builder, values)
            function = context.get_function(kernel, inner)
            context.add_linking_libs(getattr(function, "libs", ()))
            function(builder, [first, past, *values])

        outlined, place = _outline(context, b, args[4], call)
        function = context.get_function(shared_out, on_team)
        context.add_linking_libs(getattr(function, "libs", ()))
        done = function(b, [args[1], args[2], args[3], b.ptrtoint(outlined, I64), b.ptrtoint(place, I64)])
        with b.if_then(b.not_(context.is_true(b, types.boolean, done))):
            call(b, integer(0), args[2], args[4])
        return context.get_dummy_value()

    return types.void(kernel, state, types.int64, types.int64, arguments), codegen


def _outline(context, b, values, call):
    """A function that does call(builder, first, past, values), and the place of its first argument, which is good until the caller returns."""
    place = cgutils.alloca_once_value(b, values)
    function = ir.Function(b.module, _function_type(context), b.module.get_unique_name("outlined"))
    function.linkage = "internal"
    inside = ir.IRBuilder(function.append_basic_block())
    argument, first, past = function.args[-3:]
    call(inside, first, past, inside.load(inside.bitcast(argument, values.type.as_pointer())))
    context.call_conv.return_value(inside, context.get_dummy_value())
    return function, place


def _function_type(context):
    return context.call_conv.get_function_type(types.none, PARAMETERS)


if JIT_OFF:  # intrinsics exist in compiled code only

    def share(kernel, state, items, chunk, arguments):
        kernel(0, items, *arguments)


@jit()
def _help(state, seat, looks):
    """Join every call there is a seat for, until none has come for so many looks."""
    seen, left = 0, looks
    while left > 0:
        call = _now(state, CALL)
        if call == seen or call % 2 == 0:
            left -= 1
            _pause()
            continue
        seen, left = call, looks
        _raise(state, INSIDE, 1)
        if seat < _now(state, SEATS) and _now(state, CALL) == call:  # still the same, so its caller sees that somebody is inside
            _raise(state, FAILED, _work(state, state[FUNCTION], state[ARGUMENTS], seat + 1))
        _raise(state, INSIDE, -1)


class _Helper:
    """A thread that helps while there is work and sleeps where there is none."""

    def __init__(self, state: np.ndarray, seat: int):
        self.asleep, self._state, self._seat, self._wake = False, state, seat, threading.Semaphore(0)
        threading.Thread(target=self._run, daemon=True, name="ttfs-kernel").start()

    def wake(self) -> None:
        self.asleep = False
        self._wake.release()

    def _run(self) -> None:
        while True:
            _help(self._state, self._seat, LOOKS)
            self.asleep = True
            self._wake.acquire()


class Call(NamedTuple):
    """What `in_parallel` called."""

    shared: Callable
    items: int
    chunk: int
    arguments: tuple


class _Team:
    def __init__(self):
        self.helpers, self.growing = [], threading.Lock()
        self.state = np.zeros(NEXT + LINE * config.NUMBA_NUM_THREADS, np.int64)  # pyright: ignore[reportAttributeAccessIssue] - set as the environment is read
        self.threads = 0  # while somebody holds CALLER, as many as that one may use
        self.instead: tuple[int, Callable[[Call], None]] | None = None  # whose calls of `in_parallel` are left to somebody, and to whom

    def ready(self, helpers: int) -> None:
        """So many helpers are awake, or about to be, and have a seat."""
        if len(self.helpers) < helpers:
            with self.growing:
                while len(self.helpers) < helpers:
                    self.helpers.append(_Helper(self.state, len(self.helpers)))
        self.state[SEATS] = helpers
        for helper in self.helpers[:helpers]:
            if helper.asleep:
                helper.wake()


_team = _Team()


def _forked() -> None:
    global _team
    _team = _Team()  # threads do not survive a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class _Caller:
    """One network at a time has the threads, and Numba's own abort the process when two ask for them: hold this for a batch. Inside, the
    number of threads is known, which takes as long to ask for as a small layer takes to compute."""

    def __init__(self):
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        _team.threads = numba.get_num_threads()

    def __exit__(self, *_) -> None:
        _team.threads = 0
        self._lock.release()


CALLER = _Caller()


def threads() -> int:
    """How many a kernel may use now."""
    return _team.threads or numba.get_num_threads()


def in_parallel(shared, items: int, arguments: tuple, alone: bool = False) -> None:
    """Call shared(state, items, chunk, *arguments), compiled code that calls `share`, on as many threads as `threads` says.

    alone: too little work for a second thread. Raises RuntimeError where a thread had an error, such as no memory left.
    """
    team = _team
    count = 1 if alone or items < 2 or JIT_OFF else threads()
    chunk = items if count == 1 else -(-items // (CHUNKS_PER_THREAD * count))
    if team.instead is not None and team.instead[0] == threading.get_ident():
        team.instead[1](Call(shared, items, chunk, arguments))
    elif count == 1:
        shared(team.state, items, chunk, *arguments)
    else:
        with_helpers(shared, items, chunk, *arguments)


def with_helpers(run: Callable, *arguments) -> None:
    """run(state, *arguments), compiled code that calls `share` any number of times; the rest as `in_parallel`."""
    team = _team
    if (count := threads()) > 1:
        team.ready(count - 1)
    run(team.state, *arguments)
    if team.state[FAILED]:
        team.state[FAILED] = 0
        raise RuntimeError("a kernel failed in one of its threads; is there memory left?")


@contextmanager
def left_to(somebody: Callable[[Call], None]) -> Iterator[None]:
    """Inside, what this thread would do `in_parallel` is left to somebody. Hold CALLER."""
    team = _team
    team.instead = threading.get_ident(), somebody
    try:
        yield
    finally:
        team.instead = None
