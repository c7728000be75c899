"""Changes that a store could not make while it was away, made once it is back.

Each has a time after which it makes no sense any more, and all compare the lock's value: what comes
too late changes nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from .errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .change import Change
    from .store import Store

log = logging.getLogger("faktory_unique")

_BATCH = 1_000

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0


class _Entry(NamedTuple):
    change: Change
    until: float
    made: Callable[[str | None], None]


class Kept:
    """A store, and the changes that it still owes; the last ten thousand of this process.

    Args:
        store: makes the changes.
        clock: seconds from any start; what is kept is given up by it.
        most: how many are kept; of more, the oldest are given up.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float] = time.monotonic, most: int = 10_000
    ) -> None:
        self._store = store
        self._clock = clock
        self._most = most
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._mutex = threading.Lock()
        self._waking = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def __len__(self) -> int:
        return len(self._entries)

    def run(self, change: Change, seconds: float, made: Callable[[str | None], None]) -> str | None:
        """Makes a change, in the stead of one that is owed to the same lock.

        Args:
            change: what to make.
            seconds: for how long it is kept where the store is away.
            made: called with the value found where it is made later.

        Returns:
            The value found.

        Raises:
            StoreError: it was not made, and is kept.
        """
        self._drop(change.key)
        try:
            return self._store.run([change])[0]
        except StoreError:
            self.keep(change, seconds, made)
            raise

    def keep(self, change: Change, seconds: float, made: Callable[[str | None], None]) -> None:
        """Keeps a change to be made later, for some seconds."""
        self._own()
        with self._mutex:
            self._waking.clear()
            if not self._entries:
                atexit.register(self.give_up)  # of those who end without a close
            self._entries.pop(change.key, None)
            self._entries[change.key] = _Entry(change, self._clock() + seconds, made)
            if len(self._entries) > self._most:
                key, _ = self._entries.popitem(last=False)
                log.warning("lock is left to its TTL: too many wait for the store: key=%s", key)

    def stop_taking(self, key: str) -> None:
        """The run of a job is over: what is owed to its lock may not take it anew from now on.

        The job may be run, and its lock freed, elsewhere before the store is back.
        """
        if not self._entries:
            return
        self._own()
        with self._mutex:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries[key] = entry._replace(change=entry.change.to_mine())

    def settle(self, keys: Sequence[str]) -> None:
        """Makes what is owed to these locks, before they are taken anew.

        Raises:
            StoreError: the store is still away.
        """
        if self._entries:
            self._make([key for key in keys if key in self._entries])

    def retry(self) -> bool:
        """Makes what is owed and still makes sense; whether nothing is left."""
        keys = list(self._entries)
        try:
            for start in range(0, len(keys), _BATCH):
                self._make(keys[start : start + _BATCH])
        except StoreError as exc:
            log.debug("changes of %d locks wait for the store: %s", len(keys), exc)
        else:
            if keys:
                log.info("the store is back: what %d locks were owed is made", len(keys))
        return not self._entries

    def give_up(self) -> None:
        """Makes what can be made now, and forgets the rest."""
        self.retry()
        self._own()
        with self._mutex:
            for key in self._entries:
                log.warning("lock is left to its TTL: the store is still away: key=%s", key)
            self._entries.clear()
            self._waking.set()
        atexit.unregister(self.give_up)

    def retry_in_background(self) -> None:
        """Has a thread retry, which ends when nothing is owed any more."""
        self._own()
        with self._mutex:
            if self._entries and self._thread is None:
                self._thread = threading.Thread(
                    target=self._retry_on, name="faktory-unique-kept", daemon=True
                )
                self._thread.start()

    def _retry_on(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            self._waking.wait(pause)
            self.retry()
            pause = min(pause * 2, _LONGEST_PAUSE)
            with self._mutex:
                if not self._entries:
                    self._thread = None
                    return

    def _make(self, keys: Sequence[str]) -> None:
        """Makes what is owed to these locks and is not too old."""
        self._own()
        with self._mutex:
            now = self._clock()
            for key in keys:
                if key in self._entries and self._entries[key].until <= now:
                    del self._entries[key]
            entries = [self._entries[key] for key in keys if key in self._entries]
            if not entries:
                return
            try:
                found = self._store.run([entry.change for entry in entries])
            except StoreError as exc:
                for change in exc.done:
                    self._entries.pop(change.key, None)
                raise
            for entry in entries:
                del self._entries[entry.change.key]
        for entry, value in zip(entries, found, strict=True):
            entry.made(value)  # without the mutex: a hook may push

    def _drop(self, key: str) -> None:
        """Forgets what is owed to a lock. Waits for a retry under way, which could undo us."""
        if self._entries:
            self._own()
            with self._mutex:
                self._entries.pop(key, None)

    def _own(self) -> None:
        """A forked child owes nothing of what its parent does, nor waits for its mutex."""
        if self._pid != os.getpid():
            self._entries = OrderedDict()
            self._mutex = threading.Lock()
            self._waking = threading.Event()
            self._thread = None
            self._pid = os.getpid()
