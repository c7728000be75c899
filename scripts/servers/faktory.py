"""A Faktory of a test's own, with the Redis that it starts for itself."""

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
from .process import HOST, Server, ServerError, is_running, login, wait_until
from .redis import redis_pid


class FaktoryServer(Server):
    """A Faktory server, with its own redis-server as a child that keeps the jobs in `db`.

    Only Faktory is killed or paused by the methods here. Its storage then gets SIGTERM, from the
    kernel on Linux and from us elsewhere: it saves the jobs and ends, so that they are there after
    the next start. (A Faktory that finds its old storage still answering refuses to boot.)

    Args:
        directory: Folder for its jobs, configuration and log.
        port: Port to listen on; a free one by default.
        password: What clients must say; none by default.
        web_port: Port of its web pages; by default it serves none.
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
        """The pid of the running server's own redis-server."""
        if not self.running or self._storage_pid is None:
            raise ServerError("faktory is not running")
        return self._storage_pid

    def ask(self, *commands: str, wid: str = "", timeout: float = 5) -> list[str]:
        """Send commands over one new connection and return the reply to each.

        Args:
            commands: Lines such as `INFO` or `FETCH default`.
            wid: Worker id, which FETCH, ACK, FAIL and BEAT need.
            timeout: Seconds to wait for each reply.

        Returns:
            What follows `+` or `$…`, for the empty reply ``""``.

        Raises:
            ServerError: Faktory replied with an error, or hung up.
            TimeoutError: It did not reply in time.
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
            answers = []
            for command in (f"HELLO {json.dumps(hello)}", *commands):
                connection.sendall(f"{command}\r\n".encode())
                answers.append(_reply(replies))
            return answers[1:]

    def _command(self) -> Sequence[str | Path]:
        web = ":0" if self.web_port is None else f"{HOST}:{self.web_port}"  # :0 is none at all
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
        if f"PID {pid} listening at" not in self._said():
            return False
        self._storage_pid = redis_pid(str(self._home / self._socket))
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1) as caller:
            return caller.recv(64).startswith(b"+HI") and self._storage_pid is not None
        return False

    def _ended(self) -> None:
        """End the storage if Faktory left it running, and wait until it has saved the jobs."""
        super()._ended()
        known, self._storage_pid = self._storage_pid, None
        # The one to signal is who answers on the socket in our directory: a pid may be another's
        # by now. Once it is ending it does not answer, and is waited for by its pid.
        answering = redis_pid(str(self._home / self._socket))
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
            raise ServerError(f"faktory hung up after {line!r}")
