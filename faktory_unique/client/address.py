"""Faktory's address: host, port, password and TLS, and how a socket is connected to it."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .in_process import server_at
from .stream import SocketStream, seconds_left

if TYPE_CHECKING:
    import ssl

    from .stream import Stream


@dataclass(frozen=True, slots=True)
class Address:
    """Where Faktory listens, and what a client needs to be let in.

    Attributes:
        host: name or IP address.
        port: TCP port.
        password: None if the server asks for none. Never shown.
        tls: None for plain TCP.
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
            deadline: of `time.monotonic`; None for no limit.

        Raises:
            OSError: none of the host's addresses could be reached in time.
        """
        local = server_at(self.host, self.port) if self.tls is None else None
        if local is not None:
            return local.connect()
        family = socket.AF_UNSPEC if self.ipv6 or ":" in self.host else socket.AF_INET
        found = socket.getaddrinfo(self.host, self.port, family, socket.SOCK_STREAM)
        for n, (*_, socket_address) in enumerate(found, start=1):
            try:
                return self._connect_to(socket_address[:2], deadline)
            except OSError:
                if n == len(found):
                    raise
        raise OSError(f"{self.host} has no address")  # getaddrinfo raises rather than return none

    def now(self) -> float:
        """Return seconds since the epoch, by this machine's clock or an in-memory server's."""
        local = server_at(self.host, self.port)
        return time.time() if local is None else local.now()

    def _connect_to(self, socket_address: tuple[Any, ...], deadline: float | None) -> Stream:
        connected = socket.create_connection(socket_address, timeout=seconds_left(deadline))
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self.tls is not None:
                connected = self.tls.wrap_socket(connected, server_hostname=self.host)
        except BaseException:  # also a Ctrl-C during the TLS handshake: do not leave it open
            connected.close()
            raise
        return SocketStream(connected)
