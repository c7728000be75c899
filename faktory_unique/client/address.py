"""Where Faktory is, and how to get there."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .in_process import lookup
from .stream import SocketStream, left

if TYPE_CHECKING:
    import ssl

    from .stream import Stream


@dataclass(frozen=True, slots=True)
class Address:
    """Where Faktory is and how to get in.

    Attributes:
        host: name or address.
        port: TCP port.
        password: None where the server asks for none. Never shown.
        tls: None for plain TCP.
        ipv6: whether a name may stand for an IPv6 address.
    """

    host: str
    port: int
    password: str | None = None
    tls: ssl.SSLContext | None = None
    ipv6: bool = False

    def __repr__(self) -> str:
        return f"{self.host}:{self.port}"

    def connect(self, deadline: float | None) -> Stream:
        """A new connection, not yet logged in.

        Raises:
            OSError: none of the host's addresses can be reached in time.
        """
        local = lookup(self.host, self.port) if self.tls is None else None
        if local is not None:
            return local.connect()
        family = socket.AF_UNSPEC if self.ipv6 or ":" in self.host else socket.AF_INET
        addresses = socket.getaddrinfo(self.host, self.port, family, socket.SOCK_STREAM)
        for n, (*_, address) in enumerate(addresses, start=1):
            try:
                return self._connect_to(address[:2], deadline)
            except OSError:
                if n == len(addresses):
                    raise
        raise OSError(f"{self.host} has no address")  # getaddrinfo raises rather than return none

    def now(self) -> float:
        """Seconds since the epoch, by this machine's clock, or by that of a server in memory."""
        local = lookup(self.host, self.port)
        return time.time() if local is None else local.now()

    def _connect_to(self, address: tuple[Any, ...], deadline: float | None) -> Stream:
        connected = socket.create_connection(address, timeout=left(deadline))
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self.tls is not None:
                connected = self.tls.wrap_socket(connected, server_hostname=self.host)
        except BaseException:  # a Ctrl-C amid a TLS handshake, say: not left open
            connected.close()
            raise
        return SocketStream(connected)
