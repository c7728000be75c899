"""A connection's wire over threads: whose turn it is, and the reply that is still unread."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faktory_unique.errors import NotSent, OutcomeUnknown, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .wire import Wire

# Seconds for a reply that has arrived by the deadline, and whose reader was busy elsewhere.
_MOMENT = 0.1


class Line:
    """A process's end of a connection: its wire, and the lock by which threads take turns.

    A turn is one send, or one read, or both. Between them the turn is nobody's, whoever's reply is
    still unread: code that waits for another thread may run then. Who comes next reads it first.
    """

    def __init__(self) -> None:
        self._turn = threading.RLock()  # which knows whose it is; nobody takes it twice
        self.wire: Wire | None = None
        self.unread: Sent | None = None

    @contextmanager
    def turn(self, deadline: float | None) -> Iterator[bool]:
        """The turn, waited for until the deadline; False where it was not had.

        Raises:
            NotSent: this very thread has it: a signal handler runs amid a command.
        """
        if self.is_amid():
            raise NotSent("this very thread is amid a command on this connection")
        seconds = -1 if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            yield self._turn.acquire(timeout=seconds)
        finally:
            # Asked of the lock itself, since what a signal handler raises can come right after it
            # was had; and given back by one call, since that can come between two.
            try:  # noqa: SIM105  # `suppress` is more calls, between which an interrupt can come
                self._turn.release()
            except RuntimeError:  # it was not had
                pass

    def is_amid(self) -> bool:
        """Whether it is this thread's turn: a signal handler's or a finalizer's code runs."""
        return self._turn._is_owned()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001  # as threading.Condition asks it

    def discard(self) -> None:
        """Throws the wire away."""
        if self.wire is not None:
            self.wire.close()
            self.wire = None

    def catch_up(self, deadline: float | None) -> bool:
        """Reads what is unread; False where nothing of it came by the deadline."""
        unread = self.unread
        if unread is not None:
            if not unread.has_come(deadline):
                return False
            unread.read()
        return True


class Sent:
    """A command whose reply is under way.

    Args:
        line: of its connection.
        wire: that it was sent on.
        deadline: until when to wait for the reply.
        told: what was sent where, for people.
    """

    def __init__(self, line: Line, wire: Wire, deadline: float | None, told: str) -> None:
        self._line = line
        self._wire = wire
        self._deadline = deadline
        self._told = told
        self._pid = os.getpid()
        self._reply: str | OutcomeUnknown | None = None
        line.unread = self

    def reply(self) -> str:
        """The reply, asked for once; see `Connection.call`."""
        if self._pid != os.getpid():  # forked: it is for the parent to read
            raise OutcomeUnknown(f"{self._told} by the parent of this process")
        while self._reply is None:
            # Not for long at a time: whoever has the turn may have read it, and go on.
            with self._line.turn(time.monotonic() + _MOMENT) as is_mine:
                if is_mine:
                    self.read()
                elif self._deadline is not None and time.monotonic() > self._deadline + _MOMENT:
                    raise OutcomeUnknown(f"{self._told}, and nobody has read its answer in time")
        self._wire.answered()
        reply = self._reply
        if isinstance(reply, OutcomeUnknown):
            raise reply
        if reply.startswith("-"):
            raise Refused(reply[1:].removeprefix("ERR "))
        return reply

    def has_come(self, deadline: float | None) -> bool:
        """Whether the reply has begun to come, or will come no more, by this deadline or its own.

        In the turn of another command, which it may keep waiting for as long as that can.
        """
        own = self._deadline
        if own is not None and (deadline is None or own < deadline):
            return True  # `read` waits for no longer
        return self._wire.has_news(deadline)

    def read(self) -> None:
        """Reads it, if it has not been read. In a turn."""
        if self._reply is not None:
            return
        deadline = self._deadline
        if deadline is not None:
            deadline = max(deadline, time.monotonic() + _MOMENT)
        try:
            self._reply = self._wire.read_reply(deadline)
        except (OSError, ValueError) as exc:
            self._line.discard()
            self._reply = OutcomeUnknown(f"{self._told} and not answered: {exc}")
            self._reply.__cause__ = exc
        except BaseException:  # a Ctrl-C, say: a reply may still come, and must be nobody's
            self._line.discard()
            self._reply = OutcomeUnknown(f"{self._told}, and its answer was not waited for")
            raise
        finally:
            self._line.unread = None
