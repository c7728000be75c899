"""`Unique`: the constructor, and the methods push, fetch, ack, fail and requeue.

In a producer it acquires a lock before PUSHB. Faktory's reply decides if it confirms the lock or
rolls it back. In a worker it releases the lock once Faktory has acknowledged the job.
"""

from __future__ import annotations

import time
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Self

from faktory_unique._util import log
from faktory_unique.errors import StoreError
from faktory_unique.events import Event, EventName, Hooks, is_logged, log_event
from faktory_unique.locks.keys import key_prefix
from faktory_unique.locks.stamp import VERSION, read_stamp, unsupported_stamp, without_stamp
from faktory_unique.middleware import Middleware, Requeue, Run
from faktory_unique.policy.policies import Policies
from faktory_unique.policy.settings import load_settings
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.stores.factory import open_store

from .admin import LockAdmin
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


class Unique(Middleware, LockAdmin):
    """Prevents equal jobs from being queued twice. Pass one to `Producer` and to `Consumer`.

    Settings that are not passed are read from the environment (`FAKTORY_UNIQUE_STORE`,
    `FAKTORY_UNIQUE_POLICIES`, `FAKTORY_UNIQUE_DEFAULT`), else from the TOML file that `config` or
    `FAKTORY_UNIQUE_CONFIG` names.

    It is safe to share between threads, and after a fork. Connections are opened at first use.
    `close`, or the end of a `with` block, closes them.

    Args:
        store: the place where locks live: a `redis://`, `rediss://`, `unix://` or `memory://` URL,
            a ready `redis.Redis`, or a `Store`.
        policies: the policy of each jobtype, by exact name or glob.
        default: the policy of all other jobtypes. Without it, their jobs are not unique.
        config: the path of a TOML file with the same settings.
        hooks: each is called with each `Event`. Events are logged as well.

    Raises:
        InvalidSettings: a setting is unknown or missing, or its value is not allowed. The message
            names it.
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
        settings = load_settings(store=store, policies=policies, default=default, config=config)
        locks = open_store(settings.store)
        # The store of a test's fake Faktory has a clock, by which jobs are due there.
        now: Callable[[], float] = getattr(locks, "now", time.time)
        clock: Callable[[], float] = getattr(locks, "now", time.monotonic)
        given = tuple(hooks)
        all_hooks = Hooks([log_event, *given], None if given else is_logged)
        context = UniqueContext(
            locks, DeferredWrites(locks, clock), PushHistory(), all_hooks, clock
        )
        all_policies = Policies(settings.policies, settings.default)
        # Not by super(): a subclass may have another middleware with a constructor of its own.
        LockAdmin.__init__(self, context, RequestBuilder(context, all_policies, now))
        self._shortest_lease = all_policies.shortest_lease

    def __repr__(self) -> str:
        return f"<Unique {self._context.store!r}>"

    def on_producer(self, client_timeout: float | None) -> None:
        """Warn if a push may outlast the shortest lease: an equal job could then be pushed."""
        if self._shortest_lease < (client_timeout or inf) and self._shortest_lease != inf:
            log.warning(
                "lease is shorter than the client's time-out, so a slow push can lose its lock: "
                "lease=%gs timeout=%s; give the policy a longer lease, or the Client a shorter "
                "timeout",
                self._shortest_lease,
                "none" if client_timeout is None else f"{client_timeout:g}s",
            )

    def on_consumer_start(self) -> None:
        """Log the store, and warn if it is not available. The consumer starts all the same."""
        store = self._context.store
        try:
            store.read([key_prefix(None)])
        except StoreError as exc:
            log.warning('locks are not available, jobs run or wait by policy: error="%s"', exc)
        else:
            log.info("locks: store=%s", repr(store))

    def push(
        self, jobs: Sequence[Payload], call_next: Callable[[Sequence[Payload]], list[PushResult]]
    ) -> list[PushResult]:
        """Push the jobs that are not duplicates; see `BatchPush.run`.

        Raises:
            InvalidJob: Faktory cannot carry a unique job unchanged, or would lose it. Nothing of
                the batch was pushed. For refusals by other middleware see `InvalidJob`.
            StoreError: a lock could not be acquired. `results` has one result for each job.
        """
        requests = self._requests.build(jobs)
        if not requests:
            return call_next([without_stamp(job) for job in jobs])
        return BatchPush(self._context, jobs, requests, call_next).run()

    def fetch(self, job: Payload, call_next: Callable[[Payload], FetchDecision]) -> FetchDecision:
        """Hold the lock of a job that is to run, or release it if `until` is "start".

        If the store is unavailable and the lock cannot be released, the job is requeued: while the
        lock stands, a push is a duplicate of a run that may have missed its change. An exclusive
        job is requeued while an equal job runs. A job that was replaced is dropped.
        """
        decision = call_next(job)
        if isinstance(decision, Requeue):
            return decision
        lock = self._job_lock(job)
        if lock is None:
            self._emit_unsupported_stamp(job)
            return decision
        # A dropped job is over, too: its ACK releases the lock, or `on_fetch` has released it.
        return lock.on_fetch(runs=isinstance(decision, Run)) or decision

    def ack(self, job: Payload, call_next: Callable[[Payload], ReportStatus]) -> ReportStatus:
        """Release the job's lock once Faktory has acknowledged the job within its reservation."""
        return self._report(job, partial(call_next, job), JobLock.on_ack)

    def fail(
        self, job: Payload, error: JobError, call_next: Callable[[Payload, JobError], ReportStatus]
    ) -> ReportStatus:
        """After FAIL, extend the job's lock for its retry, or release it if no retry is left.

        With `on_death="keep"` the lock of a dead job is kept for `ttl`.
        """
        return self._report(job, partial(call_next, job, error), JobLock.on_fail)

    def requeue(
        self, job: Payload, delay: float, call_next: Callable[[Payload, float], ReportStatus]
    ) -> ReportStatus:
        """Extend the job's lock for as long as the copy can wait, before the copy is pushed."""
        lock = self._job_lock(job)
        if lock is None:
            return call_next(job, delay)
        lock.before_report()
        lock.before_requeue(delay)
        status = call_next(job, delay)
        lock.after_requeue(status, delay)
        return status

    def close(self) -> None:
        """Apply deferred writes, if the store is back, and close the connections of the store.

        If the store is unavailable, this retries for about a second, and then drops the writes. A
        later use opens new connections.
        """
        self._context.deferred.close()
        self._context.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _report(
        self,
        job: Payload,
        send: Callable[[], ReportStatus],
        after: Callable[[JobLock, ReportStatus], None],
    ) -> ReportStatus:
        """Send a report, then call `after` with the job's lock and the status of the report."""
        lock = self._job_lock(job)
        if lock is None:
            return send()
        lock.before_report()
        try:
            status = send()
        except BaseException:  # of any kind: the handler has finished anyway
            lock.report_failed()
            raise
        after(lock, status)
        return status

    def _job_lock(self, job: Payload) -> JobLock | None:
        """Return the lock of a fetched job; None if the job has no stamp that can be read."""
        stamp = read_stamp(job)
        return None if stamp is None else JobLock(self._context, job, stamp)

    def _emit_unsupported_stamp(self, job: Payload) -> None:
        """Emit `unsupported_stamp` if the job has a stamp that this version cannot read."""
        stamp = unsupported_stamp(job)
        if stamp is not None:
            key, owner = str(stamp.get("key", "")), str(stamp.get("owner", ""))
            detail = f"version {stamp['v']!r}: this worker reads undamaged stamps up to {VERSION}"
            self._context.hooks.emit(
                Event(EventName.UNSUPPORTED_STAMP, key, owner, job["jid"], job["jobtype"], detail)
            )
