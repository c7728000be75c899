"""A client of this process on a fake: no socket and no thread, but the protocol's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.client.stream import Stream

from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.testing.go.shapes import Value

    from .core import Core


class MemoryStream(Stream):
    """A client's end of a connection within this process.

    Args:
        core: the fake.
        answered: called with the jobs that were enqueued, once the client is free again.
    """

    def __init__(self, core: Core, answered: Callable[[list[Value]], None]) -> None:
        super().__init__()
        self._session = Session(core)
        self._answered = answered
        self._buffer += self._session.greeting()

    def send(self, command: str, deadline: float | None) -> None:
        """Has the command carried out, in this thread."""
        del deadline  # FETCH waits for 2 s, and nothing else waits
        if not self._session.open:
            raise BrokenPipeError("the server closed the connection")
        for reply in self._session.receive(f"{command}\r\n".encode()):
            self._buffer += reply

    def is_idle(self) -> bool:
        """Whether the fake still listens."""
        return self._session.open and not self._buffer

    def readable(self, deadline: float | None) -> bool:
        """Always: what was sent has been answered."""
        del deadline
        return True

    def on_reply_delivered(self) -> None:
        """Lets jobs run that this connection has pushed, where they are to run inline."""
        jobs, self._session.pushed = self._session.pushed, []
        if jobs:
            self._answered(jobs)

    def end(self) -> None:
        """Ends the session."""
        self._session.close()

    def close(self) -> None:
        """Ends the session."""
        self._session.close()

    def detach(self) -> None:
        """Nothing: what a forked child inherits is a copy that nobody else sees."""

    def _read_more(self, deadline: float | None) -> None:
        del deadline
        raise ConnectionResetError("the server closed the connection")
