"""What test jobs do. In a module of its own: the pool's processes import it."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

from faktory_unique import RetryLater, current_job


def note(path, text="ran"):
    """Leaves a line in a file, for the test to count."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def note_slowly(path, seconds):
    note(path, "started")
    time.sleep(seconds)
    note(path, "ended")


def note_jid(jid, path):
    note(path, jid)


def note_current(path):
    note(path, current_job()["custom"]["trace"])


def fail(message):
    raise ValueError(message)


class UnpicklableError(Exception):
    """Pickles, and cannot be unpickled: the consumer's process would choke on it."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def fail_unpicklably(*_args):
    raise UnpicklableError("one", "two")


def leave(*_args):
    sys.exit(3)


def die(*_args):
    os._exit(9)


def die_well(*_args):
    os._exit(0)


def crash(*_args):
    """A segmentation fault, of which pytest's faulthandler would tell at length."""
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def note_deafly(path, seconds):
    """Does not listen to SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note_slowly(path, seconds)


def note_pid(path):
    note(path, os.getpid())


def retry_once(path, delay):
    """Has its first run later, and does the second."""
    job = current_job()
    note(path, job["jid"])
    if len(Path(path).read_text(encoding="utf-8").split()) == 1:
        raise RetryLater(delay)


def say(text):
    """Without a flush: into a pipe, it is written when its process ends."""
    sys.stdout.write(f"{text}\n")


def fork_and_return(path):
    """Its child returns, too: it must not go on as a worker."""
    if os.fork() == 0:
        return
    os.wait()
    note(path, "parent")


def fork_and_exit(path):
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    note(path, "parent")


def close_everything(*_args):
    """As a handler that makes a daemon of itself does."""
    os.closerange(3, 256)
    time.sleep(3)


def add_path(path):
    sys.path.insert(0, path)
