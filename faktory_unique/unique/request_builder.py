"""Which jobs of a push are unique, and what each of them claims."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faktory_unique.errors import InvalidJob
from faktory_unique.events import Event, EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.job_validation import check_job, check_jobtype, check_json, due
from faktory_unique.locks.keys import lock_key
from faktory_unique.locks.stamp import refuse_another_use
from faktory_unique.policy.job_options import policy_of

from .batch import CHUNK
from .lock_request import LockRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faktory_unique.middleware import Payload
    from faktory_unique.policy.policy import Policies, Policy

    from .context import UniqueContext


class RequestBuilder:
    """Makes the claims of the unique jobs of a push.

    Args:
        parts: those of `Unique`.
        policies: what unique means for each jobtype.
        now: seconds since the epoch.
    """

    def __init__(
        self, context: UniqueContext, policies: Policies, now: Callable[[], float]
    ) -> None:
        self._context = context
        self._policies = policies
        self._now = now

    def build(self, jobs: Sequence[Payload]) -> dict[int, LockRequest]:
        """The claims of the unique jobs, by their place; all of them valid.

        Raises:
            InvalidJob: a job cannot be carried faithfully; the message names what is wrong.
        """
        requests: dict[int, LockRequest] = {}
        jids: set[str] = set()
        now = datetime.fromtimestamp(self._now(), UTC)
        for i, job in enumerate(jobs):
            policy = self._policies.of(job["jobtype"])
            try:
                request = self._claim(job, policy, now)
            except InvalidJob as exc:
                if policy is not None and not policy.enforce:
                    self._tell_key_error(job, exc)
                elif len(jobs) == 1:
                    raise
                else:
                    raise InvalidJob(f"jobs[{i}].{exc}") from exc
                request = None
            if request is not None:
                if not request.policy.enforce and request.jid in jids:
                    request.jid = uuid.uuid4().hex  # nothing is refused, and no jid sent twice
                jids.add(request.jid)
                requests[i] = request
            elif len(jobs) > CHUNK:  # it may go out behind a chunk that has been pushed already
                check_json(job)
        if len(jobs) > 1 and any(request.policy.enforce for request in requests.values()):
            _refuse_repeated_jids(
                [requests[i].jid if i in requests else job["jid"] for i, job in enumerate(jobs)]
            )
        return requests

    def key(self, job: Payload) -> str:
        """The key of a job's work.

        Raises:
            InvalidJob: it has none, since it is not unique, or is impossible.
        """
        jobtype = check_jobtype(job["jobtype"])
        policy = policy_of(job, self._policies.of(jobtype))
        if policy is None:
            raise InvalidJob(
                f"jobtype: {jobtype!r} is not unique, so there is no lock; give it a policy, or "
                "pass custom={'unique_for': …} as its jobs have it where they say so themselves"
            )
        return lock_key(policy, job)

    def names(self, jobtype: str) -> tuple[str, ...]:
        """What stands in the keys of a jobtype: its name, or the scope that it has.

        Of a job that says itself that it is unique, its name in any case.

        Raises:
            InvalidJob: it is no jobtype.
        """
        policy = self._policies.of(check_jobtype(jobtype))
        return (jobtype,) if policy is None or policy.scope is None else (policy.scope, jobtype)

    def _claim(self, job: Payload, policy: Policy | None, now: datetime) -> LockRequest | None:
        policy = policy_of(job, policy)
        if policy is None:
            return None
        check_job(job)
        refuse_another_use(job)
        # Where its time is fixed, nothing is added to it.
        wait = (lifecycle.seconds_until_queued if policy.renew else lifecycle.seconds_until_due)(
            due(job), now
        )
        return LockRequest(job, policy, lock_key(policy, job), wait, *self._names(job["jid"]))

    def _names(self, jid: str) -> tuple[str, str]:
        """Owner and jid for a job to be pushed: its own, unless a job of that jid was pushed.

        One whose push ended unknown has the owner that it went out for then.
        """
        owner = self._context.pushes.owner_of_unknown(jid)
        if owner is not None:
            return owner, jid
        if not self._context.pushes.has_arrived(jid):
            return jid, jid
        fresh = uuid.uuid4().hex
        return fresh, fresh

    def _tell_key_error(self, job: Payload, exc: InvalidJob) -> None:
        jid, jobtype = str(job["jid"]), job["jobtype"]
        self._context.hooks.tell(Event(EventName.KEY_FAILED, "", jid, jid, jobtype, str(exc)))


def _refuse_repeated_jids(jids: Sequence[str]) -> None:
    """PUSHB is answered by jid, and two jobs of one jid destroy each other's reservation."""
    seen: set[str] = set()
    for i, jid in enumerate(jids):
        if jid in seen:
            raise InvalidJob(f"jobs[{i}].jid: {jid!r} stands twice in this batch; leave it to Job")
        seen.add(jid)
