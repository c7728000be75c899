"""A connection's stream over threads: whose turn it is, and the reply that is still unread."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from faktory_unique._util import held_by_this_thread
from faktory_unique.errors import CommandOutcomeUnknown, CommandRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stream import Stream

# Seconds beyond a deadline in which a reply that has arrived by then is still read, its reader
# having been busy elsewhere; and so long at most is a thread blind to another having read it.
_MOMENT = 0.1

T = TypeVar("T")


class StreamBusy(Exception):
    """Another thread has the turn, or a command of this very thread."""


class SharedStream:
    """A process's end of a connection: its stream, and the lock by which threads take turns.

    A turn is one send, or one read, or both. No turn lasts from a send to the read of its reply
    where other code runs in between, since that may wait for another thread. So a reply can be
    unread when the next turn begins: whoever has that turn reads it first.
    """

    def __init__(self) -> None:
        self._turn = threading.RLock()  # which knows whose it is; nobody takes it twice
        self.stream: Stream | None = None
        self.unread: PendingReply | None = None

    def exclusively(self, deadline: float | None, act: Callable[[], T]) -> T:
        """Does something in a turn of this thread, waited for until the deadline.

        Raises:
            StreamBusy: it was not had; nor is it where this very thread is amid a command, which only
                returning goes on with.
        """
        if self.is_held_by_this_thread():
            raise StreamBusy
        seconds = -1 if deadline is None else max(0.0, deadline - time.monotonic())
        # In one frame, and no context manager: what a signal handler raises between two would leave
        # the turn taken for as long as anybody keeps the exception.
        try:
            if not self._turn.acquire(timeout=seconds):
                raise StreamBusy
            return act()
        finally:
            # Asked of the lock itself, since what a signal handler raises can come right after it
            # was had; and given back by one call, since that can come between two.
            try:  # noqa: SIM105  # `suppress` is more calls, between which an interrupt can come
                self._turn.release()
            except RuntimeError:  # it was not had
                pass

    def is_held_by_this_thread(self) -> bool:
        """Whether it is this thread's turn: a signal handler's or a finalizer's code runs."""
        return held_by_this_thread(self._turn)

    def discard(self) -> None:
        """Throws the stream away, and the reply that was to come on it."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        self.unread = None

    def end(self) -> None:
        """Reads what is unread, says END and closes. In a turn."""
        self.catch_up(None)
        if self.stream is not None:
            self.stream.end()
            self.stream = None

    def catch_up(self, deadline: float | None) -> bool:
        """Reads what is unread; False where nothing of it came by the deadline. In a turn."""
        unread = self.unread
        if unread is not None:
            if not unread.has_come(deadline):
                return False
            unread.read()
        return True


class PendingReply:
    """A command that is being sent, or whose reply is under way.

    Args:
        shared: of its connection.
        stream: that it was sent on.
        deadline: until when to wait for the reply.
        told: what was sent where, for people.
    """

    def __init__(
        self, shared: SharedStream, stream: Stream, deadline: float | None, told: str
    ) -> None:
        self._shared = shared
        self._stream = stream
        self._deadline = deadline
        self._told = told
        self._pid = os.getpid()
        self._reply: str | CommandOutcomeUnknown | None = None
        shared.unread = self

    def reply(self) -> str:
        """The reply, asked for once; see `Connection.call`."""
        if self._pid != os.getpid():  # forked: it is for the parent to read
            raise CommandOutcomeUnknown(f"{self._told} by the parent of this process")
        while self._reply is None:  # which whoever has the turn will have read before all else
            # Not for long at a time: having read it, he may go on for as long as he likes.
            try:
                self._shared.exclusively(time.monotonic() + _MOMENT, self.read)
            except StreamBusy:
                if self._shared.is_held_by_this_thread():
                    told = f"{self._told}; its answer is asked for amid a command"
                    raise CommandOutcomeUnknown(told) from None
        self._stream.answered()
        reply = self._reply
        if isinstance(reply, CommandOutcomeUnknown):
            raise reply
        if reply.startswith("-"):
            raise CommandRefused(reply[1:].removeprefix("ERR "))
        return reply

    def has_come(self, deadline: float | None) -> bool:
        """Whether it can be read now: it has begun to come, or is not waited for any longer.

        Args:
            deadline: until when another command, in whose turn this is asked, can wait for it.
        """
        own = self._deadline
        if own is not None and (deadline is None or own < deadline):
            return True  # `read` waits for no longer
        return self._stream.readable(deadline)

    def read(self) -> None:
        """Reads it, if it has not been read. In a turn."""
        if self._reply is not None:
            return
        if self._shared.unread is not self:  # the stream that it was to come on is thrown away
            self._reply = CommandOutcomeUnknown(f"{self._told}, and its answer was not waited for")
            return
        deadline = self._deadline
        if deadline is not None:
            deadline = max(deadline, time.monotonic() + _MOMENT)
        try:
            self._reply = self._stream.read_reply(deadline)
        except (OSError, ValueError) as exc:
            self._shared.discard()
            self._reply = CommandOutcomeUnknown(f"{self._told} and not answered: {exc}")
            self._reply.__cause__ = exc
        except BaseException:  # a Ctrl-C, say: a reply may still come, and must be nobody's
            self._shared.discard()
            self._reply = CommandOutcomeUnknown(f"{self._told}, and its answer was not waited for")
            raise
        finally:
            self._shared.unread = None
