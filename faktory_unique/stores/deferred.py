"""Lock writes that failed because the store was unavailable: retried until it is back, or exit.

Each write expires: after that it no longer makes sense and is dropped. All writes compare the
lock's value first, so a late one changes nothing.
"""

from __future__ import annotations

import atexit
import os
import time
from threading import RLock
from typing import TYPE_CHECKING

from faktory_unique._util import held_by_this_thread, log
from faktory_unique.errors import StoreError, StoreUnavailable

from .retry_thread import RetryThread
from .two_step import run_in_two_steps
from .write_queue import Write, WriteQueue, lock_id_of, values_found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faktory_unique.locks.transition import Transition

    from .base import Store
    from .write_queue import LockId, OnApplied, OnRefused


_BATCH_SIZE = 1_000

# Seconds between the retries of `close`, and the time after which no retry begins. That is enough
# for a store that is about to be back. Service managers do not wait much longer.
_CLOSE_RETRY_SECONDS = (0.1, 0.2, 0.3, 0.4)
_CLOSE_SECONDS = 1.0


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
        self._closes_at_exit = False
        self._reset()

    def _reset(self) -> None:
        self._writes = WriteQueue()
        self._mutex = RLock()  # it knows its owner, so a signal handler can ask
        self._thread = RetryThread(self.flush, lambda: not self._writes, self._mutex)
        self._pid = os.getpid()

    def __len__(self) -> int:
        return len(self._writes)

    def apply_or_defer(
        self,
        transition: Transition,
        seconds: float,
        on_applied: OnApplied,
        on_refused: OnRefused | None = None,
    ) -> str | None:
        """Apply a transition now, superseding a deferred write for the same lock.

        Args:
            transition: the write.
            seconds: the time, in seconds, after which a deferred write expires.
            on_applied: called if the transition is deferred and the store replies to it later.
            on_refused: called if it is deferred and the store then refuses it for good. By default
                that is logged.

        Returns:
            The value found under the key; None if there was no lock.

        Raises:
            StoreError: the store failed. The transition is deferred, unless it is among those that
                were `refused`.
        """
        if self._writes:
            self._reset_after_fork()
            with self._mutex:  # wait for a retry in another thread: it could undo this write
                self._writes.remove(lock_id_of(transition))
        try:
            return run_in_two_steps(self._store, [transition])[0]
        except StoreError as exc:
            if not exc.refused:
                self.defer(transition, seconds, on_applied, on_refused, yields=False)
            raise

    def defer(
        self,
        transition: Transition,
        seconds: float,
        on_applied: OnApplied,
        on_refused: OnRefused | None = None,
        *,
        yields: bool,
    ) -> None:
        """Keep a transition, to apply it once the store is back. Arguments as `apply_or_defer`.

        If it yields, a write that is already deferred for this lock is kept instead. A producer
        that learns late that its push was accepted must not confirm a lock that a worker released.
        """
        self._reset_after_fork()
        lock_id = lock_id_of(transition)
        with self._mutex:
            if yields and lock_id in self._writes:
                return
            if not self._closes_at_exit:
                self._closes_at_exit = True
                atexit.register(self.close)  # for a program that ends without close()
            self._writes.put(Write(transition, self._clock() + seconds, on_applied, on_refused))
            if len(self._writes) > self._limit:
                key, _ = self._writes.remove_oldest()
                _log_dropped(key, f"more than {self._limit} deferred writes")

    def forbid_acquire(self, key: str, owner: str) -> None:
        """Stop a deferred write from acquiring this lock: the job has finished.

        Before the store is back, another worker may run the job again and release its lock.
        """
        if self._writes:
            self._reset_after_fork()
            with self._mutex:
                self._writes.forbid_acquire((key, owner))

    def flush_keys(self, keys: Sequence[str]) -> None:
        """Apply the deferred writes for these keys, before the keys are locked again.

        Raises:
            StoreError: the store is still unavailable, or this thread already applies writes.
        """
        if self._writes:
            self._apply(self._writes.of_keys(keys))

    def flush(self) -> bool:
        """Apply all deferred writes, if the store is back. Return whether none is left."""
        lock_ids = list(self._writes)
        allow_probe = getattr(self._store, "allow_probe", None)
        if lock_ids and allow_probe is not None:
            allow_probe()  # these retries have pauses of their own
        try:
            applied = self._apply(lock_ids)
        except StoreError as exc:
            log.debug("deferred %d lock writes again: error=%s", len(self._writes), exc)
        else:
            if applied:
                log.info("store recovered: applied %d deferred lock writes", applied)
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
            self._thread.wake()
            self._closes_at_exit = False
        atexit.unregister(self.close)

    def flush_in_background(self) -> None:
        """Start a thread that retries until no write is left, unless it runs already."""
        self._reset_after_fork()
        with self._mutex:
            if self._writes:
                self._thread.ensure()

    def _apply(self, lock_ids: Sequence[LockId]) -> int:
        """Apply the writes for these locks, in batches. Return how many the store carried out.

        Writes that have expired are dropped, and so are those that the store refuses for good.
        """
        applied, left = 0, list(lock_ids)
        while left:
            # No two of a batch may have the same key: the first owner of each key goes first.
            batch = set({key: (key, owner) for key, owner in reversed(left[:_BATCH_SIZE])}.values())
            left = [i for i in left if i not in batch]
            applied += self._apply_batch(batch)
        return applied

    def _apply_batch(self, lock_ids: set[LockId]) -> int:
        self._reset_after_fork()
        if held_by_this_thread(self._mutex):
            raise StoreUnavailable(
                "this thread already applies deferred lock writes (pushing from a signal handler?)"
            )
        applied = 0
        while True:
            error: StoreError | None = None
            with self._mutex:
                writes = self._writes.unexpired(lock_ids, self._clock())
                if not writes:
                    return applied
                try:
                    values = run_in_two_steps(self._store, [w.transition for w in writes.values()])
                    found = dict(zip(writes, values, strict=True))
                except StoreError as exc:
                    error, found = exc, values_found(writes, exc)
                refused = writes.keys() & {lock_id_of(t) for t in error.refused} if error else set()
                done = writes.keys() & {lock_id_of(t) for t in error.done} if error else set()
                self._writes.remove_these(writes[i] for i in {*found, *refused, *done})
            applied += len(found)
            for lock_id, value in found.items():  # without the mutex: a hook may push
                writes[lock_id].on_applied(writes[lock_id].transition, value)
            for lock_id in refused:
                _report_refused(writes[lock_id], str(error))
            if error is None:
                return applied
            if not refused:
                raise error

    def _reset_after_fork(self) -> None:
        """In a forked child, forget the writes of its parent and the parent's mutex."""
        if self._pid != os.getpid():
            self._reset()


def _report_refused(write: Write, reason: str) -> None:
    if write.on_refused is None:
        _log_dropped(write.transition.key, reason)
    else:
        write.on_refused(reason)


def _log_dropped(key: str, reason: str) -> None:
    log.warning("dropped lock write, lock stays until its TTL: key=%s reason=%r", key, reason)
