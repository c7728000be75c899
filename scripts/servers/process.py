"""A server process that a test starts, stops, kills, pauses and restarts; free ports."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote

from .guard import guard_children

HOST = "127.0.0.1"
TIMEOUT = 60.0
"""Seconds for a server to start, and to stop."""

_LONGEST_SOCKET_PATH = 100  # bytes; the limit is 107 on Linux and 103 on macOS
_PORT_TRIES = 5


class ServerError(RuntimeError):
    """A server did not start, stop or answer as it should."""


class _PortTakenError(ServerError):
    """Another process listens on the chosen port."""


def free_port() -> int:
    """Return a loopback port on which no process listens.

    It is below the ports that the kernel gives to outgoing connections. Among those, a client that
    keeps connecting to a stopped server connects to itself in the end, and holds the server's port.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port


def is_running(pid: int) -> bool:
    """Return whether the process exists and has not ended; a zombie has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it ended just now, or this is not Linux
        return not Path("/proc/self").exists()
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until(condition: Callable[[], bool]) -> bool:
    """Wait until a condition is true, at most TIMEOUT seconds; return whether it is."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def login(password: str) -> str:
    """Return the part of a URL with the password, before the host."""
    return f":{quote(password, safe='')}@" if password else ""


class Server(ABC):
    """A server process on a loopback port, with its data and its log in one directory.

    As a context manager it starts on entering and stops on leaving.

    Args:
        directory: folder for the data; created if needed, never removed.
        port: port to listen on; a free one by default, which then stays the same.
        password: the password of clients; none by default.
    """

    name: ClassVar[str]
    _socket: ClassVar[str]  # the Unix socket of its Redis, within the directory

    def __init__(self, directory: Path, port: int | None = None, *, password: str = "") -> None:
        self.directory = directory.resolve()
        self.port = free_port() if port is None else port
        self.password = password
        self._port_is_settled = port is not None
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False
        self._log_start = 0
        # If the directory's path is too long for a Unix socket, a short link leads to it.
        self._home = self.directory
        if len(os.fsencode(self.directory / self._socket)) > _LONGEST_SOCKET_PATH:
            self._home = Path(tempfile.gettempdir(), f"server-{secrets.token_hex(6)}")

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL for clients, with the password if there is one."""

    @property
    def log(self) -> Path:
        """The file with the output of the process, of all its starts."""
        return self.directory / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether the process runs; a paused one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The pid of the running server."""
        return self._running_process().pid

    def start(self) -> None:
        """Start the server and wait until it answers; do nothing if it is running.

        Raises:
            ServerError: it ended or did not answer; the message has the end of its log.
        """
        if self.running:
            return
        if self._process is not None:  # it ended by itself
            self._ended()
        for tries_left in reversed(range(_PORT_TRIES)):
            try:
                self._launch()
            except _PortTakenError:
                if self._port_is_settled or not tries_left:
                    raise
                self.port = free_port()
            else:
                self._port_is_settled = True
                return

    def stop(self) -> None:
        """Stop the server by SIGTERM, paused or not; do nothing if it has ended.

        Raises:
            ServerError: it had to be killed.
        """
        if self._process is None:
            return
        process, was_killed = self._process, False
        process.terminate()
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            was_killed = True
            process.kill()
            process.wait()
        self._ended()
        if self._home != self.directory:
            self._home.unlink(missing_ok=True)
        if was_killed:
            raise ServerError(f"{self.name} ignored SIGTERM and was killed:\n{self._tail()}")

    def kill(self) -> None:
        """Kill the server (SIGKILL); `start()` starts it again on the same port."""
        process = self._running_process()
        process.kill()
        process.wait()
        self._ended()

    def pause(self) -> None:
        """Pause the server (SIGSTOP): it accepts connections but does not reply."""
        process = self._running_process()
        if not self._paused:
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)  # until all its threads stand still
            self._paused = True

    def resume(self) -> None:
        """Resume a paused server (SIGCONT)."""
        self._running_process().send_signal(signal.SIGCONT)
        self._paused = False

    def restart(self) -> None:
        """Stop the server, then start it with the same port and directory."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """Return the command line."""

    def _environment(self) -> Mapping[str, str]:
        """Return the environment: only our PATH, on which Faktory finds redis-server."""
        return {"PATH": os.environ.get("PATH", os.defpath)}

    @abstractmethod
    def _answers(self, pid: int) -> bool:
        """Return whether this process, and no other on its port, answers clients."""

    def _ended(self) -> None:
        """Reset the state after the process has ended."""
        self._process = None
        self._paused = False

    def _launch(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._home != self.directory and not self._home.is_symlink():
            self._home.symlink_to(self.directory)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = process = subprocess.Popen(
                self._command(),
                env={**self._environment(), **guard_children()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; then we stop the server
            )
        try:
            self._wait_for_answer(process)
        except BaseException:
            self.stop()
            raise

    def _wait_for_answer(self, process: subprocess.Popen[bytes]) -> None:
        done = wait_until(lambda: self._answers(process.pid) or process.poll() is not None)
        status, tail = process.poll(), self._tail()
        if done and status is None:
            return
        taken = status is not None and "address already in use" in tail.lower()
        how = "did not answer" if status is None else f"ended with status {status}"
        error = _PortTakenError if taken else ServerError
        raise error(f"{self.name} on port {self.port} {how} at its start:\n{tail}")

    def _output(self) -> str:
        """Return the output of the process since its latest start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def _tail(self) -> str:
        return "\n".join(self._output().splitlines()[-20:])

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise ServerError(f"{self.name} is not running")
        return self._process
