"""One connection to Faktory that always knows what became of a command.

A command ends in a whole good reply, or in exactly one of: `CommandRefused` (the server said so),
`CommandNotSent` (no byte of it went out) and `CommandOutcomeUnknown` (some did, and no whole reply came back). A
socket on which anything went wrong is thrown away, since the next reply read from it could belong
to another command; the next command opens a new one.
"""

from __future__ import annotations

import os
import time
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from faktory_unique.errors import (
    AuthenticationFailed,
    CommandNotSent,
    CommandOutcomeUnknown,
    FaktoryError,
)

from .handshake import log_in
from .shared_stream import PendingReply, SharedStream, StreamBusy

if TYPE_CHECKING:
    from collections.abc import Callable

    from .address import Address
    from .stream import Stream

T = TypeVar("T")


class Connection:
    """A connection that is opened when first used and again after it broke, or after a fork.

    Safe over threads: commands wait for each other.

    Args:
        server: where to connect.
        greeting: what HELLO is to tell besides the protocol version and the password.
        timeout: seconds that one command may take, connecting included; None for no bound.
    """

    def __init__(
        self, server: Address, greeting: Callable[[], dict[str, Any]], timeout: float | None
    ) -> None:
        self._server = server
        self._greeting = greeting
        self._timeout = timeout
        # By process id. A forked child must not use its parent's socket, nor wait for a lock that
        # was taken when it was forked and that nobody in the child will ever release.
        self._shared: dict[int, SharedStream] = {}

    def open(self) -> None:
        """Connects now, where no connection stands.

        Raises:
            CommandNotSent: no connection could be made.
            AuthenticationFailed: the server does not let this client in.
        """
        deadline = self._deadline(self._timeout)
        shared = self._reset_after_fork()
        self._exclusively(shared, deadline, partial(self._ready, shared, deadline))

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
            CommandNotSent: no connection could be made.
            CommandOutcomeUnknown: no whole reply came back.
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
        shared = self._reset_after_fork()
        if shared.is_held_by_this_thread():  # whose command ends unknown
            shared.discard()
            return
        shared.exclusively(None, shared.end)

    def _send(
        self, command: str, deadline: float | None, not_after: float | None, *, read: bool
    ) -> PendingReply:
        shared = self._reset_after_fork()
        put_out = partial(self._put_out, shared, command, deadline, not_after, read=read)
        return self._exclusively(shared, deadline, put_out)

    def _exclusively(self, shared: SharedStream, deadline: float | None, act: Callable[[], T]) -> T:
        try:
            return shared.exclusively(deadline, act)
        except StreamBusy:
            amid = f"this very thread is amid a command to Faktory at {self._server!r}"
            raise CommandNotSent(
                amid if shared.is_held_by_this_thread() else self._busy()
            ) from None

    def _put_out(
        self,
        shared: SharedStream,
        command: str,
        deadline: float | None,
        not_after: float | None,
        *,
        read: bool,
    ) -> PendingReply:
        stream = self._ready(shared, deadline)
        verb = command.partition(" ")[0]
        last = min(deadline or inf, not_after or inf)
        if time.monotonic() >= last:
            raise CommandNotSent(f"it is too late for {verb}")
        if shared.stream is not stream:
            raise CommandNotSent(f"the client was disconnected before {verb} was sent")
        told = f"{verb} was sent to Faktory at {self._server!r}"
        try:
            # Before the first byte, and within `try`: whenever an interrupt comes, the next command
            # finds the reply to be read, or no stream on which it could come.
            sent = PendingReply(shared, stream, deadline, told)
            stream.send(command, deadline)
        except (OSError, ValueError) as exc:
            shared.discard()
            raise CommandOutcomeUnknown(f"{told} and not answered: {exc}") from exc
        except BaseException:  # a Ctrl-C, say: it may have gone out in part
            shared.discard()
            raise
        if read:
            sent.read()
        return sent

    def _busy(self) -> str:
        return (
            f"the connection to Faktory at {self._server!r} was busy with other threads' commands "
            "until the time-out"
        )

    def _reset_after_fork(self) -> SharedStream:
        shared = self._shared.get(os.getpid())
        if shared is None:
            shared = self._shared.setdefault(os.getpid(), SharedStream())
            for pid in [pid for pid in list(self._shared) if pid != os.getpid()]:
                inherited = self._shared.pop(pid, None)
                if inherited is not None and inherited.stream is not None:
                    inherited.stream.detach()
        return shared

    def _ready(self, shared: SharedStream, deadline: float | None) -> Stream:
        """The open stream; a new one where there is none or the peer has closed it meanwhile."""
        if not shared.catch_up(deadline):
            raise CommandNotSent(self._busy())
        stream = shared.stream  # which a signal handler that disconnects can take away at any time
        if stream is not None and not stream.is_idle():
            shared.discard()
            stream = None
        if stream is None:
            try:
                stream = shared.stream = self._server.connect(deadline)
                log_in(stream, self._server, self._greeting(), deadline)
            except AuthenticationFailed:
                shared.discard()
                raise
            except (OSError, ValueError) as exc:
                shared.discard()
                raise CommandNotSent(
                    f"no connection to Faktory at {self._server!r}: {exc}"
                ) from exc
            except BaseException:  # a Ctrl-C, say: a reply may still come, and must be nobody's
                shared.discard()
                raise
        return stream

    @staticmethod
    def _deadline(timeout: float | None) -> float | None:
        return None if timeout is None else time.monotonic() + timeout


def _raise(error: FaktoryError) -> NoReturn:
    raise error
