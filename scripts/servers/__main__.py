"""Command line that runs a command with a Redis and a Faktory of its own.

    python -m scripts.servers -- CMD ARGS…

starts both in a temporary folder, runs CMD with FAKTORY_URL and FAKTORY_UNIQUE_STORE set to their
addresses, stops both, and exits with the status of CMD.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from . import TIMEOUT, FaktoryServer, RedisServer, missing_faktory, missing_redis

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _exit(number: int, _: FrameType | None) -> None:
    _ignore_interrupts()
    sys.exit(128 + number)


def _ignore_interrupts() -> None:
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)


def _run(command: Sequence[str], addresses: Mapping[str, str]) -> int:
    try:
        process = subprocess.Popen(command, env={**os.environ, **addresses})
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    try:
        status = process.wait()
    except SystemExit as interrupt:
        if interrupt.code != 128 + signal.SIGINT:  # Ctrl-C reached the command too
            process.terminate()
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return status if status >= 0 else 128 - status


def main(arguments: Sequence[str]) -> int:
    """Run a command with a Redis and a Faktory of its own; return its exit status."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        print("usage: python -m scripts.servers -- CMD ARGS…", file=sys.stderr)
        return 2
    if reason := missing_redis() or missing_faktory():
        print(reason, file=sys.stderr)
        return 1

    for number in _INTERRUPTS:
        signal.signal(number, _exit)
    with (
        tempfile.TemporaryDirectory(prefix="servers-") as folder,
        RedisServer(Path(folder, "redis")) as redis,
        FaktoryServer(Path(folder, "faktory")) as faktory,
    ):
        try:
            return _run(command, {"FAKTORY_URL": faktory.url, "FAKTORY_UNIQUE_STORE": redis.url})
        finally:
            _ignore_interrupts()  # the servers must be stopped in any case


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
