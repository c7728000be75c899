"""`Dispatcher`: checks HELLO and its password, then calls the command of each line.

It receives and returns the text of the protocol. A socket (tcp.py) or a client of this process
(memory_stream.py) only carries it.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from . import admin_commands, job_commands
from .errors import CommandError, InternalError, ParseError
from .go_json import decode
from .go_time import parse_time
from .replies import OK, error
from .schemas import HELLO
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .core import Core
    from .go_json import Value

# The number of connections that the server serves at a time (server/config.go:7).
MAX_CONNECTIONS = 2_000

Command: TypeAlias = "Callable[[Session, bytes], bytes]"

COMMANDS: dict[bytes, Command] = {
    b"END": job_commands.end,
    b"PUSH": job_commands.push,
    b"PUSHB": job_commands.push_bulk,
    b"FETCH": job_commands.fetch,
    b"ACK": job_commands.acknowledge,
    b"FAIL": job_commands.fail,
    b"BEAT": job_commands.beat,
    b"INFO": admin_commands.send_info,
    b"FLUSH": admin_commands.flush,
    b"MUTATE": admin_commands.mutate_set,
    b"BATCH": admin_commands.refuse_batch,
    b"TRACK": admin_commands.refuse_tracking,
    b"QUEUE": admin_commands.change_queues,
}


class Dispatcher:
    """Reads the lines of one connection and runs their commands.

    Args:
        core: the state that all connections share.
        on_close: called once when the fake ends the connection.

    Attributes:
        session: the state of this connection.
    """

    def __init__(self, core: Core, on_close: Callable[[], None] = lambda: None) -> None:
        self.session = Session(core, on_close)
        self._core = core
        self._partial_line = b""
        self._closes_after_reply = False  # to the present line
        self._salt = secrets.token_hex(8)
        self._iterations = 4_000 + secrets.randbelow(4_096)

    def greeting(self) -> bytes:
        """Return HI, with the salt for hashing the password if there is one."""
        if not self._core.password:
            return b'+HI {"v":2}\r\n'
        return b'+HI {"v":2,"i":%d,"s":"%b"}\r\n' % (self._iterations, self._salt.encode())

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Receive bytes in pieces of any size. Yield the reply to each complete line."""
        lines = (self._partial_line + data).split(b"\n")
        self._partial_line = lines.pop()
        for line in lines:
            if self.session.is_open:
                yield self._reply(line.removesuffix(b"\r"))
            if self._closes_after_reply:
                self.session.close()

    def _reply(self, line: bytes) -> bytes:
        """Run the command of a line. Return its reply."""
        if not self.session.greeted:
            return self._hello(line)
        if self._core.closed:
            self._closes_after_reply = True
            return b"-ERR shutdown in progress\r\n"
        verb, _, _ = line.partition(b" ")
        command = COMMANDS.get(verb)
        if command is None:
            return error("unknown command " + verb.decode(errors="surrogateescape"))
        self._core.catch_up()
        try:
            self._core.count_command()
            return command(self.session, line)
        except CommandError as exc:
            return error(str(exc))
        except InternalError:  # server/server.go:408-416
            return error("internal error")

    def _hello(self, line: bytes) -> bytes:
        """Open the connection by its HELLO (server/server.go:231-329). Any other line ends it."""
        hello = _parse_hello(line)
        if hello is None:
            self.session.close()
            return b""
        if self._core.password and hello["pwdhash"] != self._password_hash(hello["v"]):
            self._closes_after_reply = True
            return b"-ERR Invalid password\r\n"
        connections = self.session.open(hello["wid"])
        if connections > MAX_CONNECTIONS:
            self._closes_after_reply = True
            return OK + error(f"too many connections: {connections}")
        return OK

    def _password_hash(self, version: int) -> str:
        digest = f"{self._core.password}{self._salt}".encode()
        for _ in range(1 if version < 2 else self._iterations):  # noqa: PLR2004  # protocol version
            digest = sha256(digest).digest()
        return digest.hex()


def _parse_hello(line: bytes) -> Value | None:
    if not line.startswith(b"HELLO {"):
        return None
    try:
        hello = decode(line[5:], HELLO)
        if hello["startedat"]:
            parse_time(hello["startedat"])
    except ParseError:
        return None
    return hello
