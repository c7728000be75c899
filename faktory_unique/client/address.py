"""`Address`: host, port, password and TLS of a Faktory server; opens connections to it."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .in_process import refuse_real_server, server_at
from .stream import SocketStream, seconds_left

if TYPE_CHECKING:
    import ssl

    from .stream import Stream


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a Faktory server, and the password and TLS context of its clients.

    Attributes:
        host: name or IP address.
        port: TCP port.
        password: None if the server needs none. `repr` does not show it.
        tls: the TLS context; None for plain TCP.
        ipv6: whether a host name may be resolved to an IPv6 address.
    """

    host: str
    port: int
    password: str | None = None
    tls: ssl.SSLContext | None = None
    ipv6: bool = False

    def __repr__(self) -> str:
        return f"{self.host}:{self.port}"

    def connect(self, deadline: float | None) -> Stream:
        """Open a new connection. HI and HELLO are not exchanged yet.

        Args:
            deadline: a time of `time.monotonic`; None for no limit.

        Raises:
            RuntimeError: a fake is active, and this is the address of another server.
            OSError: the host name could not be resolved, or none of its addresses could be
                reached in time.
        """
        in_memory = server_at(self.host, self.port) if self.tls is None else None
        if in_memory is not None:
            return in_memory.connect()
        refuse_real_server(self.host, self.port)
        family = socket.AF_UNSPEC if self.ipv6 or ":" in self.host else socket.AF_INET
        candidates = socket.getaddrinfo(self.host, self.port, family, socket.SOCK_STREAM)
        for n, (*_, socket_address) in enumerate(candidates, start=1):
            try:
                return self._connect_to(socket_address[:2], deadline)
            except OSError:
                if n == len(candidates):
                    raise
        raise OSError(f"{self.host} has no address")  # for mypy: getaddrinfo raises instead

    def now(self) -> float:
        """Return seconds since the epoch, by this machine's or an in-memory server's clock."""
        in_memory = server_at(self.host, self.port)
        return time.time() if in_memory is None else in_memory.now()

    def _connect_to(self, socket_address: tuple[Any, ...], deadline: float | None) -> Stream:
        connected = socket.create_connection(socket_address, timeout=seconds_left(deadline))
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self.tls is not None:
                connected = self.tls.wrap_socket(connected, server_hostname=self.host)
        except BaseException:  # also a Ctrl-C during the TLS handshake: leave no socket open
            connected.close()
            raise
        return SocketStream(connected)
