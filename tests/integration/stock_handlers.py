"""What jobs do in workers of stock pyfaktory and of ours."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from faktory_unique import current_job
from tests.integration.handlers import note

TRACE = "trace-of-a-request"


def hold(path, until):
    """Says that it has started, and returns once a file is there."""
    note(path, "started")
    deadline = time.monotonic() + 20
    while not Path(until).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    note(path, "ended")


def note_trace(*given, **named):
    """Leaves whether the job's `custom` is in what its handler is given, or can ask for."""
    known = [given, named]
    with suppress(LookupError):
        known.append(current_job())
    note(given[-1], "seen" if TRACE in repr(known) else "unseen")
