"""Handlers of jobs in workers of stock pyfaktory and of this library."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from faktory_unique import current_job
from tests.integration.handlers import note

TRACE = "trace-of-a-request"


def hold(path, until):
    """Note the start, and return once a file exists."""
    note(path, "started")
    deadline = time.monotonic() + 20
    while not Path(until).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    note(path, "ended")


def note_trace(*args, **named):
    """Note whether the job's `custom` is in the handler's arguments or in `current_job`."""
    known = [args, named]
    with suppress(LookupError):
        known.append(current_job())
    note(args[-1], "seen" if TRACE in repr(known) else "unseen")
