"""`Peer`: a server with one script for each connection, and a client connected to it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

from faktory_unique import Client
from tests.patience import PATIENCE

HI = b'+HI {"v":2}\r\n'


class Peer:
    """A TCP server that runs one script, `script(peer, conn)`, for each connection in turn."""

    def __init__(self, *scripts, address=("127.0.0.1", 0), family=socket.AF_INET):
        self.listening = socket.create_server(address, family=family)
        host, port, *_ = self.listening.getsockname()
        self.url = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        self.received = []
        self.thread = threading.Thread(target=self._serve, args=(scripts,), daemon=True)
        self.thread.start()

    def _serve(self, scripts):
        playing = []
        for script in scripts:
            conn, _ = self.listening.accept()
            playing.append(threading.Thread(target=self._play, args=(script, conn), daemon=True))
            playing[-1].start()
        self.listening.close()
        for thread in playing:
            thread.join(PATIENCE)

    def _play(self, script, conn):
        with conn:
            script(self, conn)

    def receive(self, conn):
        line = b""
        while not line.endswith(b"\n"):
            byte = conn.recv(1)
            if not byte:
                return None
            line += byte
        self.received.append(line.decode().strip())
        return self.received[-1]

    def greet(self, conn):
        conn.sendall(HI)
        self.receive(conn)
        conn.sendall(b"+OK\r\n")


def answering(*replies, chunk=None):
    """Return a script that greets, and answers each command with the next of the replies."""

    def script(peer, conn):
        peer.greet(conn)
        for reply in replies:
            if peer.receive(conn) is None:
                return
            step = chunk or max(1, len(reply))
            for start in range(0, len(reply), step):
                conn.sendall(reply[start : start + step])
                if chunk:
                    time.sleep(0.001)

    return script


@contextmanager
def connected(peer, **options):
    client = Client(peer.url, **{"timeout": 2, **options})
    client.connect()
    yield client
    client.disconnect()
    peer.thread.join(PATIENCE)


def bulk(text):
    data = text.encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)
