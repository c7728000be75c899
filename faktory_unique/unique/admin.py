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
from faktory_unique.locks.keys import key_prefix, name_in_key
from faktory_unique.locks.transition import is_leased, owner_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .context import UniqueContext
    from .request_builder import RequestBuilder


class Lock(NamedTuple):
    """A lock as it was when it was read.

    Attributes:
        key: the Redis key of the lock.
        name: the jobtype of the work, or the scope of its policy.
        owner: the jid under which the work was first pushed.
        leased: whether the push is still unconfirmed.
        ttl: seconds until the lock lapses; infinity if another program removed its TTL.
    """

    key: str
    name: str
    owner: str
    leased: bool
    ttl: float


def lock_of(key: str, value: str, ttl: float) -> Lock:
    """Return a lock from its key, its value and the seconds until it lapses."""
    return Lock(key, name_in_key(key) or "", owner_of(value), is_leased(value), ttl)


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
        if not isinstance(args, list | tuple):
            raise InvalidJob(f"args: {type(args).__name__} is not a list; pass the job's args")
        if custom is not None and not isinstance(custom, Mapping):
            raise InvalidJob(
                f"custom: {type(custom).__name__} is not a dict; pass the job's custom"
            )
        job = {"jobtype": jobtype, "args": args, "queue": queue, "custom": dict(custom or {})}
        return next(self._read([self._requests.key(job)]), None)

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
        of an `exclusive` job stays until the reservation is over. Arguments and errors are those of
        `holder`.

        Returns:
            The lock that was released; None if there was none.
        """
        lock = self.holder(jobtype, args, queue=queue, custom=custom)
        return next(iter(self._release([] if lock is None else [lock])), None)

    def locks(self, jobtype: str | None = None) -> Iterator[Lock]:
        """Yield the locks of a jobtype, or all locks. This uses SCAN, which does not block Redis.

        A lock that is acquired or released during the scan may be missing. A lock can appear twice.
        If the policy of the jobtype has a scope, the locks of all jobtypes with this scope appear.

        Raises:
            InvalidJob: the jobtype is empty or not a str.
            StoreError: the store is unavailable, or replied with an error.
        """
        for name in (None,) if jobtype is None else self._requests.names(jobtype):
            for keys in self._context.store.scan(key_prefix(name)):
                yield from self._read(
                    [key for key in keys if name is None or name_in_key(key) == name]
                )

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

    def _release(self, locks: Sequence[Lock]) -> list[Lock]:
        """Release locks that still have the same owner. Return those that were released."""
        released = []
        for lock in {lock.key: lock for lock in locks}.values():
            transition = lifecycle.release_transition(lock.key, lock.owner)
            [found] = self._context.store.run([transition])
            if transition.applied(found):
                released.append(lock)
                event = Event(EventName.RELEASED, lock.key, lock.owner, lock.owner, lock.name)
                self._context.hooks.emit(event._replace(detail="manually"))
        return released
