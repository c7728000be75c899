"""`SharedStream`: the turns of threads on one stream; `PendingReply`: a reply not read yet."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from faktory_unique._util import held_by_this_thread
from faktory_unique.errors import CommandNotSent, CommandOutcomeUnknown, CommandRefused

from .server_errors import is_temporary

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stream import Stream

# Seconds after its deadline during which a reply that arrived in time is still read: its reader may
# have been busy. Also the longest time after which a thread notices that another one has read its
# reply.
_READ_GRACE = 0.1

T = TypeVar("T")


class StreamBusy(Exception):
    """The stream is in use: by another thread, or by a command of the calling thread itself."""


class SharedStream:
    """The stream of one process's connection, and the mutex by which its threads take turns.

    A thread holds the mutex for one send, one read, or both. If other code runs between send and
    read, the mutex is released meanwhile, since that code may wait for another thread. So a reply
    can still be unread when the next thread gets the mutex. That thread reads the reply first.

    Attributes:
        stream: the open stream; None while there is no connection.
        unread: the reply that is expected on the stream; None if every reply has been read.
    """

    def __init__(self) -> None:
        self._mutex = threading.RLock()  # it knows its owner; no thread acquires it twice
        self.stream: Stream | None = None
        self.unread: PendingReply | None = None

    def run_exclusively(self, deadline: float | None, action: Callable[[], T]) -> T:
        """Call a function while this thread holds the mutex, and return its result.

        Args:
            deadline: the time of `time.monotonic` until which to wait for the mutex; None for no
                limit.
            action: the function.

        Raises:
            StreamBusy: the mutex was not acquired in time. Or this thread already holds it for a
                command that was interrupted, and which continues only after the caller returns.
        """
        if self.is_held_by_this_thread():
            raise StreamBusy
        seconds = -1 if deadline is None else max(0.0, deadline - time.monotonic())
        # All in one frame, without a context manager. If a signal handler raised between two
        # frames, the mutex would stay acquired for as long as any variable keeps the exception.
        try:
            if not self._mutex.acquire(timeout=seconds):
                raise StreamBusy
            return action()
        finally:
            # The mutex itself knows whether it was acquired; a variable might not, since a signal
            # handler can raise right after `acquire`. And one call releases it: a signal handler
            # can raise between two calls.
            try:  # noqa: SIM105  # `suppress` makes more calls, between which a handler can raise
                self._mutex.release()
            except RuntimeError:  # it was not acquired
                pass

    def is_held_by_this_thread(self) -> bool:
        """Return whether this thread holds the mutex: it runs a signal handler or finalizer."""
        return held_by_this_thread(self._mutex)

    def open(self, connect: Callable[[], Stream]) -> Stream:
        """Connect, and return the new stream. The caller holds the mutex."""
        # In one statement, so that nearly every interrupt finds the stream here, to be discarded.
        stream = self.stream = connect()
        return stream

    def discard(self) -> None:
        """Close the stream. A reply that is still unread will never be read."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        self.unread = None

    def end(self, deadline: float | None) -> None:
        """Read the unread reply until the deadline, send END and close.

        The caller holds the mutex.
        """
        if self.unread is not None:
            self.unread.read(until=deadline)
        if self.stream is not None:
            self.stream.end()
            self.stream = None

    def abort(self) -> None:
        """End the connection while another thread holds the mutex: its command fails."""
        stream = self.stream  # the other thread can discard it at any time
        if stream is not None:
            stream.abort()

    def read_unread(self, deadline: float | None) -> bool:
        """Read the unread reply, if there is one. The caller holds the mutex.

        Returns:
            False if no part of the reply arrived before the deadline.
        """
        unread = self.unread
        if unread is not None:
            if not unread.wait(deadline):
                return False
            unread.read()
        return True


class PendingReply:
    """The reply to a command that is being sent or has been sent.

    Args:
        shared: the shared stream of the command's connection.
        stream: the stream on which the command is sent.
        deadline: the time of `time.monotonic` until which to wait for the reply; None for no
            limit.
        sent: "VERB was sent to SERVER", the start of error messages.
    """

    def __init__(
        self, shared: SharedStream, stream: Stream, deadline: float | None, sent: str
    ) -> None:
        self._shared = shared
        self._stream = stream
        self._deadline = deadline
        self._sent = sent
        self._pid = os.getpid()
        self._result: str | CommandOutcomeUnknown | None = None
        shared.unread = self

    def receive(self) -> str:
        """Wait for the reply and return it. Call this once.

        Raises:
            CommandRefused: the server replied with an error.
            CommandNotSent: the server accepts no commands for now, and has not executed this one.
            CommandOutcomeUnknown: no complete reply arrived.
        """
        if self._pid != os.getpid():
            raise CommandOutcomeUnknown(f"{self._sent} by the parent process, which has the reply")
        while self._result is None:  # every thread that gets the mutex reads the reply first
            # In short waits: a thread that has read the reply may then keep the mutex for long.
            try:
                self._shared.run_exclusively(time.monotonic() + _READ_GRACE, self.read)
            except StreamBusy:
                if self._shared.is_held_by_this_thread():
                    raise CommandOutcomeUnknown(
                        f"{self._sent}, but this thread is already waiting for another reply "
                        "(receiving in a signal handler?)"
                    ) from None
        self._stream.on_reply_delivered()
        result = self._result
        if isinstance(result, CommandOutcomeUnknown):
            raise result
        if result.startswith("-"):
            error = result[1:].removeprefix("ERR ")
            if is_temporary(error):  # the server that is started next will accept it
                raise CommandNotSent(f"{self._sent}, which executes no commands for now: {error}")
            raise CommandRefused(error)
        return result

    def wait(self, deadline: float | None) -> bool:
        """Wait until another command can call `read` without missing its own deadline.

        Args:
            deadline: the other command's, a time of `time.monotonic`; None for no limit.

        Returns:
            True when the reply begins to arrive, or at once if the reply's deadline is the earlier
            one. False at the other command's deadline.
        """
        own = self._deadline
        if own is not None and (deadline is None or own < deadline):
            return True  # `read` waits until its own deadline only
        return self._stream.wait_readable(deadline)

    def read(self, until: float | None = None) -> None:
        """Read the reply, unless it has been read. The caller holds the mutex.

        Args:
            until: a time of `time.monotonic` at which to give up, if that is before the deadline.
        """
        if self._result is not None:
            return
        if self._shared.unread is not self:  # its stream has been discarded
            self._result = CommandOutcomeUnknown(
                f"{self._sent}, but the connection was closed before the reply was read"
            )
            return
        deadline = self._deadline
        if deadline is not None:
            deadline = max(deadline, time.monotonic() + _READ_GRACE)
        if until is not None:
            deadline = until if deadline is None else min(deadline, until)
        try:
            self._result = self._stream.read_reply(deadline)
        except (OSError, ValueError) as exc:
            self._shared.discard()
            self._result = CommandOutcomeUnknown(f"{self._sent}, but no reply arrived: {exc}")
            self._result.__cause__ = exc
        except BaseException:  # such as a Ctrl-C: no other command may get the reply
            self._shared.discard()
            self._result = CommandOutcomeUnknown(
                f"{self._sent}, but waiting for the reply was interrupted"
            )
            raise
        finally:
            self._shared.unread = None
