"""`Commands`: lets workers and producers send PUSHB, ACK and FAIL on a `Client`'s connection.

These methods are for internal use, so they are not part of `Client`, which is public.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .protocol import parse_rejections, pushb_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .connection import Connection
    from .shared_stream import PendingReply


class Commands:
    """Sends commands on one of a client's connections.

    Args:
        connection: the connection to send on. `Client` opens and closes it.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def call(
        self,
        command: str,
        *,
        min_timeout: float | None = None,
        max_timeout: float | None = None,
        not_after: float | None = None,
    ) -> str:
        """Send one command and return its complete reply; see `Connection.call`."""
        return self.connection.call(
            command, min_timeout=min_timeout, max_timeout=max_timeout, not_after=not_after
        )

    def send(self, command: str) -> PendingReply:
        """Send one command without waiting for its reply; see `Connection.send`."""
        return self.connection.send(command)

    def push_batch(
        self, payloads: Sequence[dict[str, Any]], *, not_after: float | None = None
    ) -> dict[str, str]:
        """Send PUSHB and wait for its reply.

        Args:
            payloads: the jobs.
            not_after: the time of `time.monotonic` from which the command must not be sent.

        Returns:
            The error of each job that Faktory did not enqueue, by jid.

        Raises:
            TypeError: a payload cannot be written as JSON. Nothing was sent.
            ValueError: likewise.
            CommandRefused: Faktory refused the whole command.
            CommandNotSent: no connection could be made.
            CommandOutcomeUnknown: no complete reply arrived.
        """
        return parse_rejections(self.call(pushb_command(payloads), not_after=not_after))
