"""Peer programs: the list of them, whether they are installed, and a running one."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
TIMEOUT = 60  # seconds for a program to start, for a round, and for its end

Operation = Literal["take_release", "bulk"]


class PeerError(RuntimeError):
    """A peer's program ended, did not reply, or did not do the work that it is timed for."""


class Program(NamedTuple):
    """A program that measures a peer.

    Attributes:
        name: its name in the table, after "vs".
        operation: the operation that it repeats on request.
        command: its command line, without the URL of the Redis.
        installed: a file that exists once `scripts/peers.sh` has installed the peer.
    """

    name: str
    operation: Operation
    command: Sequence[str]
    installed: Path


def _in_python(name: str, module: str) -> Program:
    home = ROOT / ".peers" / name
    command = str(home / "bin" / "python"), "-m", f"benchmarks.peers.python.{module}"
    return Program(name, "take_release", command, home / ".installed")


_BULLMQ = ROOT / "benchmarks" / "peers" / "bullmq"
_ASYNQ = ROOT / ".peers" / "asynq"

PROGRAMS = (
    _in_python("celery-singleton", "celery_singleton"),
    _in_python("celery-once", "celery_once"),
    _in_python("python-redis-lock", "redis_lock"),
    _in_python("taskiq-deduplication", "taskiq_deduplication"),
    Program(
        "BullMQ addBulk(1000) with deduplication",
        "bulk",
        ("node", str(_BULLMQ / "bulk.mjs")),
        _BULLMQ / "node_modules" / ".package-lock.json",
    ),
    Program("asynq Enqueue with Unique, one by one", "bulk", (str(_ASYNQ),), _ASYNQ),
)


def missing(program: Program) -> str | None:
    """Return why a peer cannot be measured here; None if it can."""
    if program.installed.exists() and shutil.which(program.command[0]):
        return None
    return "not installed: run scripts/peers.sh"


class Peer:
    """A running program. As a context manager it ends the program on leaving.

    Args:
        program: the program.
        url: the URL of its Redis; the caller flushes it before each round.
    """

    def __init__(self, program: Program, url: str) -> None:
        self.program = program
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving
        self._process = subprocess.Popen(
            [*program.command, url],
            bufsize=0,
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,  # Ctrl-C is for us; then we end it
        )

    def __enter__(self) -> Self:
        try:
            self._wait_until_ready()
        except BaseException:  # a Ctrl-C too: the program must end
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        status = self._end()
        if status and kind is None:
            raise PeerError(f"{self.program.name} ended with status {status}")

    def seconds(self, count: int) -> float:
        """Run this many operations, and return the seconds that the program reports.

        Raises:
            PeerError: they were not done.
        """
        if self._process.stdin is None:  # cannot be: it is a pipe
            raise self._error("has no stdin")
        try:
            self._process.stdin.write(f"{self.program.operation} {count}\n".encode())
        except BrokenPipeError:
            raise self._error("has ended") from None
        line = self._line()
        try:
            return float(line)
        except ValueError:
            raise self._error(f"replied {line!r} instead of seconds") from None

    def _wait_until_ready(self) -> None:
        if (line := self._line()) != "ready":
            raise self._error(f"sent {line!r} instead of 'ready' at its start")

    def _line(self) -> str:
        """Return the next line of its output."""
        stdout = self._process.stdout
        if stdout is None or not select.select([stdout], [], [], TIMEOUT)[0]:
            raise self._error(f"has not replied for {TIMEOUT} s")
        if not (line := stdout.readline()):
            raise self._error("has ended")
        return line.decode().strip()

    def _error(self, problem: str) -> PeerError:
        self._stderr.seek(0)
        return PeerError(f"{self.program.name} {problem}\n{self._stderr.read().decode()}".strip())

    def _end(self) -> int:
        """Let it end, or kill it and its children; return its exit status."""
        process = self._process
        try:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait(TIMEOUT)
        except BaseException as error:  # a Ctrl-C too: the program ends first
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        self._stderr.close()
        return process.returncode
