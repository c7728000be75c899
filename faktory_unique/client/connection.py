"""`Connection`: sends a command and knows its outcome; time-outs, reconnecting, forks.

A command ends with a complete reply that is not an error, or with one of three exceptions:

- `CommandRefused`: the server replied with an error.
- `CommandNotSent`: no byte of the command was sent, or the server shuts down.
- `CommandOutcomeUnknown`: some bytes were sent, and no complete reply arrived.

After any failure the socket is discarded, because the next reply on it could belong to another
command. The next command opens a new socket.
"""

from __future__ import annotations

import os
import time
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from faktory_unique.errors import AuthenticationFailed, CommandNotSent, CommandOutcomeUnknown

from .handshake import log_in
from .shared_stream import PendingReply, SharedStream, StreamBusy

if TYPE_CHECKING:
    from collections.abc import Callable

    from .address import Address
    from .stream import Stream

T = TypeVar("T")


class Connection:
    """A connection that opens at its first use, and again after a failure or a fork.

    It is thread-safe: commands wait for each other.

    Args:
        address: the server's address.
        hello_fields: returns the fields of HELLO besides protocol version and password hash.
        timeout: seconds that one command may take, connecting included; None for no limit.
        may_send: returns whether commands may be sent. `open` connects in any case.
    """

    def __init__(
        self,
        address: Address,
        hello_fields: Callable[[], dict[str, Any]],
        timeout: float | None,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self._address = address
        self._hello_fields = hello_fields
        self._timeout = timeout
        self._may_send = may_send
        # By process id. A forked child must not use its parent's socket. Nor may it wait for a
        # mutex that a thread of the parent held at the fork: nothing would ever release it.
        self._streams: dict[int, SharedStream] = {}

    def open(self) -> None:
        """Connect now, unless there is a connection.

        Raises:
            CommandNotSent: no connection could be made.
            AuthenticationFailed: the password is wrong or missing.
        """
        deadline = self._deadline(self._timeout)
        shared = self._shared_stream()
        self._run_exclusively(shared, deadline, partial(self._ensure_stream, shared, deadline))

    def call(
        self,
        command: str,
        *,
        min_timeout: float | None = None,
        max_timeout: float | None = None,
        not_after: float | None = None,
    ) -> str:
        r"""Send one command and return its complete reply.

        Args:
            command: a verb and its arguments, without the line end.
            min_timeout: seconds; used if the connection's time-out is shorter.
            max_timeout: seconds; used if the connection's time-out is longer.
            not_after: the time of `time.monotonic` from which the command must not be sent, however
                long it waited for other threads and for the connection.

        Returns:
            The reply without its last line end: `+OK`, `$2\r\n{}`, `$-1`.

        Raises:
            CommandRefused: the server replied with an error.
            CommandNotSent: no connection could be made, it was busy until the time-out, or the
                server accepts no commands for now.
            CommandOutcomeUnknown: no complete reply arrived.
        """
        allowed = self._timeout
        if allowed is not None and min_timeout is not None:
            allowed = max(allowed, min_timeout)
        if max_timeout is not None:
            allowed = max_timeout if allowed is None else min(allowed, max_timeout)
        return self._send(command, self._deadline(allowed), not_after, read_now=True).receive()

    def send(self, command: str) -> PendingReply:
        """Send one command without waiting for its reply.

        If any thread sends another command before the reply is received, that thread reads the
        reply first and keeps it for `PendingReply.receive`.

        Raises:
            CommandNotSent: no connection could be made, or it was busy until the time-out.
            CommandOutcomeUnknown: only a part of the command was sent.
        """
        return self._send(command, self._deadline(self._timeout), None, read_now=False)

    def close(self, deadline: float | None = None) -> None:
        """Send END and close; do nothing if there is no connection.

        Args:
            deadline: the time of `time.monotonic` until which to wait for commands of other
                threads. Later they are broken off, and their outcome is unknown. None for no limit.
        """
        shared = self._shared_stream()
        if shared.is_held_by_this_thread():  # during a command, whose outcome is then unknown
            shared.discard()
            return
        try:
            shared.run_exclusively(deadline, partial(shared.end, deadline))
        except StreamBusy:
            shared.abort()

    def _send(
        self, command: str, deadline: float | None, not_after: float | None, *, read_now: bool
    ) -> PendingReply:
        shared = self._shared_stream()
        send = partial(self._send_on, shared, command, deadline, not_after, read_now=read_now)
        return self._run_exclusively(shared, deadline, send)

    def _run_exclusively(
        self, shared: SharedStream, deadline: float | None, action: Callable[[], T]
    ) -> T:
        try:
            return shared.run_exclusively(deadline, action)
        except StreamBusy:
            if shared.is_held_by_this_thread():
                raise CommandNotSent(
                    "cannot send: this thread is already waiting for a reply from Faktory at "
                    f"{self._address!r} (pushing from a signal handler?)"
                ) from None
            raise CommandNotSent(self._busy_message()) from None

    def _send_on(
        self,
        shared: SharedStream,
        command: str,
        deadline: float | None,
        not_after: float | None,
        *,
        read_now: bool,
    ) -> PendingReply:
        """Send a command while this thread holds the mutex; with `read_now` read its reply, too."""
        shared.read_unread(deadline)
        self._check_may_send()  # the client may have disconnected while this thread waited
        stream = self._ensure_stream(shared, deadline)
        verb = command.partition(" ")[0]
        if time.monotonic() >= min(deadline or inf, not_after or inf):
            raise CommandNotSent(
                f"{verb} not sent: its deadline passed while waiting for the connection"
            )
        if not self._may_send():  # disconnected meanwhile; `close` did not wait for the connect
            shared.discard()
        if shared.stream is not stream:  # removed by `close`
            raise CommandNotSent(f"{verb} not sent: the client was disconnected")
        sent = f"{verb} was sent to Faktory at {self._address!r}"
        try:
            # The reply is recorded before the first byte, and within `try`. So after an interrupt
            # at any time, the next command finds either the unread reply or no stream.
            reply = PendingReply(shared, stream, deadline, sent)
            stream.send(command, deadline)
        except (OSError, ValueError) as exc:
            shared.discard()
            raise CommandOutcomeUnknown(f"{sent}, but no reply arrived: {exc}") from exc
        except BaseException:  # such as a Ctrl-C: a part of the command may have been sent
            shared.discard()
            raise
        if read_now:
            reply.read()
        return reply

    def _check_may_send(self) -> None:
        if not self._may_send():
            raise CommandNotSent(
                "the client is not connected; call connect(), or use it in a with block"
            )

    def _busy_message(self) -> str:
        return (
            "cannot send: other threads' commands kept the connection to Faktory at "
            f"{self._address!r} busy until the time-out"
        )

    def _shared_stream(self) -> SharedStream:
        """Return this process's stream. After a fork, create it and detach the parent's."""
        shared = self._streams.get(os.getpid())
        if shared is None:
            shared = self._streams.setdefault(os.getpid(), SharedStream())
            for pid in [pid for pid in list(self._streams) if pid != os.getpid()]:
                inherited = self._streams.pop(pid, None)
                if inherited is not None and inherited.stream is not None:
                    inherited.stream.detach()
        return shared

    def _ensure_stream(self, shared: SharedStream, deadline: float | None) -> Stream:
        """Return the open stream. Connect first if there is none or the server has closed it."""
        if not shared.read_unread(deadline):
            raise CommandNotSent(self._busy_message())
        stream = shared.stream  # a signal handler that disconnects can remove it at any time
        if stream is not None and not stream.is_idle():
            shared.discard()
            stream = None
        if stream is None:
            try:
                stream = shared.open(partial(self._address.connect, deadline))
                log_in(stream, self._address, self._hello_fields(), deadline)
            except AuthenticationFailed:
                shared.discard()
                raise
            except (OSError, ValueError) as exc:
                shared.discard()
                raise CommandNotSent(
                    f"no connection to Faktory at {self._address!r}: {exc}"
                ) from exc
            except BaseException:  # such as a Ctrl-C: no command may get a reply to HELLO
                shared.discard()
                raise
        return stream

    @staticmethod
    def _deadline(timeout: float | None) -> float | None:
        return None if timeout is None else time.monotonic() + timeout
