"""`MemoryStream`: the connection of a client in this process, without a socket or a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.client.stream import Stream

from .dispatcher import Dispatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from .core import Core
    from .go_json import Value


class MemoryStream(Stream):
    """A client's end of a connection within this process.

    Args:
        core: the state that all connections of the fake share.
        on_pushed: called with the jobs that a command has enqueued, when the client may send its
            next command.
    """

    def __init__(self, core: Core, on_pushed: Callable[[list[Value]], None]) -> None:
        super().__init__()
        self._dispatcher = Dispatcher(core)
        self._session = self._dispatcher.session
        self._on_pushed = on_pushed
        self._buffer += self._dispatcher.greeting()

    def send(self, command: str, deadline: float | None) -> None:
        """Run the command in this thread."""
        del deadline  # FETCH waits for 2 s, and nothing else waits
        if not self._session.is_open:
            raise BrokenPipeError("the server closed the connection")
        for reply in self._dispatcher.receive(f"{command}\r\n".encode()):
            self._buffer += reply

    def is_idle(self) -> bool:
        """Return whether the fake still reads from it, and all replies have been read."""
        return self._session.is_open and not self._buffer

    def wait_readable(self, deadline: float | None) -> bool:
        """Return True: the reply to a command arrives during `send`."""
        del deadline
        return True

    def on_reply_delivered(self) -> None:
        """Pass on the jobs that this connection has pushed, so that they can run inline."""
        if jobs := self._session.take_pushed():
            self._on_pushed(jobs)

    def end(self) -> None:
        """End the connection."""
        self._session.close()

    def close(self) -> None:
        """End the connection."""
        self._session.close()

    def abort(self) -> None:
        """End the connection."""
        self._session.close()

    def detach(self) -> None:
        """Do nothing: a forked child has a copy of the fake, and this process keeps its own."""

    def _read_more(self, deadline: float | None) -> None:
        del deadline
        raise ConnectionResetError("the server closed the connection")
