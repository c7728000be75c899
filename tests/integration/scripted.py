"""`ScriptedServer`: a TCP server that greets like Faktory, and then runs a test's script."""

from __future__ import annotations

import json
import select
import socket
import threading
from contextlib import suppress

from tests.patience import PATIENCE

REPORTS = {"ACK", "FAIL"}


class Peer:
    """One connection, as its script uses it. Iterate it for the commands that arrive."""

    def __init__(self, server, conn):
        self._server = server
        self._conn = conn
        self._lines = conn.makefile("rb")

    def __iter__(self):
        while line := self._lines.readline():
            command = line.decode().strip()
            if command == "END":
                return
            self._server.received.append(command)
            yield command

    def send(self, reply):
        self._conn.sendall(reply)

    def readable(self, seconds):
        """Wait for a command or the connection's end. Return False if none comes in time."""
        return bool(select.select([self._conn], [], [], seconds)[0])

    def greet(self):
        self.send(b'+HI {"v":2}\r\n')
        self._lines.readline()
        self.send(b"+OK\r\n")

    def close(self):
        self._lines.close()
        self._conn.close()


class ScriptedServer:
    """Runs `script(peer)` for each connection, in a thread, after the handshake.

    Attributes:
        received: the commands of all connections, in the order in which they arrived.
    """

    def __init__(self, script):
        self._script = script
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._conns = []
        self._threads = []
        self._accepting = threading.Thread(target=self._accept)
        self.url = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self.received = []

    def __enter__(self):
        self._accepting.start()
        return self

    def __exit__(self, *_exc):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join(PATIENCE)
        self._listening.close()
        for conn in self._conns:
            with suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def reports(self):
        """Return verb and jid of each ACK and FAIL received."""
        commands = [command.split(" ", 1) for command in self.received if " " in command]
        return [f"{verb} {json.loads(rest)['jid']}" for verb, rest in commands if verb in REPORTS]

    def count(self, verb):
        return sum(command.split()[0] == verb for command in list(self.received))

    def _accept(self):
        while True:
            try:
                conn, _ = self._listening.accept()
            except OSError:
                return
            self._conns.append(conn)
            self._threads.append(threading.Thread(target=self._converse, args=[conn]))
            self._threads[-1].start()

    def _converse(self, conn):
        peer = Peer(self, conn)
        with suppress(OSError):
            peer.greet()
            self._script(peer)
        peer.close()


def bulk(text):
    return b"$%d\r\n%b\r\n" % (len(text.encode()), text.encode())
