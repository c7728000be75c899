"""The registry of in-memory Faktory servers, which clients of this process use without a socket.

`faktory_unique.testing` registers its in-memory Faktory here. A forked child is another process: it
does not find the servers that it inherits, and uses TCP if a server listens.
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
        """Open a new connection. HI and HELLO are not exchanged yet."""
        ...

    def now(self) -> float:
        """Return the server's wall clock: seconds since the epoch."""
        ...


_servers: WeakValueDictionary[tuple[int, str, int], LocalServer] = WeakValueDictionary()


def register(host: str, port: int, server: LocalServer) -> None:
    """Register a server for clients of this process. The caller must keep a reference to it."""
    _servers[os.getpid(), host, port] = server


def unregister(server: LocalServer) -> None:
    """Remove a server from all addresses under which it was registered."""
    for address in [address for address, other in _servers.items() if other is server]:
        _servers.pop(address, None)


def server_at(host: str, port: int) -> LocalServer | None:
    """Return the server that this process has registered under an address; None without one."""
    return _servers.get((os.getpid(), host, port))
