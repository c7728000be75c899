"""A Redis server for one test."""

import contextlib
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from .process import HOST, Server, login


def redis_pid(address: tuple[str, int] | str, password: str = "") -> int | None:
    """Return the pid of the Redis at an address or socket path; None if it is not ready."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as connection, contextlib.suppress(OSError):
        connection.settimeout(1)
        connection.connect(address)
        if password:
            connection.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%b\r\n" % _sized(password))
        connection.sendall(b"PING\r\nINFO server\r\n")
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
            if found := re.search(rb"process_id:(\d+)\r", received):
                return int(found[1]) if b"+PONG" in received else None
    return None


def _sized(text: str) -> tuple[int, bytes]:
    data = text.encode()
    return len(data), data


class RedisServer(Server):
    """A redis-server that stores nothing on disk.

    Args:
        directory: folder for its socket and log.
        port: port to listen on; a free one by default.
        binary: the redis-server to run; the one on PATH by default.
        password: the password of clients; none by default.
        extra: more arguments for its command line.
    """

    name = "redis"
    _socket = "redis.sock"

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        *,
        binary: str | Path = "redis-server",
        password: str = "",
        extra: Sequence[str] = (),
    ) -> None:
        super().__init__(directory, port, password=password)
        self.binary = binary
        self.extra = tuple(extra)

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`."""
        return f"redis://{login(self.password)}{HOST}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """`unix://PATH/redis.sock?db=0`."""
        return f"unix://{login(self.password)}{self._home / self._socket}?db=0"

    def _command(self) -> Sequence[str | Path]:
        return [
            *(self.binary, "--port", str(self.port), "--bind", HOST),
            *("--unixsocket", self._home / self._socket, "--dir", self._home),
            *("--save", "", "--appendonly", "no"),
            *("--set-proc-title", "no"),  # it would overwrite the environment, see guard.py
            *(("--requirepass", self.password) if self.password else ()),
            *self.extra,
        ]

    def _answers(self, pid: int) -> bool:
        return redis_pid((HOST, self.port), self.password) == pid
