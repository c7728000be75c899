"""Environment variables, as the block of code that asks sees them.

`faktory_unique.testing` points variables at a fake for the length of a block. `os.environ` is one
for all threads of a process, so it shows the block that was entered last; a thread or task that is
within a block of its own sees that one all the same.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(eq=False, slots=True)
class _Block:
    values: Mapping[str, str]
    before: dict[str, str | None]


_mutex = threading.Lock()
_blocks: list[_Block] = []  # entered and not yet left, the last entered last
_own: ContextVar[_Block | None] = ContextVar("faktory_unique_environment", default=None)


def variable(name: str) -> str | None:
    """The value of an environment variable; None where it is not set."""
    told = os.environ.get(name)
    own = _own.get()
    if own is None or name not in own.values:
        return told
    # What somebody has set by hand, within the block, counts as it does outside of one.
    with _mutex:
        set_by_a_block = any(told == block.values.get(name) for block in _blocks)
    return own.values[name] if set_by_a_block else told


@contextmanager
def overridden(values: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables for the length of a block, and puts back what they were.

    Blocks nest; those of several threads may end in any order.
    """
    with _mutex:
        block = _Block(values, {name: os.environ.get(name) for name in values})
        _blocks.append(block)
        os.environ.update(values)
    outer = _own.get()
    _own.set(block)
    try:
        yield
    finally:
        _own.set(outer)
        with _mutex:
            _leave(block)


def _leave(block: _Block) -> None:
    place = _blocks.index(block)
    _blocks.remove(block)
    if place < len(
        _blocks
    ):  # another thread's was entered later: what was before is its to restore
        _blocks[place].before = block.before
        return
    for name, value in block.before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
