"""Runs a command between the start and the stop of one Redis and one Faktory.

    python -m scripts.servers -- CMD ARGS…

starts both in a temporary folder, runs CMD with FAKTORY_URL and FAKTORY_UNIQUE_STORE pointing at
them, stops both and exits with the status of CMD.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from . import PATIENCE, FaktoryServer, RedisServer, missing_faktory, missing_redis

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
        print("usage: python -m scripts.servers -- CMD ARGS…", file=sys.stderr)
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
