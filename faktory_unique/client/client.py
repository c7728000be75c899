"""`Client`: URL, role, time-out, TLS and heartbeat; pyfaktory's methods, made reliable."""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
import uuid
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from faktory_unique._environment import variable
from faktory_unique._pyfaktory import State, StockClient
from faktory_unique.errors import CommandRefused

from .address import Address
from .commands import Commands
from .connection import Connection
from .heartbeat import Heartbeat
from .protocol import client_url, parse_job, parse_state_change

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seconds. FETCH blocks for 2 s if the queues are empty, and the server gives it 5 s
# (manager/fetch.go:180 and server/commands.go of Faktory 1.10). With a shorter time-out, a job that
# is on its way would stay reserved until its reservation expires. A longer time-out only delays the
# stop of a worker.
FETCH_TIMEOUT = 7.0

# The server forgets a worker that sends no heartbeat for 60 s (server/tasks.go:50).
_MIN_BEAT_PERIOD, _MAX_BEAT_PERIOD = 5, 60

# Seconds for which `disconnect` waits for commands of other threads.
_DISCONNECT_SECONDS = 0.5

# The states that the reply to BEAT can ask for.
_REQUESTED_STATES: dict[str | None, State] = {
    "quiet": State.QUIET,
    "terminate": State.TERMINATING,
}


class Client(StockClient):
    """pyfaktory's Client, with the same arguments, that reports the outcome of each command.

    A broken connection is reopened at the next command. If the server has closed the connection,
    the client detects that before it sends anything. A command that fails raises `CommandRefused`,
    `CommandNotSent` or `CommandOutcomeUnknown`, which are subclasses of pyfaktory's
    FaktroyWorkProtocolError. A consumer's client has a second connection for FETCH, so that ACK,
    FAIL and heartbeats never wait for it.

    Args:
        faktory_url: `tcp://:password@host:port`, or `tcp+tls://…`; by default `FAKTORY_URL`, or
            else `tcp://localhost:7419`.
        role: "producer", "consumer" or "both".
        timeout: seconds that one command may take, connecting included; None for no limit.
        worker_id: a consumer's id on the server; at least 8 characters, by default random.
        labels: a consumer's labels in the Web UI.
        beat_period: seconds between a consumer's heartbeats, 5 to 60.
        enable_ipv6: whether the host's name may be resolved to an IPv6 address.
        ssl_context: for `tcp+tls`; by default the server's certificate is verified against the
            system's authorities.

    Raises:
        ValueError: an argument is invalid; the message names it.
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
            raise ValueError(
                f"timeout: {timeout!r} must be more than 0 seconds, or None for no limit"
            )
        if not _MIN_BEAT_PERIOD <= beat_period <= _MAX_BEAT_PERIOD:
            raise ValueError(f"beat_period: {beat_period!r} must be from 5 to 60 seconds")
        _refuse_unencoded_password(faktory_url or variable("FAKTORY_URL") or "")
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
            # Without the text: if the URL is malformed, the password can be parsed as the port.
            raise ValueError("faktory_url: the port must be a number from 0 to 65535") from None
        self.timeout = timeout  # type: ignore[assignment]  # a fraction is allowed
        host = self.host
        if self.scheme not in {"tcp", "tcp+tls"} or not host:
            # Without the URL: it may hold a password.
            raise ValueError(
                "faktory_url: write it as tcp://host:port or tcp+tls://host:port; "
                f"its scheme is {self.scheme!r} and its host {host!r}"
            )
        self.password = unquote(self.password) if self.password else None
        tls = ssl_context or ssl.create_default_context() if self.scheme == "tcp+tls" else None
        self._address = Address(host, self.port, self.password, tls, enable_ipv6)
        self._commands, self._fetch_commands = (
            Commands(Connection(self._address, self._hello_fields, timeout, self._is_connected))
            for _ in range(2)
        )
        self._heartbeat_thread: Heartbeat | None = None

    @classmethod
    def like(cls, client: StockClient, role: str) -> Self:
        """Return a client for the same server as another one, with its own connections.

        It has the same address, password and time-out and, for a consumer, the same labels and
        heartbeat period.
        """
        url = client_url(client)
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
        return f"<{type(self).__name__} {self.role} {self._address!r}>"

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.disconnect()

    def connect(self) -> bool:
        """Open the connection; for a consumer, also start the heartbeat.

        Returns:
            True, as pyfaktory's does.

        Raises:
            CommandNotSent: no connection could be made, or no Faktory listens there.
            AuthenticationFailed: wrong or missing password.
        """
        if self._is_connected():
            return True
        self._commands.connection.open()
        self.state = State.IDENTIFIED
        if self.role != "producer":
            self._heartbeat_thread = Heartbeat(
                lambda: self._beat(rss_kb=self.rss_kb), self.beat_period, repr(self._address)
            )
            self._heartbeat_thread.start()
        return True

    def disconnect(self) -> None:
        """Close the connections and stop the heartbeat; harmless if the client is not connected.

        Commands of other threads have half a second to end. Then they are broken off, and raise
        `CommandOutcomeUnknown` or `CommandNotSent`.
        """
        self.state = State.DISCONNECTED
        if self._heartbeat_thread is not None:
            self._heartbeat_thread.stop()
        deadline = time.monotonic() + _DISCONNECT_SECONDS
        self._fetch_commands.connection.close(deadline)
        self._commands.connection.close(deadline)

    def now(self) -> float:
        """Return seconds since the epoch, by this machine's or an in-memory Faktory's clock."""
        return self._address.now()

    def _is_connected(self) -> bool:
        return self.state is not State.DISCONNECTED

    def _hello_fields(self) -> dict[str, Any]:
        """Return the fields of HELLO that describe a worker; none for a producer."""
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

    def _send_and_receive(self, command: str) -> str:
        """Send a command and return its reply. The methods inherited from pyfaktory call this."""
        return self._commands.call(command.removesuffix("\r\n"))

    def _fetch(self, queues: list[str]) -> dict[str, Any] | None:
        """Send FETCH. Return a job's payload, or None if the queues stayed empty for 2 s."""
        command, limit = f"FETCH {' '.join(queues)}", FETCH_TIMEOUT
        return parse_job(self._fetch_commands.call(command, min_timeout=limit, max_timeout=limit))

    def _beat(self, rss_kb: int | None = None) -> bool:
        """Send BEAT. The reply can set this worker's state to quiet or terminating.

        Args:
            rss_kb: the memory that this process uses, in kilobytes; None: it is not sent.
        """
        beat: dict[str, Any] = {"wid": self.worker_id}
        if self.state in {State.QUIET, State.TERMINATING}:
            beat["current_state"] = "quiet" if self.state is State.QUIET else "terminate"
        if rss_kb:
            beat["rss_kb"] = rss_kb
        try:
            reply = self._commands.call(f"BEAT {json.dumps(beat)}")
        except CommandRefused:
            # A restarted server does not know this worker. The HELLO of a new connection
            # registers it again.
            self._commands.connection.close()
            raise
        requested = _REQUESTED_STATES.get(parse_state_change(reply))
        if requested is not None and self.state not in {State.DISCONNECTED, State.TERMINATING}:
            self._set_state(requested)
        return True


def _refuse_unencoded_password(url: str) -> None:
    """Refuse a URL with a password whose characters end the host: a part of it would be the host.

    Raises:
        ValueError: the password must be encoded. The message does not contain it.
    """
    login = url.partition("://")[2].rpartition("@")[0]
    wrong = [char for char in "/?#[]" if char in login]
    if wrong:
        raise ValueError(
            f"faktory_url: its password contains {' '.join(wrong)}; encode it: "
            'urllib.parse.quote(password, safe="")'
        )
