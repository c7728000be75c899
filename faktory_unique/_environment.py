"""Environment variables, such as FAKTORY_URL, which a test may override for a block of code.

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

_NONE: Mapping[str, str] = MappingProxyType({})

_mutex = threading.Lock()
_blocks: list[tuple[Mapping[str, str], dict[str, str | None]]] = []  # open ones: values, before
_own: ContextVar[Mapping[str, str]] = ContextVar("faktory_unique_environment", default=_NONE)


def variable(name: str) -> str | None:
    """Return the value of an environment variable, or None if it is not set."""
    value = os.environ.get(name)
    # A value that no block has set is the test's own (monkeypatch.setenv), and counts.
    set_by_block = any(value == values.get(name) for values, _ in tuple(_blocks))
    return _own.get().get(name, value) if set_by_block else value


@contextmanager
def overridden(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a block, and restore them at its end.

    Blocks nest. Blocks of several threads may end in any order.
    """
    outer = _own.get()
    with _mutex:
        block = (values, {name: os.environ.get(name) for name in values})
        _blocks.append(block)
        os.environ.update(values)
    _own.set(values)
    try:
        yield
    finally:
        _own.set(outer)
        with _mutex:
            _leave(block)


def _leave(block: tuple[Mapping[str, str], dict[str, str | None]]) -> None:
    position = _blocks.index(block)
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
