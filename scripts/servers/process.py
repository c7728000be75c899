"""A server process under a test's control: started, stopped, killed, paused, restarted."""

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

HOST = "127.0.0.1"
PATIENCE = 15.0
"""Seconds granted to a server to start, and to stop."""

_LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes on Linux and 103 on macOS
_PORT_TRIES = 5


class ServerError(RuntimeError):
    """A server did not start, stop or answer as it should."""


class _PortTakenError(ServerError):
    """Somebody else listens on the chosen port."""


def free_port() -> int:
    """Pick a loopback port on which nobody listens.

    It lies below the ports which the kernel gives to outgoing connections. Within them, a client
    that keeps calling a stopped server ends up connected to itself, and holds the server's port.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port


def is_running(pid: int) -> bool:
    """Tell whether the process exists and has not ended; a zombie has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it ended just now, or this is no Linux
        return not Path("/proc/self").exists()
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until(true: Callable[[], bool]) -> bool:
    """Wait for it for as long as servers are granted; False when in vain."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def login(password: str) -> str:
    """The part of a URL before the host."""
    return f":{quote(password, safe='')}@" if password else ""


class Server(ABC):
    """A server process on a loopback port, with its data and its log in one directory.

    As a context manager it starts on entering and stops on leaving.

    Args:
        directory: Folder for the data; created when missing, never removed.
        port: Port to listen on; a free one by default, which then stays the same.
        password: What clients must say; none by default.
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
        # Where the directory's own path is too long for a Unix socket, a short link leads to it.
        self._home = self.directory
        if len(os.fsencode(self.directory / self._socket)) > _LONGEST_SOCKET_PATH:
            self._home = Path(tempfile.gettempdir(), f"server-{secrets.token_hex(6)}")

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for clients, with the password if there is one."""

    @property
    def log(self) -> Path:
        """The file with the output of the process, over all its starts."""
        return self.directory / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether the process is there, be it paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The pid of the running server."""
        return self._running_process().pid

    def start(self) -> None:
        """Start the server and wait until it answers; nothing to do if it is running.

        Raises:
            ServerError: It ended or kept silent; with the end of its log.
        """
        if self.running:
            return
        if self._process is not None:  # it ended without being told to
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
        """End the server in good order, paused or not; nothing to do if it has ended.

        Raises:
            ServerError: It had to be killed.
        """
        if self._process is None:
            return
        process, deaf = self._process, False
        process.terminate()
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            deaf = True
            process.kill()
            process.wait()
        self._ended()
        if self._home != self.directory:
            self._home.unlink(missing_ok=True)
        if deaf:
            raise ServerError(f"{self.name} was deaf to SIGTERM and got killed:\n{self._tail()}")

    def kill(self) -> None:
        """End the server on the spot (SIGKILL); `start()` brings it back on the same port."""
        process = self._running_process()
        process.kill()
        process.wait()
        self._ended()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): it accepts connections and answers nothing."""
        process = self._running_process()
        if not self._paused:
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)  # until all its threads stand still
            self._paused = True

    def resume(self) -> None:
        """Let a paused server go on."""
        self._running_process().send_signal(signal.SIGCONT)
        self._paused = False

    def restart(self) -> None:
        """Stop the server, then start it on the same port and directory."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """Build the command line."""

    def _environment(self) -> Mapping[str, str]:
        """Build the environment; nothing of ours but PATH, where Faktory finds redis-server."""
        return {"PATH": os.environ.get("PATH", os.defpath)}

    @abstractmethod
    def _answers(self, pid: int) -> bool:
        """Tell whether this very process, and no other on its port, answers clients."""

    def _ended(self) -> None:
        """Note that the process has ended."""
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
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who then stop the server
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
        how = "kept silent" if status is None else f"ended with status {status}"
        error = _PortTakenError if taken else ServerError
        raise error(f"{self.name} on port {self.port} {how} at its start:\n{tail}")

    def _said(self) -> str:
        """Read what the process has logged since its latest start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def _tail(self) -> str:
        return "\n".join(self._said().splitlines()[-20:])

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise ServerError(f"{self.name} is not running")
        return self._process
