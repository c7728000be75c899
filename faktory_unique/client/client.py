"""pyfaktory's Client on connections that know what became of each command."""

from __future__ import annotations

import json
import os
import socket
import ssl
import uuid
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from faktory_unique._environment import variable
from faktory_unique._pyfaktory import State, StockClient
from faktory_unique.errors import CommandNotSent, CommandRefused

from .address import Address
from .connection import Connection
from .heartbeat import Heartbeat
from .protocol import bulk, fetched, pushb, refused_of, url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# FETCH blocks for 2 s where queues are empty and works under a limit of 5 s (manager/fetch.go:180
# and server/commands.go of Faktory 1.10). Giving up earlier strands the job that is on its way;
# later, a worker that is to stop waits for nothing.
FETCH_TIMEOUT = 7.0

# A worker that has not been heard of for 60 s is forgotten (server/tasks.go:50).
_SHORTEST_BEAT, _LONGEST_BEAT = 5, 60


class PendingBatch:
    """A PUSHB that is written and not sent yet. Call `send`, then `receive`, once each."""

    def __init__(self, client: Client, command: str) -> None:
        self._client = client
        self._command = command

    def send(self) -> None:
        """Send the command without waiting for the reply.

        Raises:
            CommandNotSent: the client is not connected.
        """
        self._reply = self._client.send(self._command)
        del self._command  # the text of a whole batch

    def receive(self) -> dict[str, str]:
        """Wait for the reply; see `Client.push_batch`."""
        return refused_of(self._reply())


class Client(StockClient):
    """pyfaktory's Client, with the same arguments, that tells the truth about each command.

    A broken connection is replaced at the next command; one that the server has closed is noticed
    before anything is sent. Commands raise `CommandRefused`, `CommandNotSent` or `CommandOutcomeUnknown`, each of which
    is pyfaktory's FaktroyWorkProtocolError too. A client that consumes has a second connection for
    FETCH, so that ACK, FAIL and heartbeats never wait for it.

    Args:
        faktory_url: `tcp://:password@host:port`, or `tcp+tls://…`; by default `FAKTORY_URL`, or
            else `tcp://localhost:7419`.
        role: "producer", "consumer" or "both".
        timeout: seconds that one command may take, connecting included; None for no bound.
        worker_id: what the server knows a consumer by; at least 8 characters, by default random.
        labels: what the Web UI shows beside a consumer.
        beat_period: seconds between a consumer's heartbeats, 5 to 60.
        enable_ipv6: whether the host's name may stand for an IPv6 address.
        ssl_context: for `tcp+tls`; by default certificates are verified against the system's.

    Raises:
        ValueError: an argument is impossible; the message names it.
    """

    def __init__(
        self,
        faktory_url: str | None = None,
        role: str = "producer",
        timeout: float | None = 30,
        worker_id: str | None = None,
        labels: Sequence[str] = ("python",),
        beat_period: int = 15,
        enable_ipv6: bool = False,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout: {timeout!r} is not more than 0 seconds; or pass None")
        if not _SHORTEST_BEAT <= beat_period <= _LONGEST_BEAT:
            raise ValueError(f"beat_period: {beat_period!r} is not within 5 to 60 seconds")
        if worker_id is None:
            worker_id = uuid.uuid4().hex
        try:
            super().__init__(
                faktory_url or variable("FAKTORY_URL"),
                role,
                None,
                worker_id,
                list(labels),
                beat_period,
                enable_ipv6,
            )
        except ValueError as exc:
            if "Port " not in str(exc):
                raise
            # Without the text: of a URL that is cut wrongly, the port can be the password.
            raise ValueError("faktory_url: its port is no number from 0 to 65535") from None
        self.timeout = timeout  # type: ignore[assignment]  # fractions are welcome
        host = self.host
        if self.scheme not in {"tcp", "tcp+tls"} or not host:
            # Without the URL: it may hold a password.
            raise ValueError(
                f"faktory_url: scheme {self.scheme!r} and host {host!r} do not make "
                "tcp://host:port or tcp+tls://host:port"
            )
        self.password = unquote(self.password) if self.password else None
        tls = ssl_context or ssl.create_default_context() if self.scheme == "tcp+tls" else None
        self._server = Address(host, self.port, self.password, tls, enable_ipv6)
        self._commands = Connection(self._server, self._greeting, timeout)
        self._fetches = Connection(self._server, self._greeting, timeout)
        self._beats: Heartbeat | None = None

    @classmethod
    def like(cls, client: StockClient, role: str) -> Self:
        """A client for the same server as another, with connections of its own.

        Taken over: address, password, time-out and, for a consumer, labels and heartbeat period.
        """
        url = url_of(client)
        if role == "producer":
            return cls(url, role, client.timeout, enable_ipv6=client.enable_ipv6)
        return cls(
            url,
            role,
            client.timeout,
            labels=client.labels,
            beat_period=client.beat_period,
            enable_ipv6=client.enable_ipv6,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.role} {self._server!r}>"

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.disconnect()

    def connect(self) -> bool:
        """Opens the connection; for a consumer, starts the heartbeat too.

        Raises:
            CommandNotSent: no connection could be made.
            AuthenticationFailed: wrong or missing password.
        """
        if self.state is not State.DISCONNECTED:
            return True
        self._commands.open()
        self.state = State.IDENTIFIED
        if self.role != "producer":
            self._beats = Heartbeat(
                lambda: self._beat(rss_kb=self.rss_kb), self.beat_period, repr(self._server)
            )
            self._beats.start()
        return True

    def disconnect(self) -> None:
        """Ends the connections; harmless on a client that is not connected, or is broken."""
        self.state = State.DISCONNECTED
        if self._beats is not None:
            self._beats.stop()
        self._fetches.close()
        self._commands.close()

    def now(self) -> float:
        """Seconds since the epoch; in a test on an in-memory Faktory, by that server's clock."""
        return self._server.now()

    def push_batch(
        self, payloads: Sequence[dict[str, Any]], *, not_after: float | None = None
    ) -> dict[str, str]:
        """PUSHB; with `not_after`, not sent from that `time.monotonic` on.

        Returns:
            What Faktory said of each job that it did not enqueue, by jid.

        Raises:
            TypeError: a payload is not JSON; likewise ValueError. Nothing was sent.
            Refused: the whole command was refused.
            CommandNotSent: no connection could be made.
            CommandOutcomeUnknown: no whole answer came back.
        """
        return refused_of(self.call(pushb(payloads), not_after=not_after))

    def begin_batch(self, payloads: Sequence[dict[str, Any]]) -> PendingBatch:
        """Write PUSHB, to be sent and answered in steps of their own.

        Raises:
            TypeError: a payload is not JSON; likewise ValueError.
        """
        return PendingBatch(self, pushb(payloads))

    def _greeting(self) -> dict[str, Any]:
        """What HELLO tells of this client; a consumer is known by its worker id."""
        if self.role == "producer":
            return {}
        return {
            "hostname": socket.gethostname(),
            "wid": self.worker_id,
            "pid": os.getpid(),
            "labels": list(self.labels),
        }

    def _set_state(self, new_state: State) -> bool:
        changed = self.state is not new_state
        self.state = new_state
        return changed

    def call(
        self, command: str, *, at_most: float | None = None, not_after: float | None = None
    ) -> str:
        """Sends one command and returns its whole reply; see `Connection.call`."""
        return self._connected(self._commands).call(command, at_most=at_most, not_after=not_after)

    def send(self, command: str) -> Callable[[], str]:
        """Sends one command; its reply is asked for later. Unconnected, it raises `CommandNotSent`."""
        return self._connected(self._commands).send(command)

    def _connected(self, connection: Connection) -> Connection:
        if self.state is State.DISCONNECTED:
            raise CommandNotSent(
                "the client is not connected; call connect(), or use it in a with block"
            )
        return connection

    def _send_and_receive(self, command: str) -> str:
        """What pyfaktory's own commands go through."""
        return self.call(command.removesuffix("\r\n"))

    def _fetch(self, queues: list[str]) -> dict[str, Any] | None:
        """FETCH: the payload of a job, or None where the queues stayed empty for 2 s."""
        command, limit = f"FETCH {' '.join(queues)}", FETCH_TIMEOUT
        return fetched(self._connected(self._fetches).call(command, at_least=limit, at_most=limit))

    def _beat(self, rss_kb: int | None = None) -> bool:
        """BEAT; the server's answer may make this worker quiet or tell it to terminate."""
        beat: dict[str, Any] = {"wid": self.worker_id}
        if self.state in {State.QUIET, State.TERMINATING}:
            beat["current_state"] = "quiet" if self.state is State.QUIET else "terminate"
        if rss_kb:
            beat["rss_kb"] = rss_kb
        try:
            reply = self.call(f"BEAT {json.dumps(beat)}")
        except CommandRefused:
            # A restarted server does not know this worker; the HELLO of a new connection tells it.
            self._commands.close()
            raise
        told = bulk(reply)
        if told is not None and self.state is not State.DISCONNECTED:
            states = {"quiet": State.QUIET, "terminate": State.TERMINATING}
            wanted = states.get(json.loads(told).get("state"))
            if wanted is not None and self.state is not State.TERMINATING:
                self._set_state(wanted)
        return True
