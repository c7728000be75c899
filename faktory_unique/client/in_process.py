"""The registry of in-memory Faktory servers; refuses other addresses while a fake is active.

`faktory_unique.testing` registers its in-memory Faktory here. A forked child is another process: it
does not find the servers that it inherits, and uses TCP if a server listens.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from faktory_unique._environment import variable

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

# While a fake is active, its `host:port`. It is a variable so that the block's subprocesses, which
# run handlers, are protected as well.
ONLY_SERVER = "FAKTORY_FAKE_ONLY"

_LOOPBACK_NAMES = ("localhost", "::1")


def refuse_real_server(host: str, port: int) -> None:
    """Refuse an address that leads out of the test, while `testing.fake` or `inline` is active.

    Raises:
        RuntimeError: the address is not that of the fake. It is no `FaktoryError`, which the code
            under test may catch.
    """
    only = variable(ONLY_SERVER)
    # The fake listens on the loopback address, which has several names.
    name = f"127.0.0.1:{port}" if host in _LOOPBACK_NAMES else f"{host}:{port}"
    if only and only != name:
        raise RuntimeError(
            f"a fake Faktory is active, and this client would reach a real server, {host}:{port}; "
            "make the client without a URL, or allow it: fake(allow_real=True)"
        )


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
