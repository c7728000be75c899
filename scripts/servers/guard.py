"""Kill all that a process has started as soon as it has ended, even if it was killed (Linux).

A guard is a small process that waits for the end of another. It finds what is left by a variable
in the environment, which children, their children and the servers inherit. (The storage of a
Faktory hides its environment. It ends with its Faktory.)
"""

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_VARIABLE = "STARTED_BY"  # the ids of all guarded processes above this one, joined by colons
_guarded: set[int] = set()


def guard_children() -> Mapping[str, str]:
    """Start the guard of this process, once. Return what its children need in their environment.

    A run that `make` has started also ends with it.
    """
    if os.getpid() not in _guarded and hasattr(os, "pidfd_open"):
        _guarded.add(os.getpid())
        name = secrets.token_hex(8)
        os.environ[_VARIABLE] = ":".join(filter(None, [os.environ.get(_VARIABLE), name]))
        with contextlib.ExitStack() as stack:
            watched = [os.pidfd_open(pid) for pid in (os.getpid(), *_makes_above())]
            for descriptor in watched:
                stack.callback(os.close, descriptor)
            guard = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, name, *map(str, watched)],
                env={},
                stdin=subprocess.DEVNULL,
                pass_fds=watched,
                start_new_session=True,  # what kills our group or Ctrl-C must not end the guard
            )
        guard.returncode = 0  # it outlives us: nobody waits for it
    return {_VARIABLE: os.environ[_VARIABLE]} if _VARIABLE in os.environ else {}


def _makes_above() -> Iterator[int]:
    """Yield the pids of the `make` that started this process, and of each `make` above it."""
    pid = os.getppid()
    with contextlib.suppress(OSError):
        while (name := Path(f"/proc/{pid}/comm").read_text().strip()) in {"make", "gmake", "sh"}:
            if name != "sh":  # the shell of a recipe
                yield pid
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _started_by(name: str) -> Iterator[int]:
    """Yield the pids of the processes that have inherited this name."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            variables = (process / "environ").read_bytes().split(b"\0")
            for value in (v for v in variables if v.startswith(f"{_VARIABLE}=".encode())):
                if name in value.decode().partition("=")[2].split(":"):
                    yield int(process.name)


def _guard(name: str, run: int, *makes: int) -> None:
    """Wait until the run, or a `make` above it, has ended. Then kill what is left of the run."""
    ends = select.poll()
    for descriptor in (run, *makes):
        ends.register(descriptor, select.POLLIN)
    ends.poll()
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(run, signal.SIGKILL)
    while left := list(_started_by(name)):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    _guard(sys.argv[1], *map(int, sys.argv[2:]))
