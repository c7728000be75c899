"""`Listener`: the fake on a loopback port: sockets, threads, and the time-out for HELLO."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from .dispatcher import Dispatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from .core import Core
    from .go_json import Value
    from .session import Session

HOST = "127.0.0.1"

# Seconds in which a client must send its HELLO (server/server.go:232).
_HANDSHAKE_TIMEOUT = 2.0
_SHORTEST_TIMEOUT = 1e-6  # 0 would make the socket non-blocking

_READ_SIZE = 65_536


class Listener:
    """Accepts connections on a free port, and serves each in a thread, until it is closed.

    Args:
        core: the state that all connections of the fake share.
        on_pushed: called with the jobs that a command has enqueued, after its reply was sent.
    """

    def __init__(self, core: Core, on_pushed: Callable[[list[Value]], None]) -> None:
        self._core = core
        self._on_pushed = on_pushed
        self._listening = socket.create_server((HOST, 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self._mutex = threading.Lock()
        self._served: dict[Session, threading.Thread] = {}
        self._accepting = threading.Thread(
            target=self._accept, name=f"fake-faktory-{self.port}", daemon=True
        )
        self._accepting.start()

    def close(self) -> None:
        """End all connections and their threads."""
        # On Linux, close alone leaves accept() waiting.
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
            dispatcher = Dispatcher(self._core, partial(_shut_down, connected))
            thread = threading.Thread(
                target=self._serve,
                args=[dispatcher, connected],
                name=f"fake-faktory-{self.port}-connection",
                daemon=True,
            )
            with self._mutex:
                self._served[dispatcher.session] = thread
            thread.start()

    def _serve(self, dispatcher: Dispatcher, connected: socket.socket) -> None:
        session = dispatcher.session
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            deadline = time.monotonic() + _HANDSHAKE_TIMEOUT
            connected.settimeout(_HANDSHAKE_TIMEOUT)
            connected.sendall(dispatcher.greeting())
            while session.is_open and (data := connected.recv(_READ_SIZE)):
                if not session.greeted:  # one deadline, however little data each `recv` returns
                    connected.settimeout(max(deadline - time.monotonic(), _SHORTEST_TIMEOUT))
                for reply in dispatcher.receive(data):
                    connected.sendall(reply)
                    if session.greeted:
                        connected.settimeout(None)
                    if jobs := session.take_pushed():
                        self._on_pushed(jobs)
        except OSError:  # the client has gone, or the connection was closed
            pass
        finally:
            session.close()
            connected.close()
            with self._mutex:
                self._served.pop(session, None)


def _shut_down(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
