"""`LockAdmin`: lists locks (scan, filter, sort), shows a holder, releases manually; `Lock`.

Use it after jobs were deleted, or to see which job has a lock. The open-source server cannot list
jobs, so nothing here guesses which locks are orphans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from faktory_unique.errors import InvalidJob
from faktory_unique.events import Event, EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.job_validation import check_jobtype
from faktory_unique.locks.keys import (
    is_side_key,
    key_of_run_lock,
    key_prefix,
    name_in_key,
    run_key,
    side_key_prefix,
)
from faktory_unique.locks.transition import Transition, is_leased, owner_of

from .run_lock import jid_in_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .context import UniqueContext
    from .request_builder import RequestBuilder


class Lock(NamedTuple):
    """A lock as it was when it was read.

    Attributes:
        key: the Redis key of the lock.
        name: the jobtype of the work, or the scope of its policy.
        owner: the jid under which the work was first pushed. Of a run lock: the jid of the job that
            is running.
        leased: whether the push is still unconfirmed.
        ttl: seconds until the lock lapses; infinity if another program removed its TTL.
        value: the value in Redis.
        is_run_lock: whether it is the run lock of an `exclusive` job, which lets equal jobs wait.
    """

    key: str
    name: str
    owner: str
    leased: bool
    ttl: float
    value: str
    is_run_lock: bool = False


def lock_of(key: str, value: str, ttl: float) -> Lock:
    """Return a lock from its key, its value and the seconds until it lapses."""
    main_key = key_of_run_lock(key)
    if main_key is not None:
        name = name_in_key(main_key) or ""
        jid = jid_in_token(value)
        return Lock(key, name, jid, leased=False, ttl=ttl, value=value, is_run_lock=True)
    return Lock(key, name_in_key(key) or "", owner_of(value), is_leased(value), ttl, value)


class LockAdmin:
    """The methods of `Unique` that show and release locks.

    A lock is released only if it still has the owner that was read before.

    Args:
        context: shared by all parts of one `Unique`.
        requests: derives the keys of locks.
    """

    def __init__(self, context: UniqueContext, requests: RequestBuilder) -> None:
        self._context = context
        self._requests = requests

    def holder(
        self,
        jobtype: str,
        args: Sequence[Any],
        *,
        queue: str = "default",
        custom: Mapping[str, Any] | None = None,
    ) -> Lock | None:
        """Return the lock of this work: its owner is the job that has it. None if there is none.

        If only a run lock is left, as while a job with until="start" runs, that is returned.

        Args:
            jobtype: the jobtype of the job.
            args: the arguments of the job.
            queue: the queue of the job. It counts only if the policy says `per_queue`, or if the
                job has its own `unique_for`.
            custom: the `custom` of the job, if it has its own `unique_for` or `unique_until`.

        Raises:
            InvalidJob: there is no key: the jobtype is not unique, or the args are not valid.
            StoreError: the store is unavailable, or replied with an error.
        """
        return next(self._read(self._keys(jobtype, args, queue, custom)), None)

    def _keys(
        self, jobtype: str, args: Sequence[Any], queue: str, custom: Mapping[str, Any] | None
    ) -> list[str]:
        """Return the keys of the lock of this work, and of its run lock."""
        if not isinstance(args, list | tuple):
            raise InvalidJob(f"args: {type(args).__name__} is not a list; pass the job's args")
        if custom is not None and not isinstance(custom, Mapping):
            raise InvalidJob(
                f"custom: {type(custom).__name__} is not a dict; pass the job's custom"
            )
        job = {"jobtype": jobtype, "args": args, "queue": queue, "custom": dict(custom or {})}
        key = self._requests.key(job)
        return [key, run_key(key)]

    def release(
        self,
        jobtype: str,
        args: Sequence[Any],
        *,
        queue: str = "default",
        custom: Mapping[str, Any] | None = None,
    ) -> Lock | None:
        """Release the lock of this work, whichever job has it.

        Use it if a job was deleted in the Web UI: the server does not report that. If the job
        still exists, it runs anyway, and an equal job can be pushed at the same time. The run lock
        of an `exclusive` job is released as well, even while the job runs. Arguments and errors are
        those of `holder`.

        Returns:
            The lock that was released, or the run lock if there was no other; None without both.
        """
        keys = self._keys(jobtype, args, queue, custom)
        return next(iter(self._release(self._read(keys))), None)

    def locks(self, jobtype: str | None = None) -> Iterator[Lock]:
        """Yield the locks and run locks of a jobtype, or all. SCAN is used: it blocks no client.

        A lock that is acquired or released during the scan may be missing. A lock can appear twice.
        If the policy of the jobtype has a scope, the locks of all jobtypes with this scope appear.

        Raises:
            InvalidJob: the jobtype is empty or not a str.
            StoreError: the store is unavailable, or replied with an error.
        """
        for name in (None,) if jobtype is None else self._requests.names(jobtype):
            for start in (key_prefix(name), side_key_prefix(name)):
                for keys in self._context.store.scan(start):
                    yield from self._read([key for key in keys if _is_lock_of(name, key)])

    def release_jids(self, jobtype: str, jids: Iterable[str]) -> list[Lock]:
        """Release the locks of jobs that were deleted manually.

        Args:
            jobtype: the jobtype of the jobs. Locks of other jobtypes stay.
            jids: the jids under which the jobs were first pushed. If a job was requeued, or pushed
                again after an unknown outcome, that is `custom.unique.owner` in its payload.

        Returns:
            The locks that were released.

        Raises:
            InvalidJob: the jobtype is empty or not a str.
            TypeError: `jids` is a str, not a list.
            StoreError: the store is unavailable. Locks that were released stay released.
        """
        check_jobtype(jobtype)
        if isinstance(jids, str | bytes):
            raise TypeError(f"jids is a list: pass [{jids!r}]")
        wanted = set(jids)
        return self._release([lock for lock in self.locks(jobtype) if lock.owner in wanted])

    def _read(self, keys: Sequence[str]) -> Iterator[Lock]:
        for key, found in zip(keys, self._context.store.read(keys), strict=True):
            if found is not None:
                yield lock_of(key, *found)

    def _release(self, locks: Iterable[Lock]) -> list[Lock]:
        """Release locks that still have the same owner. Return those that were released."""
        released = []
        for lock in {lock.key: lock for lock in locks}.values():
            if lock.is_run_lock:
                transition = Transition(lock.key, (lock.value,), None, 0)
            else:
                transition = lifecycle.release_transition(lock.key, lock.owner)
            [found] = self._context.store.run([transition])
            if transition.applied(found):
                released.append(lock)
                event = Event(EventName.RELEASED, lock.key, lock.owner, lock.owner, lock.name)
                self._context.hooks.emit(event._replace(detail="manually"))
        return released


def _is_lock_of(name: str | None, key: str) -> bool:
    """Return whether a key is that of a lock or a run lock, of a name if that is given."""
    main_key = key_of_run_lock(key) if is_side_key(key) else key
    return main_key is not None and name in {None, name_in_key(main_key)}
