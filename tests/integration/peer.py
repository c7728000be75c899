"""A server that answers what a test has told it, connection by connection."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

from faktory_unique import Client

HI = b'+HI {"v":2}\r\n'


class Peer:
    """A TCP server that plays a script: one function per connection, with the socket as a file."""

    def __init__(self, *scripts, address=("127.0.0.1", 0), family=socket.AF_INET):
        self.listening = socket.create_server(address, family=family)
        host, port, *_ = self.listening.getsockname()
        self.url = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        self.heard = []
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
            thread.join(5)

    def _play(self, script, conn):
        with conn:
            script(self, conn)

    def hear(self, conn):
        line = b""
        while not line.endswith(b"\n"):
            got = conn.recv(1)
            if not got:
                return None
            line += got
        self.heard.append(line.decode().strip())
        return self.heard[-1]

    def greet(self, conn):
        conn.sendall(HI)
        self.hear(conn)
        conn.sendall(b"+OK\r\n")


def answering(*replies, chunk=None):
    """A script that greets, and answers each command with the next of the replies."""

    def script(peer, conn):
        peer.greet(conn)
        for reply in replies:
            if peer.hear(conn) is None:
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
    peer.thread.join(5)


def bulk(text):
    data = text.encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)
