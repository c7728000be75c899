"""A process of a run."""

from __future__ import annotations

import contextlib
import os
import time


class Member:
    """A process and what is known of it. It leads a group, in which its handlers run.

    It is not reaped before the end of the run, so that its group's number stays its own.

    Args:
        name: its own, such as `worker-1.3`.
        process: as it was started.

    Attributes:
        is_stopped: whether it stands still.
        is_told: whether it was told to end, or killed.
    """

    def __init__(self, name, process):
        self.name = name
        self.process = process
        self.is_stopped = False
        self.is_told = False

    @property
    def has_ended(self):
        """Whether it has, however."""
        seen = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, seen) is not None

    def signal(self, number, *, group=False):
        """Sends it a signal, or with `group` its handlers too."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def wait(self, seconds):
        """Whether it has ended within these seconds."""
        deadline = time.monotonic() + seconds
        while not self.has_ended and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.has_ended
