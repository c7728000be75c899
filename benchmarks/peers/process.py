"""Peers as processes: which there are, what they lack on this machine, and a round of one."""

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
PATIENCE = 60  # seconds for a program to start, for a round, and for its end

Operation = Literal["take_release", "bulk"]


class PeerError(RuntimeError):
    """A program of a peer ended, kept silent, or did not do what it was timed for."""


class Program(NamedTuple):
    """What measures a peer.

    Attributes:
        name: what stands in the table after "vs".
        operation: what it does as often as it is told.
        command: its command line, without the Redis.
        installed: a file that is there once `scripts/peers.sh` has installed the peer.
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
    """Say why a peer cannot be measured here; None when it can."""
    if program.installed.exists() and shutil.which(program.command[0]):
        return None
    return "it is not installed: run scripts/peers.sh"


class Peer:
    """A running program, which ends on leaving.

    Args:
        program: Which.
        url: Of the Redis that it is to use, which is flushed before each round by who asks for it.
    """

    def __init__(self, program: Program, url: str) -> None:
        self.program = program
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving
        self._process = subprocess.Popen(
            [*program.command, url],
            bufsize=0,
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for us, who then end it
        )

    def __enter__(self) -> Self:
        try:
            self._wait_until_ready()
        except BaseException:  # a Ctrl-C too: the program does not stay
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        status = self._end()
        if status and kind is None:
            raise PeerError(f"{self.program.name} ended with status {status}")

    def seconds(self, count: int) -> float:
        """Have it do so many operations; how long they took, as it says itself.

        Raises:
            PeerError: They were not done.
        """
        if self._process.stdin is None:  # it is a pipe
            raise self._error("has no stdin")
        try:
            self._process.stdin.write(f"{self.program.operation} {count}\n".encode())
        except BrokenPipeError:
            raise self._error("has ended") from None
        line = self._line()
        try:
            return float(line)
        except ValueError:
            raise self._error(f"said {line!r}") from None

    def _wait_until_ready(self) -> None:
        if (said := self._line()) != "ready":
            raise self._error(f"said {said!r} at its start")

    def _line(self) -> str:
        """The next line that it says."""
        stdout = self._process.stdout
        if stdout is None or not select.select([stdout], [], [], PATIENCE)[0]:
            raise self._error(f"kept silent for {PATIENCE} s")
        if not (line := stdout.readline()):
            raise self._error("has ended")
        return line.decode().strip()

    def _error(self, what: str) -> PeerError:
        self._said.seek(0)
        return PeerError(f"{self.program.name} {what}\n{self._said.read().decode()}".strip())

    def _end(self) -> int:
        """Let it end, or kill it and what it started; its status."""
        process = self._process
        try:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait(PATIENCE)
        except BaseException as error:  # a Ctrl-C too: it is ended before that goes on
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        self._said.close()
        return process.returncode
