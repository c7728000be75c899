"""A TCP server that greets like Faktory and then misbehaves as a test says."""

from __future__ import annotations

import json
import select
import socket
import threading
from contextlib import suppress

REPORTS = {"ACK", "FAIL"}


class Peer:
    """One connection, as its script has it: iterated, the commands that come in."""

    def __init__(self, server, conn):
        self._server = server
        self._conn = conn
        self._lines = conn.makefile("rb")

    def __iter__(self):
        while line := self._lines.readline():
            command = line.decode().strip()
            if command == "END":
                return
            self._server.heard.append(command)
            yield command

    def say(self, reply):
        self._conn.sendall(reply)

    def has_news(self, seconds):
        """Whether a command, or the connection's end, comes within so many seconds."""
        return bool(select.select([self._conn], [], [], seconds)[0])

    def greet(self):
        self.say(b'+HI {"v":2}\r\n')
        self._lines.readline()
        self.say(b"+OK\r\n")

    def close(self):
        self._lines.close()
        self._conn.close()


class ScriptedServer:
    """Runs `script(peer)` for each connection, in a thread, once it has greeted.

    Attributes:
        heard: the commands of all connections, in the order in which they came.
    """

    def __init__(self, script):
        self._script = script
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._conns = []
        self._threads = []
        self._accepting = threading.Thread(target=self._accept)
        self.url = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self.heard = []

    def __enter__(self):
        self._accepting.start()
        return self

    def __exit__(self, *_exc):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self._listening.close()
        for conn in self._conns:
            with suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def reports(self):
        """Verb and jid of each ACK and FAIL heard."""
        told = [command.split(" ", 1) for command in self.heard if " " in command]
        return [f"{verb} {json.loads(rest)['jid']}" for verb, rest in told if verb in REPORTS]

    def count(self, verb):
        return sum(command.split()[0] == verb for command in list(self.heard))

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
