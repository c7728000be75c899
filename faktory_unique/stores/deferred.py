"""Changes that a store could not make while it was away, on_applied once it is back.

Each has a time after which it makes no sense any more, and all compare the lock's value: what comes
too late changes nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from faktory_unique._util import held_by_this_thread
from faktory_unique.errors import StoreError, StoreUnavailable

from .two_step import run_in_two_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faktory_unique.locks.transition import Transition

    from .base import Store

log = logging.getLogger("faktory_unique")

_BATCH = 1_000

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0

# At the end of a process: a store that is just coming back is worth a second, and one that hangs no
# more than its time-out. Service managers do not wait long.
_LAST_PAUSES = (0.1, 0.2, 0.3, 0.4)
_LAST_SECONDS = 1.0

_Place: TypeAlias = tuple[str, str]
"""Key and owner: a lock of another owner is another's, and owed something else."""

OnApplied: TypeAlias = "Callable[[Transition, str | None], None]"
"""Told the change that was on_applied, and the value that was found."""


class _Entry(NamedTuple):
    transition: Transition
    until: float
    on_applied: OnApplied


class DeferredWrites:
    """A store, and the changes that it still owes; the last ten thousand of this process.

    Args:
        store: makes the changes.
        clock: seconds from any start; what is kept is given up by it.
        most: how many are kept; of more, the oldest are given up.
        sleep: waits some seconds, between the last tries.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        most: int = 10_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._most = most
        self._sleep = sleep
        self._entries: OrderedDict[_Place, _Entry] = OrderedDict()
        self._mutex = threading.RLock()  # which knows whose it is, for signal handlers
        self._waking = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def __len__(self) -> int:
        return len(self._entries)

    def apply_or_defer(
        self, transition: Transition, seconds: float, on_applied: OnApplied
    ) -> str | None:
        """Makes a change, in the stead of one that is owed to the same lock; the value found.

        Args:
            transition: what to make.
            seconds: for how long it is kept where the store is away.
            on_applied: called where it is on_applied later.

        Raises:
            StoreError: it was not on_applied, and is kept.
        """
        if self._entries:
            self._reset_after_fork()
            with self._mutex:  # waits for a retry under way, which could undo us
                self._entries.pop(_place(transition), None)
        try:
            return run_in_two_steps(self._store, [transition])[0]
        except StoreError:
            self.defer(transition, seconds, on_applied, yields=False)
            raise

    def defer(
        self, transition: Transition, seconds: float, on_applied: OnApplied, *, yields: bool
    ) -> None:
        """Keeps a change to be on_applied later, for some seconds.

        One that yields does so to what is owed to that owner's lock already: a producer that hears
        of its push late confirms nothing that a worker has freed.
        """
        self._reset_after_fork()
        place = _place(transition)
        with self._mutex:
            if yields and place in self._entries:
                return
            self._waking.clear()
            if not self._entries:
                atexit.register(self.close)  # of those who end without a close
            self._entries.pop(place, None)
            self._entries[place] = _Entry(transition, self._clock() + seconds, on_applied)
            if len(self._entries) > self._most:
                (key, _), _ = self._entries.popitem(last=False)
                log.warning("lock is left to its TTL: too many wait for the store: key=%s", key)

    def forbid_acquire(self, key: str, owner: str) -> None:
        """The run of a job is over: what is owed to its lock may not take it anew from now on.

        The job may be run, and its lock freed, elsewhere before the store is back.
        """
        if not self._entries:
            return
        self._reset_after_fork()
        with self._mutex:
            entry = self._entries.get((key, owner))
            if entry is not None:
                self._entries[key, owner] = entry._replace(
                    transition=entry.transition.without_acquire()
                )

    def flush_keys(self, keys: Sequence[str]) -> None:
        """Makes what is owed to these locks, before they are taken anew.

        Raises:
            StoreError: the store is still away.
        """
        if self._entries:
            taken = set(keys)
            self._make([place for place in list(self._entries) if place[0] in taken])

    def flush(self) -> bool:
        """Makes what is owed and still makes sense; whether nothing is left."""
        places = list(self._entries)
        try:
            self._make(places)
        except StoreError as exc:
            log.debug("changes of %d locks wait for the store: %s", len(places), exc)
        else:
            if places:
                log.info("the store is back: what %d locks were owed is on_applied", len(places))
        return not self._entries

    def close(self) -> None:
        """Makes what can be on_applied within a second or so, and forgets the rest."""
        if held_by_this_thread(self._mutex):
            return  # what is interrupted goes on with it
        deadline = time.monotonic() + _LAST_SECONDS
        pauses = iter(_LAST_PAUSES)
        while not self.flush() and time.monotonic() < deadline:
            pause = next(pauses, None)
            if pause is None:
                break
            self._sleep(pause)
        self._reset_after_fork()
        with self._mutex:
            for key, _ in self._entries:
                log.warning("lock is left to its TTL: the store is still away: key=%s", key)
            self._entries.clear()
            self._waking.set()
        atexit.unregister(self.close)

    def flush_in_background(self) -> None:
        """Has a thread retry, which ends when nothing is owed any more."""
        self._reset_after_fork()
        with self._mutex:
            if not self._entries or self._thread is not None:
                return
            thread = threading.Thread(
                target=self._flush_until_empty, name="faktory-unique-kept", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # no thread to be had: at the next occasion
                thread.start()
                self._thread = thread

    def _flush_until_empty(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while True:
                self._waking.wait(pause)
                self.flush()
                pause = min(pause * 2, _LONGEST_PAUSE)
                with self._mutex:
                    if not self._entries:
                        self._thread = None
                        return
        except BaseException:  # of a hook, say: the next thread goes on
            with self._mutex:
                self._thread = None
            raise

    def _make(self, places: Sequence[_Place]) -> None:
        """Makes what is owed to these locks and is not too old."""
        left = list(places)
        while left:
            # No two of a batch are of one key: of those, the first comes first.
            chosen = set({key: (key, owner) for key, owner in reversed(left[:_BATCH])}.values())
            left = [place for place in left if place not in chosen]
            self._make_batch(chosen)

    def _make_batch(self, places: set[_Place]) -> None:
        self._reset_after_fork()
        if held_by_this_thread(self._mutex):
            raise StoreUnavailable("this very thread is amid making what locks are owed")
        with self._mutex:
            entries = self._due(places)
            if not entries:
                return
            try:
                found = run_in_two_steps(self._store, [entry.transition for entry in entries])
            except StoreError as exc:
                for transition in exc.done:
                    self._entries.pop(_place(transition), None)
                raise
            for entry in entries:  # unless a signal handler has put another in its place
                if self._entries.get(_place(entry.transition)) is entry:
                    del self._entries[_place(entry.transition)]
        for entry, value in zip(entries, found, strict=True):
            entry.on_applied(entry.transition, value)  # without the mutex: a hook may push

    def _due(self, places: set[_Place]) -> list[_Entry]:
        """What is owed to these locks; what is too old is forgotten."""
        now = self._clock()
        entries = [self._entries[place] for place in places if place in self._entries]
        for entry in entries:
            if entry.until <= now:
                del self._entries[_place(entry.transition)]
        return [entry for entry in entries if entry.until > now]

    def _reset_after_fork(self) -> None:
        """A forked child owes nothing of what its parent does, nor waits for its mutex."""
        if self._pid != os.getpid():
            self._entries = OrderedDict()
            self._mutex = threading.RLock()
            self._waking = threading.Event()
            self._thread = None
            self._pid = os.getpid()


def _place(transition: Transition) -> _Place:
    return transition.key, transition.owner
