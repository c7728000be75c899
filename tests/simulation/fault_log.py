"""A log of the faults that happened to each process, to decide which outcomes they excuse."""

from __future__ import annotations

from tests.simulation.faults import Fault


class FaultLog:
    """The faults that happened in one run."""

    def __init__(self):
        self._faults = {}

    def add(self, process, fault):
        """Record a fault of a process; None for a fault of all processes."""
        self._faults.setdefault(process.name if process else None, set()).add(fault)

    @property
    def any_fault(self):
        """Return whether any fault happened."""
        return bool(self._faults)

    def hit_any(self, names):
        """Return whether a fault happened to one of these processes."""
        return bool(self._faults.keys() & {None, *names})

    def was_stopped(self, name):
        """Return whether a process was stopped during a step."""
        return any(fault.is_stop for fault in self._faults.get(name, ()))

    def any_stopped(self, names):
        """Return whether one of these processes was stopped during a step."""
        return any(map(self.was_stopped, names))

    def any_delayed(self, names):
        """Return whether one of these was stopped or cut off for longer than a reservation."""
        return self.any_stopped(names) or any(
            Fault.CUT_OFF in self._faults.get(name, ()) for name in names
        )

    def any_killed(self, names):
        """Return whether one of these processes was killed."""
        return any(fault.is_crash for name in names for fault in self._faults.get(name, ()))
