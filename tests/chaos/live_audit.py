"""Audit of a run that is not over: it ends the run as soon as there is damage for certain."""

from __future__ import annotations

import time

from tests.chaos.audit import Audit
from tests.chaos.history import History
from tests.chaos.journal import read_journals

_PERIOD_SECONDS = 2.0


class DamageError(Exception):
    """A run has damage that nothing explains.

    Attributes:
        audit: the audit, without the jobs that may still run.
    """

    def __init__(self, audit):
        super().__init__("the audit has failed before the end of the run")
        self.audit = audit


class LiveAudit:
    """Reads the journals of a run repeatedly.

    An explanation may be journalled a moment after what it explains. So there is damage only if two
    audits in a row have the same line.

    Args:
        folder: the run's folder.
        enabled: whether `check` does anything.
    """

    def __init__(self, folder, *, enabled):
        self._folder = folder
        self._enabled = enabled
        self._next = 0.0
        self._lines = set()

    def check(self):
        """Audit the journals, unless that was done a moment ago.

        Raises:
            DamageError: there is damage that nothing explains.
        """
        if not self._enabled or time.monotonic() < self._next:
            return
        history = History(read_journals(self._folder))
        audit = Audit(history, pending_owners=history.jobs)  # a job that was not run may still run
        earlier, self._lines = self._lines, set(audit.damage())
        if earlier & self._lines:
            raise DamageError(audit)
        self._next = time.monotonic() + _PERIOD_SECONDS
