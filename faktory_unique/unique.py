"""`Unique`: the middleware that keeps equal jobs from being queued twice.

On the producer's side it takes a lock before PUSHB and confirms it, or gives it back, by what
Faktory answered; on the worker's side it frees the lock once Faktory has acknowledged the job.
"""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from . import lifecycle
from .chain import Middleware, PutBack
from .claims import Claim, Pushes
from .errors import InvalidJob
from .events import Hooks
from .holding import Holding
from .kept import Kept
from .keys import lock_key
from .logs import log_event
from .parts import Parts
from .policy import Policies
from .push import CHUNK, BatchPush
from .settings import load
from .stamp import read_stamp, without_stamp
from .store import open_store
from .validate import check_job, check_json, due

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import redis

    from .chain import Answer, FetchAnswer, JobError, Payload, PushResult
    from .events import Hook
    from .policy import Policy
    from .store import Store

# Seconds after which a job is tried again whose lock must be freed first, the store being away.
_STORE_AWAY = 10.0


class Unique(Middleware):
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
        self._policies = Policies(settings.policies, settings.default)
        self.store = open_store(settings.store)
        # Of a test's fake Faktory: what is due there is told by its clock.
        self._now: Callable[[], float] = getattr(self.store, "now", time.time)
        clock: Callable[[], float] = getattr(self.store, "now", time.monotonic)
        kept = Kept(self.store, clock)
        self._parts = Parts(self.store, kept, Pushes(), Hooks([log_event, *hooks]), clock)

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
        claims = self._claims(jobs)
        if not claims:
            return call_next([without_stamp(job) for job in jobs])
        return BatchPush(self._parts, jobs, claims, call_next).run()

    def fetch(self, job: Payload, call_next: Callable[[Payload], FetchAnswer]) -> FetchAnswer:
        """Holds the lock of a job that is to run, or frees it where `until` is "start".

        One that cannot be freed, the store being away, is put back: while its lock stands, a push
        would be taken for a duplicate of what this run may have missed.
        """
        decision = call_next(job)
        holding = self._holding(job)
        # A job that is dropped is over, too: its ACK frees the lock, or this has.
        if holding is None or isinstance(decision, PutBack) or holding.fetched():
            return decision
        return PutBack(_STORE_AWAY)

    def ack(self, job: Payload, call_next: Callable[[Payload], Answer]) -> Answer:
        """Frees the job's lock once Faktory has acknowledged it, within its reservation."""
        return self._report(job, partial(call_next, job), Holding.acked)

    def fail(
        self, job: Payload, error: JobError, call_next: Callable[[Payload, JobError], Answer]
    ) -> Answer:
        """Frees the job's lock once Faktory has its FAIL, if that was its last retry."""
        return self._report(job, partial(call_next, job, error), Holding.failed)

    def put_back(
        self, job: Payload, delay: float, call_next: Callable[[Payload, float], Answer]
    ) -> Answer:
        """Has the lock live for as long as the copy can wait."""
        holding = self._holding(job)
        if holding is None:
            return call_next(job, delay)
        holding.ending()
        holding.put_back(delay)
        answer = call_next(job, delay)
        holding.was_put_back(answer, delay)
        return answer

    def close(self) -> None:
        """Makes what the store still owes, if it is back, and closes its connections.

        A later use opens new ones.
        """
        self._parts.kept.give_up()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _report(
        self,
        job: Payload,
        send: Callable[[], Answer],
        follow: Callable[[Holding, Answer], None],
    ) -> Answer:
        """Sends a report, and has the job's lock follow from its answer."""
        holding = self._holding(job)
        if holding is None:
            return send()
        holding.ending()
        answer = send()
        follow(holding, answer)
        return answer

    def _holding(self, job: Payload) -> Holding | None:
        """The lock of a fetched job; None for one that has none, or whose stamp we cannot read."""
        stamp = read_stamp(job)
        return None if stamp is None else Holding(self._parts, job, stamp)

    def _claims(self, jobs: Sequence[Payload]) -> dict[int, Claim]:
        """The claims of the unique jobs, by their place; all of them valid."""
        claims: dict[int, Claim] = {}
        now = datetime.fromtimestamp(self._now(), UTC)
        for i, job in enumerate(jobs):
            policy = self._policies.of(job["jobtype"])
            if policy is None:
                if len(jobs) > CHUNK:  # it may go out behind a chunk that has been pushed already
                    check_json(job)
                continue
            try:
                check_job(job)
                wait = lifecycle.wait(due(job), now)
                claims[i] = Claim(
                    job, policy, lock_key(policy, job), wait, *self._names(job["jid"])
                )
            except InvalidJob as exc:
                if len(jobs) == 1:
                    raise
                raise InvalidJob(f"jobs[{i}].{exc}") from exc
        if claims:
            _refuse_repeated_jids(jobs)
        return claims

    def _names(self, jid: str) -> tuple[str, str]:
        """Owner and jid for a job to be pushed: its own, unless a job of that jid was pushed."""
        if not self._parts.pushes.has_arrived(jid):
            return jid, jid
        fresh = uuid.uuid4().hex
        return fresh, fresh


def _refuse_repeated_jids(jobs: Sequence[Payload]) -> None:
    """PUSHB is answered by jid, and two jobs of one jid destroy each other's reservation."""
    seen: set[str] = set()
    for i, job in enumerate(jobs):
        jid = job["jid"]
        if jid in seen:
            raise InvalidJob(f"jobs[{i}].jid: {jid!r} stands twice in this batch; leave it to Job")
        seen.add(jid)
