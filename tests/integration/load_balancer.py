"""`LoadBalancer`: a TCP proxy in front of a server, which can answer a connection itself."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class LoadBalancer:
    """Passes connections on to a server, except those that `refuse` makes it answer.

    Attributes:
        url: the address of the proxy.
        greetings: the bytes with which the next connections are answered, and closed.
    """

    def __init__(self, port):
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open = []
        self._threads = [threading.Thread(target=self._serve)]
        self.url = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self.greetings = []

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_exc):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._cut()
        for thread in self._threads:
            thread.join(10)
        for sock in (self._listening, *self._open):
            sock.close()

    def refuse(self, greetings):
        """Cut all connections, and answer the next ones with these greetings."""
        self.greetings[:] = greetings
        self._cut()

    def _cut(self):
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _serve(self):
        with suppress(OSError):
            while True:
                outside, _ = self._listening.accept()
                if self.greetings:
                    outside.sendall(self.greetings.pop(0))
                    outside.close()
                    continue
                inside = socket.create_connection(("127.0.0.1", self._port))
                self._open += [outside, inside]
                for ends in ((outside, inside), (inside, outside)):
                    self._threads.append(threading.Thread(target=self._pump, args=ends))
                    self._threads[-1].start()

    @staticmethod
    def _pump(source, sink):
        with suppress(OSError):
            while data := source.recv(4096):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
