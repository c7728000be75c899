"""`RequestBuilder`: validates the jobs of a push, derives keys, builds the lock requests."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faktory_unique._util import short_repr
from faktory_unique.errors import InvalidJob
from faktory_unique.events import Event, EventName
from faktory_unique.locks.job_validation import check_job, check_jobtype, check_json, due_time
from faktory_unique.locks.keys import lock_key
from faktory_unique.locks.lock_ttl import seconds_until_due, seconds_until_queued
from faktory_unique.locks.stamp import refuse_reserved_name
from faktory_unique.policy.job_options import job_policy

from .batch import CHUNK_SIZE
from .lock_request import LockRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faktory_unique.middleware import Payload
    from faktory_unique.policy.policies import Policies
    from faktory_unique.policy.policy import Policy

    from .context import UniqueContext


class RequestBuilder:
    """Builds the lock requests of the unique jobs of a push.

    Args:
        context: shared by all pushes of one `Unique`.
        policies: the policies of all jobtypes.
        now: returns the present time, in seconds since the epoch.
    """

    def __init__(
        self, context: UniqueContext, policies: Policies, now: Callable[[], float]
    ) -> None:
        self._context = context
        self._policies = policies
        self._now = now

    def build(self, jobs: Sequence[Payload]) -> dict[int, LockRequest]:
        """Validate the unique jobs of a batch. Return their requests, by index in the batch.

        With `enforce=False`, an invalid job gets no request and emits `key_failed`.

        Raises:
            InvalidJob: Faktory cannot carry a job unchanged, would lose it, or would get one jid
                twice. The message names the field and, in a batch, the index of the job.
        """
        requests: dict[int, LockRequest] = {}
        jids: set[str] = set()
        now = datetime.fromtimestamp(self._now(), UTC)
        for i, job in enumerate(jobs):
            policy = self._policies.for_jobtype(job["jobtype"])
            try:
                request = self._request(job, policy, now)
            except InvalidJob as exc:
                if policy is not None and not policy.enforce:
                    self._emit_key_failed(job, exc)
                elif len(jobs) == 1:
                    raise
                else:
                    raise InvalidJob(f"jobs[{i}].{exc}") from exc
                request = None
            if request is not None:
                if not request.policy.enforce and request.jid in jids:
                    request.use_new_jid()  # an observing policy refuses nothing
                jids.add(request.jid)
                requests[i] = request
            elif len(jobs) > CHUNK_SIZE:  # it may be sent after a chunk that is already pushed
                check_json(job)
        if len(jobs) > 1 and any(request.policy.enforce for request in requests.values()):
            _refuse_repeated_jids(
                [requests[i].jid if i in requests else job["jid"] for i, job in enumerate(jobs)]
            )
        return requests

    def key(self, job: Payload) -> str:
        """Return the Redis key of a job's lock.

        Raises:
            InvalidJob: the job is not unique, or no key can be computed.
        """
        jobtype = check_jobtype(job["jobtype"])
        policy = job_policy(job, self._policies.for_jobtype(jobtype))
        if policy is None:
            raise InvalidJob(
                f"jobtype: {short_repr(jobtype)} is not unique, so there is no lock; give it a "
                "policy, or pass the custom= of its jobs, with unique_for"
            )
        return lock_key(policy, job)

    def names(self, jobtype: str) -> tuple[str, ...]:
        """Return the names that keys of a jobtype can have: the jobtype, and its policy's scope.

        The key of a job with its own `unique_for` has the jobtype, even if the policy has a scope.

        Raises:
            InvalidJob: the jobtype is empty or not a str.
        """
        policy = self._policies.for_jobtype(check_jobtype(jobtype))
        return (jobtype,) if policy is None or policy.scope is None else (policy.scope, jobtype)

    def _request(self, job: Payload, policy: Policy | None, now: datetime) -> LockRequest | None:
        """Return the request of a valid job; None if the job is not unique."""
        policy = job_policy(job, policy)
        if policy is None:
            return None
        check_job(job)
        refuse_reserved_name(job)
        # A TTL that is not renewed counts from when the job is due, without a margin.
        wait = (seconds_until_queued if policy.renew else seconds_until_due)(due_time(job), now)
        owner, jid = self._owner_and_jid(job["jid"])
        return LockRequest(job, policy, lock_key(policy, job), wait, owner, jid)

    def _owner_and_jid(self, jid: str) -> tuple[str, str]:
        """Return the owner and the jid of a push: both are the job's own jid in the usual case.

        After a push of this jid with an unknown outcome, the job keeps the owner of that push. If a
        job of this jid was pushed, owner and jid are new.
        """
        owner = self._context.pushes.owner_of_unknown(jid)
        if owner is not None:
            return owner, jid
        if not self._context.pushes.was_pushed(jid):
            return jid, jid
        fresh = uuid.uuid4().hex
        return fresh, fresh

    def _emit_key_failed(self, job: Payload, exc: InvalidJob) -> None:
        jid, jobtype = str(job["jid"]), job["jobtype"]
        self._context.hooks.emit(Event(EventName.KEY_FAILED, "", jid, jid, jobtype, str(exc)))


def _refuse_repeated_jids(jids: Sequence[str]) -> None:
    """Raise InvalidJob if a jid occurs twice.

    Faktory replies to PUSHB by jid, and two jobs of one jid destroy each other's reservation.
    """
    seen: set[str] = set()
    for i, jid in enumerate(jids):
        if jid in seen:
            raise InvalidJob(
                f"jobs[{i}].jid: {short_repr(jid)} occurs twice in this batch; let Job set it"
            )
        seen.add(jid)
