"""One connection's conversation with the fake, as text: lines in, replies out.

Whoever carries it, a socket or a client of this process, passes on what it is given.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING

from faktory_unique.testing.go.errors import GoError
from faktory_unique.testing.go.json import decode
from faktory_unique.testing.go.time import parse_time

from .errors import CommandError, GoPanic
from .job_commands import COMMANDS
from .replies import error
from .schemas import HELLO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faktory_unique.testing.go.shapes import Value

    from .core import Core

# Connections that the server works for at a time (server/config.go:7).
MOST_CONNECTIONS = 2_000


class Session:
    """A connection, from HI to its end.

    Args:
        core: what it shares with all others.
        on_close: called once when the fake ends the connection.

    Attributes:
        wid: the worker's id; empty for a producer.
        open: whether the fake still listens.
        pushed: the jobs that the commands of this connection have enqueued; whoever runs jobs
            inline takes them.
    """

    def __init__(self, core: Core, on_close: Callable[[], None] = lambda: None) -> None:
        self.core = core
        self.wid = ""
        self.open = True
        self.greeted = False
        self.pushed: list[Value] = []
        self._on_close = on_close
        self._rest = b""
        self._ending = False
        self._salt = secrets.token_hex(8)
        self._iterations = 4_000 + secrets.randbelow(4_096)

    def greeting(self) -> bytes:
        """HI, with what a password is to be hashed with where one is asked for."""
        if not self.core.password:
            return b'+HI {"v":2}\r\n'
        return b'+HI {"v":2,"i":%d,"s":"%b"}\r\n' % (self._iterations, self._salt.encode())

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Takes what came, in whatever pieces; the reply to each whole line."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self.open:
                yield self._answer(line.removesuffix(b"\r"))
            if self._ending:  # now that its last words were taken
                self.close()

    def close(self) -> None:
        """Ends the connection."""
        with self.core.lock:
            if not self.open:
                return
            self.open = False
            self.core.sessions.discard(self)
            self.core.workers.gone(self.wid, self)
        self._on_close()

    def _answer(self, line: bytes) -> bytes:
        if not self.greeted:
            return self._hello(line)
        if self.core.closed:
            self._ending = True
            return b"-ERR shutdown in progress\r\n"
        verb, _, _ = line.partition(b" ")
        command = COMMANDS.get(verb)
        if command is None:
            return error("unknown command " + verb.decode(errors="surrogateescape"))
        self.core.catch_up()
        try:
            with self.core.lock:
                self.core.commands += 1
            return command(self, line)
        except (CommandError, GoError) as exc:
            return error(str(exc))
        except GoPanic:  # server/server.go:408-416
            return error("internal error")

    def _hello(self, line: bytes) -> bytes:
        """The handshake (server/server.go:231-329): without a word it ends what is no HELLO."""
        try:
            told = decode(line[5:], HELLO) if line.startswith(b"HELLO {") else None
            if told is not None and told["StartedAt"]:
                parse_time(told["StartedAt"])
        except GoError:
            told = None
        if told is None:
            self.close()
            return b""
        if self.core.password and told["pwdhash"] != self._password_hash(told["v"]):
            self._ending = True
            return b"-ERR Invalid password\r\n"
        with self.core.lock:
            self.greeted = True
            self.wid = told["wid"]
            if self.wid:
                self.core.workers.hello(self.wid, self, self.core.clock())
            self.core.sessions.add(self)
            connections = len(self.core.sessions)
        if connections > MOST_CONNECTIONS:
            self._ending = True
            return b"+OK\r\n" + error(f"too many connections: {connections}")
        return b"+OK\r\n"

    def _password_hash(self, version: int) -> str:
        digest = f"{self.core.password}{self._salt}".encode()
        for _ in range(1 if version < 2 else self._iterations):  # noqa: PLR2004  # protocol version
            digest = sha256(digest).digest()
        return digest.hex()
