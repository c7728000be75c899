"""One connection to Faktory that always knows what became of a command.

A command ends in a whole good reply, or in exactly one of: `Refused` (the server said so),
`NotSent` (no byte of it went out) and `OutcomeUnknown` (some did, and no whole reply came back). A
socket on which anything went wrong is thrown away, since the next reply read from it could belong
to another command; the next command opens a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from faktory_unique.errors import NotSent, OutcomeUnknown, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

_READ_SIZE = 65_536
_PROTOCOL_VERSION = 2


class LoginRefused(NotSent):
    """Faktory does not let this client in: wrong or missing password, or another protocol."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where Faktory is and how to get in.

    Attributes:
        host: name or address.
        port: TCP port.
        password: None where the server asks for none. Never shown.
        tls: None for plain TCP.
    """

    host: str
    port: int
    password: str | None = None
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"{self.host}:{self.port}"


class Connection:
    """A connection that is opened when first used and again after it broke, or after a fork.

    Safe over threads: commands wait for each other.

    Args:
        server: where to connect.
        greeting: what HELLO is to tell besides the protocol version and the password.
        timeout: seconds that one command may take, connecting included; None for no bound.
    """

    def __init__(
        self, server: Server, greeting: Callable[[], dict[str, Any]], timeout: float | None
    ) -> None:
        self._server = server
        self._greeting = greeting
        self._timeout = timeout
        self._start_anew()

    def _start_anew(self) -> None:
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._mutex = threading.Lock()
        self._pid = os.getpid()

    def open(self) -> None:
        """Connects now, where no connection stands.

        Raises:
            NotSent: no connection could be made.
            LoginRefused: the server does not let this client in.
        """
        self._leave_parents_socket()
        with self._mutex:
            self._ready(self._deadline(self._timeout))

    def call(self, command: str, *, timeout: float | None = None) -> str:
        r"""Sends one command, without its line end, and returns its whole reply.

        Args:
            command: a verb and its arguments.
            timeout: seconds at least allowed where the connection's own are fewer.

        Returns:
            The reply as it came, less its last line end: `+OK`, `$2\r\n{}`, `$-1`.

        Raises:
            Refused: the server answered with an error.
            NotSent: no connection could be made.
            OutcomeUnknown: no whole reply came back.
        """
        self._leave_parents_socket()
        allowed = self._timeout
        if allowed is not None and timeout is not None:
            allowed = max(allowed, timeout)
        with self._mutex:
            deadline = self._deadline(allowed)
            sock = self._ready(deadline)
            try:
                self._send(sock, command, deadline)
                reply = self._read_reply(sock, deadline)
            except (OSError, ValueError) as exc:  # ValueError: what came is no reply
                self._discard()
                verb = command.partition(" ")[0]
                raise OutcomeUnknown(
                    f"{verb} was sent to Faktory at {self._server!r} and not answered: {exc}"
                ) from exc
            except BaseException:
                self._discard()
                raise
        if reply.startswith("-"):
            raise Refused(reply[1:].removeprefix("ERR "))
        return reply

    def close(self) -> None:
        """Says END and closes; harmless where nothing is open."""
        self._leave_parents_socket()
        with self._mutex:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.settimeout(0)
                    self._socket.sendall(b"END\r\n")
            self._discard()

    def _leave_parents_socket(self) -> None:
        """In a forked child: the socket is the parent's, and the lock may never be released."""
        if self._pid != os.getpid():
            sock = self._socket
            self._start_anew()
            if sock is not None:
                sock.close()  # this process's copy; the connection itself goes on

    def _ready(self, deadline: float | None) -> socket.socket:
        """The open socket; a new one where there is none or the peer has closed it meanwhile."""
        if self._socket is not None and not _is_quiet(self._socket):
            self._discard()
        if self._socket is None:
            try:
                self._socket = self._connect(deadline)
                self._log_in(self._socket, deadline)
            except LoginRefused:
                self._discard()
                raise
            except (OSError, ValueError) as exc:
                self._discard()
                raise NotSent(f"no connection to Faktory at {self._server!r}: {exc}") from exc
            except BaseException:
                self._discard()
                raise
        return self._socket

    def _connect(self, deadline: float | None) -> socket.socket:
        address = (self._server.host, self._server.port)
        sock = socket.create_connection(address, timeout=_left(deadline))
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._server.tls is not None:
                return self._server.tls.wrap_socket(sock, server_hostname=self._server.host)
        except BaseException:
            sock.close()
            raise
        return sock

    def _log_in(self, sock: socket.socket, deadline: float | None) -> None:
        """HI and HELLO, of Faktory's protocol version 2."""
        hi = self._read_reply(sock, deadline)
        if not hi.startswith("+HI "):
            raise LoginRefused(f"Faktory at {self._server!r} does not greet: {hi[:80]!r}")
        told = json.loads(hi[4:])
        if told.get("v") != _PROTOCOL_VERSION:
            raise LoginRefused(f"Faktory at {self._server!r} speaks version {told.get('v')}, not 2")
        hello = {"v": _PROTOCOL_VERSION, **self._greeting()}
        if "s" in told:
            if not self._server.password:
                raise LoginRefused(
                    f"Faktory at {self._server!r} asks for a password; put it into the URL: "
                    "tcp://:password@host:port"
                )
            hello["pwdhash"] = _password_hash(self._server.password, told["s"], told.get("i", 1))
        self._send(sock, f"HELLO {json.dumps(hello)}", deadline)
        answer = self._read_reply(sock, deadline)
        if answer != "+OK":
            raise LoginRefused(f"Faktory at {self._server!r} refuses the login: {answer[1:]}")

    def _send(self, sock: socket.socket, command: str, deadline: float | None) -> None:
        sock.settimeout(_left(deadline))
        sock.sendall(f"{command}\r\n".encode())

    def _read_reply(self, sock: socket.socket, deadline: float | None) -> str:
        """One whole RESP reply: a line, or a bulk string of the announced length."""
        line = self._read_line(sock, deadline)
        if not line.startswith("$") or line == "$-1":
            return line
        length = int(line[1:])
        while len(self._buffer) < length + 2:
            self._read_more(sock, deadline)
        bulk = self._buffer[:length].decode()
        del self._buffer[: length + 2]
        return f"{line}\r\n{bulk}"

    def _read_line(self, sock: socket.socket, deadline: float | None) -> str:
        start = 0
        while (end := self._buffer.find(b"\r\n", start)) < 0:
            start = max(0, len(self._buffer) - 1)
            self._read_more(sock, deadline)
        line = self._buffer[:end].decode()
        del self._buffer[: end + 2]
        return line

    def _read_more(self, sock: socket.socket, deadline: float | None) -> None:
        sock.settimeout(_left(deadline))
        chunk = sock.recv(_READ_SIZE)
        if not chunk:
            raise ConnectionResetError("the server closed the connection")
        self._buffer += chunk

    def _discard(self) -> None:
        self._buffer.clear()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Ends the connection even where a forked child still holds a copy of the socket.
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None

    @staticmethod
    def _deadline(timeout: float | None) -> float | None:
        return None if timeout is None else time.monotonic() + timeout


def _left(deadline: float | None) -> float | None:
    """Seconds until the deadline, for a socket."""
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _is_quiet(sock: socket.socket) -> bool:
    """Whether the peer has neither closed nor said anything unasked, such as that it shuts down."""
    readable, _, _ = select.select([sock], [], [], 0)
    if not readable:
        return True
    sock.settimeout(0)
    try:
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True  # TLS housekeeping, no data
    except OSError:
        return False
    return False


def _password_hash(password: str, salt: str, iterations: int) -> str:
    digest = f"{password}{salt}".encode()
    for _ in range(iterations):
        digest = sha256(digest).digest()
    return digest.hex()
