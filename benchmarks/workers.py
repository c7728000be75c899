"""Worker processes of several sides, whose work is measured: see worker.py."""

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
PATIENCE = 15  # seconds for a worker to end


@contextmanager
def workers(folder: Path, sides: Iterable[str], faktory_url: str, redis_url: str) -> Iterator[None]:
    """Have a worker of each side, in process groups of their own; in the end nothing is left."""
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
                process.wait(PATIENCE)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def logs(folder: Path, sides: Iterable[str]) -> str:
    """What the workers have said, for an error."""
    return "\n".join((folder / f"{side}.log").read_text(errors="replace") for side in sides)
