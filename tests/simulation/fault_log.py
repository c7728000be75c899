"""Which faults have struck whom: what may go wrong then, and what may not."""

from __future__ import annotations

from tests.simulation.faults import Fault


class Struck:
    """The faults that have struck in one run."""

    def __init__(self):
        self._faults = {}

    def add(self, process, fault):
        """A fault has struck a process, or, where it is None, all."""
        self._faults.setdefault(process.name if process else None, set()).add(fault)

    @property
    def anybody(self):
        """Whether there was a fault at all."""
        return bool(self._faults)

    def any_of(self, names):
        """Whether one of these processes was struck."""
        return bool(self._faults.keys() & {None, *names})

    def stood_still(self, name):
        """Whether a process stood still amid what it did."""
        return any(fault.is_stop for fault in self._faults.get(name, ()))

    def any_stood_still(self, names):
        """Whether one of these processes stood still amid what it did."""
        return any(map(self.stood_still, names))

    def held_up(self, names):
        """Whether one of these processes stood still, or reached nobody, past a reservation."""
        return self.any_stood_still(names) or any(
            Fault.CUT_OFF in self._faults.get(name, ()) for name in names
        )

    def killed(self, names):
        """Whether one of these processes was killed."""
        return any(fault.is_crash for name in names for fault in self._faults.get(name, ()))
