"""Looking at locks and freeing them by hand, for whoever has discarded jobs, or wants to know.

The open-source server cannot list jobs, so nothing here guesses which locks are stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from faktory_unique.errors import InvalidJob
from faktory_unique.events import Event, EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.job_validation import check_jobtype
from faktory_unique.locks.keys import beginning_of, name_in
from faktory_unique.locks.transition import is_leased, owner_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .context import UniqueContext
    from .request_builder import RequestBuilder


class Lock(NamedTuple):
    """A lock as it was when it was looked at.

    Attributes:
        key: its Redis key.
        name: the jobtype whose work it stands for, or the scope that its policy has.
        owner: the jid under which the work was first pushed.
        leased: whether the push is still unconfirmed.
        ttl: seconds that it has left; infinity where somebody else has made it last for ever.
    """

    key: str
    name: str
    owner: str
    leased: bool
    ttl: float


def lock_of(key: str, value: str, ttl: float) -> Lock:
    """A lock, by what the store has under its key."""
    return Lock(key, name_in(key) or "", owner_of(value), is_leased(value), ttl)


class ByHand:
    """What `Unique` does by hand. Each change compares the value that was seen before."""

    _context: UniqueContext
    _requests: RequestBuilder

    def holder(
        self,
        jobtype: str,
        args: Sequence[Any],
        *,
        queue: str = "default",
        custom: Mapping[str, Any] | None = None,
    ) -> Lock | None:
        """The lock that stands for this work, and so which job has it; None where none has.

        Args:
            jobtype: as the job has it; so are `args`, and what else its key is made from:
            args: its arguments.
            queue: its queue, where its policy says `per_queue`, or it says `unique_for` itself.
            custom: what it says of being unique itself: `unique_for` and `unique_until`.

        Raises:
            InvalidJob: there is no key: the jobtype is not unique, or the args are impossible.
            StoreError: the store is away.
        """
        if not isinstance(args, list | tuple):
            raise InvalidJob(f"args: {type(args).__name__}, and not a list; pass the job's args")
        if custom is not None and not isinstance(custom, Mapping):
            raise InvalidJob(f"custom: {type(custom).__name__}, and no dict; pass the job's custom")
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
        """Frees the lock that stands for this work, whoever has it.

        For a job that was discarded by hand, which nobody tells of. Where the job is there still it
        runs all the same, and an equal one can be pushed beside it. The run lock of an `exclusive`
        job stays, which ends by itself with the reservation. Arguments and errors as those of
        `holder`.

        Returns:
            The lock that was freed; None where there was none.
        """
        lock = self.holder(jobtype, args, queue=queue, custom=custom)
        return next(iter(self._release([] if lock is None else [lock])), None)

    def locks(self, jobtype: str | None = None) -> Iterator[Lock]:
        """All locks of a jobtype, or of all; an iterator over SCAN, which does not hold Redis up.

        One that comes or goes meanwhile may be missing, and one may come twice. Where the policy of
        the jobtype has a scope, these are the locks of all jobtypes that share it.

        Raises:
            StoreError: the store is away.
        """
        for name in (None,) if jobtype is None else self._requests.names(jobtype):
            for keys in self._context.store.scan(beginning_of(name)):
                yield from self._read([key for key in keys if name is None or name_in(key) == name])

    def release_jids(self, jobtype: str, jids: Iterable[str]) -> list[Lock]:
        """Frees the locks of jobs that were discarded by hand.

        Args:
            jobtype: theirs; of others, nothing is freed.
            jids: those under which they were first pushed: where a job was put back, or pushed
                again after an unknown outcome, that is `custom.unique.owner` in its payload.

        Returns:
            The locks that were freed.

        Raises:
            InvalidJob: there is no such jobtype.
            TypeError: jids is a text, and no list of them.
            StoreError: the store is away; what was freed stays free.
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
        """Frees locks whose owners are still the same; those that were."""
        freed = []
        for lock in {lock.key: lock for lock in locks}.values():
            transition = lifecycle.release_transition(lock.key, lock.owner)
            if transition.applied(self._context.store.run([transition])[0]):
                freed.append(lock)
                self._context.hooks.tell(
                    Event(
                        *(EventName.RELEASED, lock.key, lock.owner, lock.owner, lock.name),
                        "by hand",
                    )
                )
        return freed
