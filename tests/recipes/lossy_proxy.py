"""A proxy to Faktory that loses one reply."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress

from tests.patience import PATIENCE

HOST = "127.0.0.1"


class LossyProxy:
    """Carry bytes to a server and back, and close the connection instead of sending one reply.

    Args:
        port: the server's port on loopback.
        after_pushes: the PUSHB whose reply is lost, counted from 1.

    Attributes:
        url: the address for the client that loses the reply.
        lost: the number of lost replies.
    """

    def __init__(self, port, after_pushes):
        self._port = port
        self._left = after_pushes
        self._listening = socket.create_server((HOST, 0))
        self._threads = [threading.Thread(target=self._accept)]
        self.url = f"tcp://{HOST}:{self._listening.getsockname()[1]}"
        self.lost = 0

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_exc):
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        self._listening.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._carry, args=[client]))
                self._threads[-1].start()

    def _carry(self, client):
        with client, socket.create_connection((HOST, self._port)) as server, suppress(OSError):
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    sent = client.recv(65_536)
                    self._left -= sent.startswith(b"PUSHB")  # the client waits for each reply
                    server.sendall(sent)
                    if not sent:
                        return
                if server in ready:
                    reply = server.recv(65_536)
                    if not self._left:
                        self._left, self.lost = -1, self.lost + 1
                        return
                    if not reply:
                        return
                    client.sendall(reply)
