"""Environment variables that the testing kit overrides for a block of code, such as FAKTORY_URL.

`os.environ` belongs to the whole process: subprocesses and threads started by the test see the
block that was entered last. A context variable remembers the block of the current thread or task,
so that tests in parallel threads do not see each other's values.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NO_VALUES: Mapping[str, str] = MappingProxyType({})

# By process id: a forked process may inherit a mutex that a thread of its parent had acquired.
_mutexes: dict[int, threading.Lock] = {}
# The open blocks, in the order in which they were entered: their values, and the values before.
_blocks: list[tuple[Mapping[str, str], dict[str, str | None]]] = []
# The values of the innermost open block of this thread or task.
_values_here: ContextVar[Mapping[str, str]] = ContextVar(
    "faktory_unique_environment", default=_NO_VALUES
)


def variable(name: str) -> str | None:
    """Return the value of an environment variable for this thread or task; None if it is not set.

    The value of this thread's own block comes before that of another thread's block.
    """
    value = os.environ.get(name)
    # A value that no block has set is the test's own (monkeypatch.setenv), and counts.
    set_by_block = any(value == values.get(name) for values, _ in tuple(_blocks))
    return _values_here.get().get(name, value) if set_by_block else value


@contextmanager
def override(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a block, and restore them at its end.

    Blocks nest. Blocks of several threads may end in any order.
    """
    outer = _values_here.get()
    with _mutex():
        block = (values, {name: os.environ.get(name) for name in values})
        _blocks.append(block)
        os.environ.update(values)
    _values_here.set(values)
    try:
        yield
    finally:
        _values_here.set(outer)
        with _mutex():
            _end_block(block)


def _mutex() -> threading.Lock:
    return _mutexes.setdefault(os.getpid(), threading.Lock())


def _end_block(block: tuple[Mapping[str, str], dict[str, str | None]]) -> None:
    """Remove a block. Restore the values before it, now or at the end of a later block."""
    position = next(i for i, each in enumerate(_blocks) if each is block)
    del _blocks[position]
    _, before = block
    if position < len(_blocks):  # another thread has entered a block since, which restores them
        _blocks[position][1].update(before)
        return
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
