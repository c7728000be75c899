"""One connection to Faktory that always knows what became of a command.

A command ends in a whole good reply, or in exactly one of: `Refused` (the server said so),
`NotSent` (no byte of it went out) and `OutcomeUnknown` (some did, and no whole reply came back). A
socket on which anything went wrong is thrown away, since the next reply read from it could belong
to another command; the next command opens a new one.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from faktory_unique.errors import FaktoryError, LoginRefused, NotSent, OutcomeUnknown

from .login import log_in
from .turns import Line, Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from .server import Server
    from .wire import Wire


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
        self._lines: dict[int, Line] = {}

    def open(self) -> None:
        """Connects now, where no connection stands.

        Raises:
            NotSent: no connection could be made.
            LoginRefused: the server does not let this client in.
        """
        deadline = self._deadline(self._timeout)
        line = self._own_line()
        with line.turn(deadline) as is_mine:
            if not is_mine:
                raise NotSent(self._busy())
            self._ready(line, deadline)

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
        return self._send(command, self._deadline(allowed), not_after, read=True).reply()

    def send(self, command: str) -> Callable[[], str]:
        """Sends one command, and leaves its reply to be asked for.

        What else is sent meanwhile, by whatever thread, reads that reply first.

        Returns:
            What gives the reply, or raises, as `call` does.
        """
        try:
            return self._send(command, self._deadline(self._timeout), None, read=False).reply
        except FaktoryError as exc:
            return partial(_raise, exc)

    def close(self) -> None:
        """Says END and closes; harmless where nothing is open."""
        line = self._own_line()
        if line.is_amid():  # whose command ends unknown
            line.discard()
            return
        with line.turn(None):
            line.catch_up(None)
            if line.wire is not None:
                line.wire.end()
                line.wire = None

    def _send(
        self, command: str, deadline: float | None, not_after: float | None, *, read: bool
    ) -> Sent:
        line = self._own_line()
        with line.turn(deadline) as is_mine:
            if not is_mine:
                raise NotSent(self._busy())
            sent = self._sent(line, command, deadline, not_after)
            if read:
                sent.read()
            return sent

    def _sent(
        self, line: Line, command: str, deadline: float | None, not_after: float | None
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

    def _busy(self) -> str:
        return (
            f"the connection to Faktory at {self._server!r} was busy with other threads' commands "
            "until the time-out"
        )

    def _own_line(self) -> Line:
        line = self._lines.get(os.getpid())
        if line is None:
            line = self._lines.setdefault(os.getpid(), Line())
            for pid in [pid for pid in list(self._lines) if pid != os.getpid()]:
                inherited = self._lines.pop(pid, None)
                if inherited is not None and inherited.wire is not None:
                    inherited.wire.let_go()
        return line

    def _ready(self, line: Line, deadline: float | None) -> Wire:
        """The open wire; a new one where there is none or the peer has closed it meanwhile."""
        if not line.catch_up(deadline):
            raise NotSent(self._busy())
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
