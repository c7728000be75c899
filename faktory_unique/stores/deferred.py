"""Lock writes that failed because the store was unavailable: retried until it is back, or exit.

Each write expires: after that it no longer makes sense and is dropped. All writes compare the
lock's value first, so a late one changes nothing.
"""

from __future__ import annotations

import atexit
import os
import time
from collections import OrderedDict
from contextlib import suppress
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from faktory_unique._util import held_by_this_thread, log
from faktory_unique.errors import StoreError, StoreUnavailable

from .two_step import run_in_two_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faktory_unique.locks.transition import Transition

    from .base import Store


_BATCH_SIZE = 1_000
_THREAD_NAME = "faktory-unique-deferred"

# Seconds between retries of the background thread: each pause is twice the one before.
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 0.2, 5.0

# Seconds between the retries of `close`, and the time after which no retry begins. That is enough
# for a store that is about to be back. Service managers do not wait much longer.
_CLOSE_RETRY_SECONDS = (0.1, 0.2, 0.3, 0.4)
_CLOSE_SECONDS = 1.0

_LockId: TypeAlias = tuple[str, str]  # key and owner
OnApplied: TypeAlias = "Callable[[Transition, str | None], None]"
"""Called with a deferred transition once the store has replied, and with the value found."""


class _Write(NamedTuple):
    transition: Transition
    expires_at: float  # a time of the clock
    on_applied: OnApplied


class DeferredWrites:
    """The lock writes of this process that wait for the store: one for each key and owner.

    Args:
        store: applies the writes.
        clock: returns seconds since any start. Writes expire by it.
        limit: the maximum number of writes that are kept. If it is exceeded, the oldest is dropped.
        sleep: waits for some seconds between the retries of `close`.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        limit: int = 10_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._limit = limit
        self._sleep = sleep
        self._reset()

    def _reset(self) -> None:
        self._writes: OrderedDict[_LockId, _Write] = OrderedDict()
        self._mutex = RLock()  # it knows its owner, so a signal handler can ask
        self._wake = Event()
        self._thread: Thread | None = None
        self._pid = os.getpid()

    def __len__(self) -> int:
        return len(self._writes)

    def apply_or_defer(
        self, transition: Transition, seconds: float, on_applied: OnApplied
    ) -> str | None:
        """Apply a transition now, superseding a deferred write for the same lock.

        Args:
            transition: the write.
            seconds: the time, in seconds, after which a deferred write expires.
            on_applied: called if the transition is deferred and the store replies to it later.

        Returns:
            The value found under the key; None if there was no lock.

        Raises:
            StoreError: the store failed. The transition is deferred.
        """
        if self._writes:
            self._reset_after_fork()
            with self._mutex:  # wait for a retry in another thread: it could undo this write
                self._writes.pop(_lock_id(transition), None)
        try:
            return run_in_two_steps(self._store, [transition])[0]
        except StoreError:
            self.defer(transition, seconds, on_applied, yields=False)
            raise

    def defer(
        self, transition: Transition, seconds: float, on_applied: OnApplied, *, yields: bool
    ) -> None:
        """Keep a transition, to apply it once the store is back. Arguments as `apply_or_defer`.

        If it yields, a write that is already deferred for this lock is kept instead. A producer
        that learns late that its push was accepted must not confirm a lock that a worker released.
        """
        self._reset_after_fork()
        lock_id = _lock_id(transition)
        with self._mutex:
            if yields and lock_id in self._writes:
                return
            self._wake.clear()
            if not self._writes:
                atexit.register(self.close)  # for a program that ends without close()
            self._writes.pop(lock_id, None)
            self._writes[lock_id] = _Write(transition, self._clock() + seconds, on_applied)
            if len(self._writes) > self._limit:
                (key, _), _ = self._writes.popitem(last=False)
                _log_dropped(key, f"more than {self._limit} deferred writes")

    def forbid_acquire(self, key: str, owner: str) -> None:
        """Stop a deferred write from acquiring this lock: the job has finished.

        Before the store is back, another worker may run the job again and release its lock.
        """
        if self._writes:
            self._reset_after_fork()
            with self._mutex:
                write = self._writes.get((key, owner))
                if write is not None:
                    transition = write.transition.without_acquire()
                    self._writes[key, owner] = write._replace(transition=transition)

    def flush_keys(self, keys: Sequence[str]) -> None:
        """Apply the deferred writes for these keys, before the keys are locked again.

        Raises:
            StoreError: the store is still unavailable, or this thread already applies writes.
        """
        if self._writes:
            wanted = set(keys)
            self._apply([(key, owner) for key, owner in list(self._writes) if key in wanted])

    def flush(self) -> bool:
        """Apply all deferred writes, if the store is back. Return whether none is left."""
        lock_ids = list(self._writes)
        try:
            self._apply(lock_ids)
        except StoreError as exc:
            log.debug("deferred %d lock writes again: error=%s", len(lock_ids), exc)
        else:
            if lock_ids:
                log.info("store recovered: applied %d deferred lock writes", len(lock_ids))
        return not self._writes

    def close(self) -> None:
        """Apply the writes that can be applied within about a second, and drop the others."""
        if held_by_this_thread(self._mutex):
            return  # the code that this signal handler interrupted applies them
        deadline = time.monotonic() + _CLOSE_SECONDS
        for pause in _CLOSE_RETRY_SECONDS:
            if self.flush() or time.monotonic() >= deadline:
                break
            self._sleep(pause)
        else:
            self.flush()
        self._reset_after_fork()
        with self._mutex:
            for key, _ in self._writes:
                _log_dropped(key, "store unavailable")
            self._writes.clear()
            self._wake.set()
        atexit.unregister(self.close)

    def flush_in_background(self) -> None:
        """Start a thread that retries until no write is left, unless it runs already."""
        self._reset_after_fork()
        with self._mutex:
            if self._writes and self._thread is None:
                thread = Thread(target=self._flush_until_empty, name=_THREAD_NAME, daemon=True)
                with suppress(RuntimeError):  # no thread available: the next call tries again
                    thread.start()
                    self._thread = thread

    def _flush_until_empty(self) -> None:
        pause = _FIRST_RETRY_SECONDS
        try:
            while True:
                self._wake.wait(pause)
                self.flush()
                pause = min(pause * 2, _LONGEST_RETRY_SECONDS)
                with self._mutex:
                    if not self._writes:
                        self._thread = None
                        return
        except BaseException:  # such as a hook's: `flush_in_background` starts another thread
            with self._mutex:
                self._thread = None
            raise

    def _apply(self, lock_ids: Sequence[_LockId]) -> None:
        """Apply the writes for these locks, in batches. Drop those that have expired."""
        left = list(lock_ids)
        while left:
            # No two of a batch may have the same key: the first owner of each key goes first.
            batch = set({key: (key, owner) for key, owner in reversed(left[:_BATCH_SIZE])}.values())
            left = [i for i in left if i not in batch]
            self._apply_batch(batch)

    def _apply_batch(self, lock_ids: set[_LockId]) -> None:
        self._reset_after_fork()
        if held_by_this_thread(self._mutex):
            raise StoreUnavailable(
                "this thread already applies deferred lock writes (pushing from a signal handler?)"
            )
        with self._mutex:
            now = self._clock()
            writes = {i: self._writes[i] for i in lock_ids & self._writes.keys()}
            for lock_id in [i for i, write in writes.items() if write.expires_at <= now]:
                del self._writes[lock_id], writes[lock_id]
            if not writes:
                return
            try:
                found = run_in_two_steps(self._store, [w.transition for w in writes.values()])
            except StoreError as exc:
                for transition in exc.done:
                    self._writes.pop(_lock_id(transition), None)
                raise
            for lock_id, write in writes.items():
                if self._writes.get(lock_id) is write:  # a signal handler can defer another
                    del self._writes[lock_id]
        for write, value in zip(writes.values(), found, strict=True):
            write.on_applied(write.transition, value)  # without the mutex: a hook may push

    def _reset_after_fork(self) -> None:
        """In a forked child, forget the writes of its parent and the parent's mutex."""
        if self._pid != os.getpid():
            self._reset()


def _lock_id(transition: Transition) -> _LockId:
    return transition.key, transition.owner


def _log_dropped(key: str, reason: str) -> None:
    log.warning("dropped lock write, lock stays until its TTL: key=%s reason=%r", key, reason)
