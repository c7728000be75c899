"""Worker processes of several sides, started and ended together: see worker.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
TIMEOUT = 15  # seconds for a worker to end


@contextmanager
def workers(folder: Path, sides: Iterable[str], faktory_url: str, redis_url: str) -> Iterator[None]:
    """Run a worker of each side in its own process group; end them all after the block."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for side in sides:
            with (folder / f"{side}.log").open("wb") as log:
                command = [sys.executable, "-m", "benchmarks.worker", side, faktory_url, redis_url]
                processes.append(
                    subprocess.Popen(
                        command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
                    )
                )
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(TIMEOUT)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def logs(folder: Path, sides: Iterable[str]) -> str:
    """Return the workers' logs, for an error message."""
    return "\n".join((folder / f"{side}.log").read_text(errors="replace") for side in sides)
