"""Servers within this process: a client that asks for the address of one needs no socket.

`faktory_unique.testing` puts its in-memory Faktory here. A forked child is another process: it has
no part in what it inherits, and reaches the server over TCP if that listens.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from .stream import Stream


class LocalServer(Protocol):
    """A Faktory in this process's memory."""

    def connect(self) -> Stream:
        """A new connection, not yet logged in."""
        ...

    def now(self) -> float:
        """Its wall clock: seconds since the epoch."""
        ...


_servers: WeakValueDictionary[tuple[int, str, int], LocalServer] = WeakValueDictionary()


def register(host: str, port: int, server: LocalServer) -> None:
    """Lets the clients of this process find a server, for as long as somebody else holds it."""
    _servers[os.getpid(), host, port] = server


def unregister(server: LocalServer) -> None:
    """Lets no client find it any more, at whatever address."""
    for address in [address for address, found in _servers.items() if found is server]:
        _servers.pop(address, None)


def lookup(host: str, port: int) -> LocalServer | None:
    """The server of this process at an address; None where there is none."""
    return _servers.get((os.getpid(), host, port))
