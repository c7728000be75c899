"""One connection to Faktory that always knows what became of a command.

A command ends in a whole good reply, or in exactly one of: `Refused` (the server said so),
`NotSent` (no byte of it went out) and `OutcomeUnknown` (some did, and no whole reply came back). A
socket on which anything went wrong is thrown away, since the next reply read from it could belong
to another command; the next command opens a new one.
"""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from faktory_unique.errors import FaktoryError, LoginRefused, NotSent, OutcomeUnknown, Refused

from .login import log_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from .server import Server
    from .wire import Wire

# Seconds for a reply that has arrived by the deadline, and whose reader was busy elsewhere.
_MOMENT = 0.1


class _Line:
    """A process's end of a connection: its wire, and the lock by which threads take turns.

    A thread keeps its turn from the sending of a command until its reply is read. What it sends
    meanwhile waits for nobody, but reads that reply first.
    """

    def __init__(self) -> None:
        self.turn = threading.RLock()
        self.wire: Wire | None = None
        self.unread: Sent | None = None

    def discard(self) -> None:
        """Throws the wire away."""
        if self.wire is not None:
            self.wire.close()
            self.wire = None

    def catch_up(self) -> None:
        """Reads the reply that this thread has left unread."""
        if self.unread is not None:
            self.unread.read()


class Sent:
    """A command whose reply is under way.

    Args:
        line: of its connection; the caller's turn at it, which ends with the reply.
        wire: that it was sent on.
        deadline: until when to wait for the reply.
        told: what was sent where, for people.
    """

    def __init__(self, line: _Line, wire: Wire, deadline: float | None, told: str) -> None:
        self._line = line
        self._wire = wire
        self._deadline = deadline
        self._told = told
        self._reply: str | OutcomeUnknown | None = None
        line.unread = self

    def reply(self) -> str:
        """The reply, asked for once; see `Connection.call`."""
        try:
            self.read()
        finally:
            self._line.turn.release()
        self._wire.answered()
        reply = self._reply
        if not isinstance(reply, str):
            raise reply or OutcomeUnknown(self._told)
        if reply.startswith("-"):
            raise Refused(reply[1:].removeprefix("ERR "))
        return reply

    def read(self) -> None:
        """Reads it, if it has not been read."""
        if self._line.unread is not self:
            return
        deadline = self._deadline
        if deadline is not None:
            deadline = max(deadline, time.monotonic() + _MOMENT)
        self._line.unread = None
        try:
            self._reply = self._wire.read_reply(deadline)
        except (OSError, ValueError) as exc:
            self._line.discard()
            self._reply = OutcomeUnknown(f"{self._told} and not answered: {exc}")
            self._reply.__cause__ = exc
        except BaseException:  # a Ctrl-C, say: a reply may still come, and must be nobody's
            self._line.discard()
            raise


class Connection:
    """A connection that is opened when first used and again after it broke, or after a fork.

    Safe over threads: commands wait for each other.

    Args:
        server: where to connect.
        greeting: what HELLO is to tell besides the protocol version and the password.
        timeout: seconds that one command may take, connecting included; None for no bound.
    """

    def __init__(
        self, server: Server, greeting: Callable[[], dict[str, Any]], timeout: float | None
    ) -> None:
        self._server = server
        self._greeting = greeting
        self._timeout = timeout
        # By process id. A forked child must not use its parent's socket, nor wait for a lock that
        # was taken when it was forked and that nobody in the child will ever release.
        self._lines: dict[int, _Line] = {}

    def open(self) -> None:
        """Connects now, where no connection stands.

        Raises:
            NotSent: no connection could be made.
            LoginRefused: the server does not let this client in.
        """
        deadline = self._deadline(self._timeout)
        line = self._turn(deadline)
        try:
            self._ready(line, deadline)
        finally:
            line.turn.release()

    def call(
        self,
        command: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        not_after: float | None = None,
    ) -> str:
        r"""Sends one command, without its line end, and returns its whole reply.

        Args:
            command: a verb and its arguments.
            at_least: seconds allowed where the connection's own are fewer.
            at_most: seconds allowed where the connection's own are more.
            not_after: the `time.monotonic` from which on the command is not sent any more, however
                long waiting for other threads and connecting took.

        Returns:
            The reply as it came, less its last line end: `+OK`, `$2\r\n{}`, `$-1`.

        Raises:
            Refused: the server answered with an error.
            NotSent: no connection could be made.
            OutcomeUnknown: no whole reply came back.
        """
        allowed = self._timeout
        if allowed is not None and at_least is not None:
            allowed = max(allowed, at_least)
        if at_most is not None:
            allowed = at_most if allowed is None else min(allowed, at_most)
        return self._send(command, self._deadline(allowed), not_after).reply()

    def send(self, command: str) -> Callable[[], str]:
        """Sends one command, and leaves its reply to be asked for: once, and by the same thread.

        Other threads' commands wait for that.

        Returns:
            What gives the reply, or raises, as `call` does.
        """
        try:
            return self._send(command, self._deadline(self._timeout), None).reply
        except FaktoryError as exc:
            return partial(_raise, exc)

    def close(self) -> None:
        """Says END and closes; harmless where nothing is open."""
        line = self._own_line()
        with line.turn:
            line.catch_up()
            if line.wire is not None:
                line.wire.end()
                line.wire = None

    def _send(self, command: str, deadline: float | None, not_after: float | None) -> Sent:
        line = self._turn(deadline)
        try:
            return self._sent(line, command, deadline, not_after)
        except BaseException:
            line.turn.release()
            raise

    def _sent(
        self, line: _Line, command: str, deadline: float | None, not_after: float | None
    ) -> Sent:
        wire = self._ready(line, deadline)
        verb = command.partition(" ")[0]
        if not_after is not None and time.monotonic() >= not_after:
            raise NotSent(f"it is too late for {verb}")
        told = f"{verb} was sent to Faktory at {self._server!r}"
        try:
            wire.send(command, deadline)
        except (OSError, ValueError) as exc:
            line.discard()
            raise OutcomeUnknown(f"{told} and not answered: {exc}") from exc
        except BaseException:  # a Ctrl-C, say: it may have gone out in part
            line.discard()
            raise
        return Sent(line, wire, deadline, told)

    def _turn(self, deadline: float | None) -> _Line:
        """This process's line, for one thread; waiting for it counts into the time-out."""
        line = self._own_line()
        seconds = -1 if deadline is None else max(0.0, deadline - time.monotonic())
        if not line.turn.acquire(timeout=seconds):
            raise NotSent(
                f"the connection to Faktory at {self._server!r} was busy with other threads' "
                "commands until the time-out"
            )
        return line

    def _own_line(self) -> _Line:
        line = self._lines.get(os.getpid())
        if line is None:
            line = self._lines.setdefault(os.getpid(), _Line())
            for pid in [pid for pid in list(self._lines) if pid != os.getpid()]:
                inherited = self._lines.pop(pid, None)
                if inherited is not None and inherited.wire is not None:
                    inherited.wire.let_go()
        return line

    def _ready(self, line: _Line, deadline: float | None) -> Wire:
        """The open wire; a new one where there is none or the peer has closed it meanwhile."""
        line.catch_up()
        if line.wire is not None and not line.wire.is_quiet():
            line.discard()
        if line.wire is None:
            try:
                line.wire = self._server.connect(deadline)
                log_in(line.wire, self._server, self._greeting(), deadline)
            except LoginRefused:
                line.discard()
                raise
            except (OSError, ValueError) as exc:
                line.discard()
                raise NotSent(f"no connection to Faktory at {self._server!r}: {exc}") from exc
            except BaseException:  # a Ctrl-C, say: a reply may still come, and must be nobody's
                line.discard()
                raise
        return line.wire

    @staticmethod
    def _deadline(timeout: float | None) -> float | None:
        return None if timeout is None else time.monotonic() + timeout


def _raise(error: FaktoryError) -> NoReturn:
    raise error
