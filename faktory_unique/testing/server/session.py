"""`Session`: one connection's worker id, the jobs that it pushed, and whether it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .core import Core
    from .go_json import Value


class Session:
    """A connection from its greeting to its end.

    Args:
        core: the state that all connections share.
        on_close: called once, when the connection ends.

    Attributes:
        wid: the worker id; empty for a producer.
        is_open: whether the fake still reads from it.
        greeted: whether the client has sent a HELLO that was accepted.
    """

    def __init__(self, core: Core, on_close: Callable[[], None]) -> None:
        self.core = core
        self.wid = ""
        self.is_open = True
        self.greeted = False
        self._pushed: list[Value] = []
        self._on_close = on_close

    def open(self, wid: str) -> int:
        """Open the connection after its HELLO. Return the number of open connections."""
        self.greeted = True
        self.wid = wid
        return self.core.add_connection(wid, self)

    def add_pushed(self, job: Value) -> None:
        """Record a job that a command has enqueued."""
        self._pushed.append(job)

    def take_pushed(self) -> list[Value]:
        """Remove and return the recorded jobs. They may run inline now."""
        jobs, self._pushed = self._pushed, []
        return jobs

    def close(self) -> None:
        """End the connection."""
        with self.core.mutex:
            if not self.is_open:
                return
            self.is_open = False
            self.core.remove_connection(self.wid, self)
        self._on_close()
