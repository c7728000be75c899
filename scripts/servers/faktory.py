"""A Faktory server for one test, with the Redis that it starts for its storage."""

import contextlib
import hashlib
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from .available import faktory_binary
from .process import HOST, TIMEOUT, Server, ServerError, is_running, login, wait_until
from .redis import redis_pid


class FaktoryServer(Server):
    """A Faktory server. Its child, a redis-server, is its storage and keeps the jobs in `db`.

    The methods kill or pause only Faktory. Its storage then gets SIGTERM, from the kernel on Linux
    and from us elsewhere. It saves the jobs and ends, so that the next start finds them. (Faktory
    refuses to boot while its old storage still answers.)

    Args:
        directory: folder for its jobs, configuration and log.
        port: port to listen on; a free one by default.
        password: the password of clients; none by default.
        web_port: port of its web pages; none by default.
    """

    name = "faktory"
    _socket = "db/redis.sock"

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        *,
        password: str = "",
        web_port: int | None = None,
    ) -> None:
        super().__init__(directory, port, password=password)
        self.web_port = web_port
        self._storage_pid: int | None = None

    @property
    def url(self) -> str:
        """`tcp://127.0.0.1:PORT`, or `tcp://:PASSWORD@127.0.0.1:PORT`."""
        return f"tcp://{login(self.password)}{HOST}:{self.port}"

    @property
    def storage_pid(self) -> int:
        """The pid of the storage of the running server."""
        if not self.running or self._storage_pid is None:
            raise ServerError("faktory is not running")
        return self._storage_pid

    @property
    def storage_socket(self) -> Path:
        """The Unix socket of its storage."""
        return self._home / self._socket

    def ask(self, *commands: str, wid: str = "", timeout: float = TIMEOUT) -> list[str]:
        """Send commands over one new connection, and return the reply to each.

        Args:
            commands: lines such as `INFO` or `FETCH default`.
            wid: worker id, which FETCH, ACK, FAIL and BEAT need.
            timeout: seconds to wait for each reply.

        Returns:
            The texts after `+` or `$…`; ``""`` for the empty reply.

        Raises:
            ServerError: Faktory replied with an error, or closed the connection.
            TimeoutError: Faktory did not reply in time.
        """
        with (
            socket.create_connection((HOST, self.port), timeout) as connection,
            connection.makefile("rb") as replies,
        ):
            greeting = json.loads(_reply(replies).removeprefix("HI "))
            hello: dict[str, object] = {"v": 2}
            if wid:
                hello |= {"wid": wid, "hostname": "test", "pid": os.getpid(), "labels": []}
            if self.password:
                digest = (self.password + greeting["s"]).encode()
                for _ in range(greeting["i"]):
                    digest = hashlib.sha256(digest).digest()
                hello["pwdhash"] = digest.hex()
            received = []
            for command in (f"HELLO {json.dumps(hello)}", *commands):
                connection.sendall(f"{command}\r\n".encode())
                received.append(_reply(replies))
            return received[1:]

    def _command(self) -> Sequence[str | Path]:
        web = ":0" if self.web_port is None else f"{HOST}:{self.web_port}"  # :0 turns them off
        folders = ("-d", self._home / "db", "-c", self._home / "config")
        binary = faktory_binary() or "faktory"
        return [binary, "-b", f"{HOST}:{self.port}", "-w", web, *folders, "-e", "development"]

    def _environment(self) -> Mapping[str, str]:
        password = {"FAKTORY_PASSWORD": self.password} if self.password else {}
        return {**super()._environment(), "HOME": str(self.directory), **password}

    def _launch(self) -> None:
        for folder in ("db", "config"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        super()._launch()

    def _answers(self, pid: int) -> bool:
        if f"PID {pid} listening at" not in self._output():
            return False
        self._storage_pid = redis_pid(str(self.storage_socket))
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1) as caller:
            return caller.recv(64).startswith(b"+HI") and self._storage_pid is not None
        return False

    def _ended(self) -> None:
        """End the storage if it still runs, and wait until it has saved the jobs."""
        super()._ended()
        known, self._storage_pid = self._storage_pid, None
        # Signal the process that answers on the socket in our directory: the known pid may belong
        # to another process by now. An ending storage does not answer, so wait for its pid.
        answering = redis_pid(str(self.storage_socket))
        if answering is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(answering, signal.SIGTERM)
        pids = [pid for pid in (known, answering) if pid is not None]
        if not wait_until(lambda: not any(map(is_running, pids))):
            raise ServerError(f"redis-server {pids} outlived its faktory:\n{self._tail()}")


def _reply(replies: BinaryIO) -> str:
    line = replies.readline().decode().rstrip("\r\n")
    match line[:1]:
        case "+":
            return line[1:]
        case "$":
            size = int(line[1:])
            return replies.read(size + 2)[:-2].decode() if size >= 0 else ""
        case "-":
            raise ServerError(line[1:])
        case _:
            raise ServerError(f"faktory closed the connection after {line!r}")
