"""Handlers of test jobs, in a module of their own: child processes import it."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from pathlib import Path

from faktory_unique import Client, Consumer, RetryLater, current_job


def note(path, text="ran"):
    """Append a line to a file, for the test to count."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def note_slowly(path, seconds):
    note(path, "started")
    time.sleep(seconds)
    note(path, "ended")


def consume(path, url):
    """Run a consumer in the handler until its own handler has noted a line."""
    with Client(url, role="consumer") as client:
        consumer = Consumer(client, ["inner"], concurrency=1, grace_period=5)
        consumer.register("Unique.note", note)
        thread = threading.Thread(target=_stop_after_note, args=[consumer, path])
        thread.start()
        consumer.run()
        thread.join()


def _stop_after_note(consumer, path):
    while not Path(path).exists():
        time.sleep(0.05)
    consumer.stop()


def note_jid(jid, path):
    note(path, jid)


def note_current(path):
    note(path, current_job()["custom"]["trace"])


def fail(message):
    raise ValueError(message)


class UnpicklableError(Exception):
    """Pickles, but cannot be unpickled by the consumer's process."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def fail_unpicklably(*_args):
    raise UnpicklableError("one", "two")


class UnreadableResult:
    """Can be unpickled in the process that pickled it only."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return _unpickle, (os.getpid(), self.error)


def _unpickle(pid, error):
    if os.getpid() != pid:
        raise error("not here")


def retry_unreadably(error):
    later = RetryLater(1)
    later.requeue = UnreadableResult(error)
    raise later


def write_to_the_pipe(*messages):
    """Write to the pipe of this process, as a handler that closes and opens descriptors may."""
    for pipe in gc.get_objects():
        if isinstance(pipe, Connection) and not pipe.closed:
            for message in messages:
                pipe.send(message)


def leave(*_args):
    sys.exit(3)


def die(*_args):
    os._exit(9)


def die_well(*_args):
    os._exit(0)


def crash(*_args):
    """Die of a segmentation fault; pytest's faulthandler would print pages about it."""
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def note_without_sigterm(path, seconds):
    """Ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note_slowly(path, seconds)


def note_pid(path):
    note(path, os.getpid())


def retry_once(path, delay):
    """Have the first run later; finish in the second."""
    job = current_job()
    note(path, job["jid"])
    if len(Path(path).read_text(encoding="utf-8").split()) == 1:
        raise RetryLater(delay)


def say(text):
    """Print without a flush: into a pipe, it is written when its process ends, a little later."""
    Finalize(None, say_after_a_while, args=[text], exitpriority=1)  # as a library's thread may do


def say_after_a_while(text):
    time.sleep(0.05)
    sys.stdout.write(f"{text}\n")


def fork_and_return(path):
    """Fork. The copy returns, too, and must not continue as a worker."""
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
    """Close all descriptors, as a handler that becomes a daemon does."""
    os.closerange(3, 256)
    time.sleep(3)


def add_path(path):
    sys.path.insert(0, path)
