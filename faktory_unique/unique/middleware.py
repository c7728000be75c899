"""`Unique`: the middleware that keeps equal jobs from being queued twice.

On the producer's side it takes a lock before PUSHB and confirms it, or gives it back, by what
Faktory answered; on the worker's side it frees the lock once Faktory has acknowledged the job.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from faktory_unique.events import Event, EventName, Hooks, is_logged, log_event
from faktory_unique.locks.stamp import VERSION, read_stamp, unsupported_stamp, without_stamp
from faktory_unique.middleware import Middleware, Requeue, Run
from faktory_unique.policy.policy import Policies
from faktory_unique.policy.settings import load
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.stores.factory import open_store

from .admin import ByHand
from .batch import BatchPush
from .context import UniqueContext
from .job_lock import JobLock
from .push_history import PushHistory
from .request_builder import RequestBuilder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import redis

    from faktory_unique.events import Hook
    from faktory_unique.middleware import FetchDecision, JobError, Payload, ReportStatus
    from faktory_unique.policy.policy import Policy
    from faktory_unique.results import PushResult
    from faktory_unique.stores.base import Store


class Unique(Middleware, ByHand):
    """Keeps equal jobs from being queued twice; give one to `Producer` and to `Consumer`.

    What is not passed is read from the environment (`FAKTORY_UNIQUE_STORE`,
    `FAKTORY_UNIQUE_POLICIES`, `FAKTORY_UNIQUE_DEFAULT`), else from the TOML file that `config` or
    `FAKTORY_UNIQUE_CONFIG` names.

    Safe over threads and forks. Connections are opened at the first use; `close`, or leaving a
    `with` block, closes them.

    Args:
        store: where locks live: a `redis://`, `rediss://`, `unix://` or `memory://` URL, a ready
            `redis.Redis`, or a `Store`.
        policies: what unique means for each jobtype, by exact name or glob.
        default: what it means for all other jobtypes; without one their jobs pass untouched.
        config: path of a TOML file with the same names.
        hooks: called with an `Event` whenever something happens to a lock; each is logged besides.

    Raises:
        InvalidSettings: a setting is unknown, impossible or missing; the message names it.
    """

    owns_locks = True

    def __init__(
        self,
        store: str | redis.Redis | Store | None = None,
        policies: Mapping[str, Policy | Mapping[str, Any]] | None = None,
        default: Policy | Mapping[str, Any] | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        hooks: Iterable[Hook] = (),
    ) -> None:
        settings = load(store=store, policies=policies, default=default, config=config)
        self.store = open_store(settings.store)
        # Of a test's fake Faktory: what is due there is told by its clock.
        now: Callable[[], float] = getattr(self.store, "now", time.time)
        clock: Callable[[], float] = getattr(self.store, "now", time.monotonic)
        deferred = DeferredWrites(self.store, clock)
        given = tuple(hooks)
        all_hooks = Hooks([log_event, *given], None if given else is_logged)
        self._context = UniqueContext(self.store, deferred, PushHistory(), all_hooks, clock)
        policies_of = Policies(settings.policies, settings.default)
        self._requests = RequestBuilder(self._context, policies_of, now)

    def __repr__(self) -> str:
        return f"<Unique {self.store!r}>"

    def push(
        self, jobs: Sequence[Payload], call_next: Callable[[Sequence[Payload]], list[PushResult]]
    ) -> list[PushResult]:
        """Pushes the jobs whose work is not there yet; see `BatchPush.run`.

        Raises:
            InvalidJob: a unique job cannot be carried faithfully; nothing of the batch was pushed.
            StoreError: a lock could not be taken; `results` tells what was pushed before.
        """
        requests = self._requests.build(jobs)
        if not requests:
            return call_next([without_stamp(job) for job in jobs])
        return BatchPush(self._context, jobs, requests, call_next).run()

    def fetch(self, job: Payload, call_next: Callable[[Payload], FetchDecision]) -> FetchDecision:
        """Holds the lock of a job that is to run, or frees it where `until` is "start".

        One that cannot be freed, the store being away, is put back: while its lock stands, a push
        would be taken for a duplicate of what this run may have missed. So is an exclusive job
        whose equal runs. A job that another was pushed in the place of is dropped.
        """
        decision = call_next(job)
        if isinstance(decision, Requeue):
            return decision
        holding = self._holding(job)
        if holding is None:
            self._tell_unknown_stamp(job)
            return decision
        # A job that is dropped is over, too: its ACK frees the lock, or this has.
        return holding.fetched(runs=isinstance(decision, Run)) or decision

    def ack(self, job: Payload, call_next: Callable[[Payload], ReportStatus]) -> ReportStatus:
        """Frees the job's lock once Faktory has acknowledged it, within its reservation."""
        return self._report(job, partial(call_next, job), JobLock.acked)

    def fail(
        self, job: Payload, error: JobError, call_next: Callable[[Payload, JobError], ReportStatus]
    ) -> ReportStatus:
        """Frees the job's lock once Faktory has its FAIL, if that was its last retry."""
        return self._report(job, partial(call_next, job, error), JobLock.failed)

    def requeue(
        self, job: Payload, delay: float, call_next: Callable[[Payload, float], ReportStatus]
    ) -> ReportStatus:
        """Has the lock live for as long as the copy can wait."""
        holding = self._holding(job)
        if holding is None:
            return call_next(job, delay)
        holding.ending()
        holding.requeue(delay)
        answer = call_next(job, delay)
        holding.was_requeued(answer, delay)
        return answer

    def close(self) -> None:
        """Makes what the store still owes, if it is back, and closes its connections.

        A later use opens new ones.
        """
        self._context.deferred.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _report(
        self,
        job: Payload,
        send: Callable[[], ReportStatus],
        follow: Callable[[JobLock, ReportStatus], None],
    ) -> ReportStatus:
        """Sends a report, and has the job's lock follow from its answer."""
        holding = self._holding(job)
        if holding is None:
            return send()
        holding.ending()
        try:
            answer = send()
        except BaseException:  # of whatever kind: the handler is over all the same
            holding.not_reported()
            raise
        follow(holding, answer)
        return answer

    def _holding(self, job: Payload) -> JobLock | None:
        """The lock of a fetched job; None for one that has none, or whose stamp we cannot read."""
        stamp = read_stamp(job)
        return None if stamp is None else JobLock(self._context, job, stamp)

    def _tell_unknown_stamp(self, job: Payload) -> None:
        """Of a later version: whoever pushed the job knows more of its lock than this worker."""
        stamp = unsupported_stamp(job)
        if stamp is not None:
            key, owner = str(stamp.get("key", "")), str(stamp.get("owner", ""))
            told = f"version {stamp['v']!r}: this worker knows those up to {VERSION}, if undamaged"
            self._context.hooks.tell(
                Event(EventName.UNSUPPORTED_STAMP, key, owner, job["jid"], job["jobtype"], told)
            )
