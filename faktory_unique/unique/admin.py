"""Look at locks and release them manually: `holder`, `locks`, `release`, `release_jids`.

For whoever has discarded jobs, or wants to know. The open-source server cannot list jobs, so
nothing here guesses which locks are orphans.
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
        key: its Redis key.
        name: the jobtype of its work, or the scope of its policy.
        owner: the jid under which the work was first pushed.
        leased: whether the push is still unconfirmed.
        ttl: seconds that it has left; infinity if somebody else removed its TTL.
    """

    key: str
    name: str
    owner: str
    leased: bool
    ttl: float


def lock_of(key: str, value: str, ttl: float) -> Lock:
    """Return the lock that the store has under a key."""
    return Lock(key, name_in_key(key) or "", owner_of(value), is_leased(value), ttl)


class LockAdmin:
    """The manual part of `Unique`. Each release compares the owner that was read before.

    Args:
        context: shared by all parts of one `Unique`.
        requests: derives keys.
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
        """Return the lock of this work, and so which job has it; None if no job has.

        Args:
            jobtype: the job's, like all that its key is made from:
            args: its arguments.
            queue: its queue, if its policy says `per_queue`, or if it says `unique_for` itself.
            custom: its own words about being unique: `unique_for` and `unique_until`.

        Raises:
            InvalidJob: there is no key: the jobtype is not unique, or the args are impossible.
            StoreError: the store is unavailable.
        """
        if not isinstance(args, list | tuple):
            raise InvalidJob(f"args: {type(args).__name__} is no list; pass the job's args")
        if custom is not None and not isinstance(custom, Mapping):
            raise InvalidJob(f"custom: {type(custom).__name__} is no dict; pass the job's custom")
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

        For a job that was discarded in the Web UI, of which the server informs nobody. A job that
        still exists runs all the same, and an equal job can be pushed beside it. The run lock of an
        `exclusive` job stays; it ends with the reservation. Arguments and errors as for `holder`.

        Returns:
            The lock that was released; None if there was none.
        """
        lock = self.holder(jobtype, args, queue=queue, custom=custom)
        return next(iter(self._release([] if lock is None else [lock])), None)

    def locks(self, jobtype: str | None = None) -> Iterator[Lock]:
        """Iterate over the locks of a jobtype, or over all, by SCAN, which does not block Redis.

        A lock that comes or goes meanwhile may be missing, and a lock may come twice. If the policy
        of the jobtype has a scope, these are the locks of all jobtypes that share it.

        Raises:
            StoreError: the store is unavailable.
        """
        for name in (None,) if jobtype is None else self._requests.names(jobtype):
            for keys in self._context.store.scan(key_prefix(name)):
                yield from self._read(
                    [key for key in keys if name is None or name_in_key(key) == name]
                )

    def release_jids(self, jobtype: str, jids: Iterable[str]) -> list[Lock]:
        """Release the locks of jobs that were discarded manually.

        Args:
            jobtype: the jobs'; locks of other jobtypes stay.
            jids: those under which the jobs were first pushed. If a job was requeued, or pushed
                again after an unknown outcome, that is `custom.unique.owner` in its payload.

        Returns:
            The locks that were released.

        Raises:
            InvalidJob: there is no such jobtype.
            TypeError: jids is a text, not a list.
            StoreError: the store is unavailable; locks that were released stay released.
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
