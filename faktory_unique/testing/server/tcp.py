"""The fake on a loopback port, for whatever is no client of this process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.testing.go.shapes import Value

    from .core import Core

HOST = "127.0.0.1"

# A client has this long for its HELLO (server/server.go:232).
_HANDSHAKE = 2.0
_AT_ONCE = 1e-6  # a timeout of 0 would be none

_READ_SIZE = 65_536


class Listener:
    """Accepts connections on a free port, each served by a thread of its own, until closed.

    Args:
        core: the fake.
        answered: called with the jobs that a command has enqueued, after its reply was sent.
    """

    def __init__(self, core: Core, answered: Callable[[list[Value]], None]) -> None:
        self._core = core
        self._answered = answered
        self._listening = socket.create_server((HOST, 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self._mutex = threading.Lock()
        self._served: dict[Session, threading.Thread] = {}
        self._accepting = threading.Thread(
            target=self._accept, name=f"fake-faktory-{self.port}", daemon=True
        )
        self._accepting.start()

    def close(self) -> None:
        """Ends all connections and the threads behind them."""
        # A close alone leaves accept() waiting on Linux.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        with self._mutex:
            served = list(self._served.items())
        for session, _ in served:
            session.close()
        for _, thread in served:
            if thread is not threading.current_thread():
                thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listening.accept()
            except OSError:  # closed
                return
            session = Session(self._core, partial(_shut, connected))
            thread = threading.Thread(
                target=self._serve,
                args=[session, connected],
                name=f"fake-faktory-{self.port}-connection",
                daemon=True,
            )
            with self._mutex:
                self._served[session] = thread
            thread.start()

    def _serve(self, session: Session, connected: socket.socket) -> None:
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            deadline = time.monotonic() + _HANDSHAKE
            connected.settimeout(_HANDSHAKE)
            connected.sendall(session.greeting())
            while session.open and (data := connected.recv(_READ_SIZE)):
                if not session.greeted:  # however little comes at a time
                    connected.settimeout(max(deadline - time.monotonic(), _AT_ONCE))
                for reply in session.receive(data):
                    connected.sendall(reply)
                    if session.greeted:
                        connected.settimeout(None)
                    jobs, session.pushed = session.pushed, []
                    if jobs:
                        self._answered(jobs)
        except OSError:  # the client is gone, or was closed
            pass
        finally:
            session.close()
            connected.close()
            with self._mutex:
                self._served.pop(session, None)


def _shut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
