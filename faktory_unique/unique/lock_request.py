"""`LockRequest`: a unique job that is being pushed: its owner, jid, stamped payload and writes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faktory_unique.events import Event, EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.stamp import Stamp, without_stamp
from faktory_unique.results import PushStatus

if TYPE_CHECKING:
    from faktory_unique.events import Hooks
    from faktory_unique.locks.transition import Transition
    from faktory_unique.middleware import Payload
    from faktory_unique.policy.policy import Policy


@dataclass(slots=True)
class LockRequest:
    """A unique job that is to be pushed, and the state of its lock.

    Only the methods of this class change a request.

    Attributes:
        job: the payload as the caller pushed it.
        policy: the policy of the job.
        key: the Redis key of its lock.
        wait: seconds until the job is in its queue, with a margin if the policy says `renew`.
        owner: the owner of the lock: the jid under which the work is first pushed.
        jid: the jid under which the job is sent now.
        acquired: whether this push turned an absent lock into a leased one.
        replaces: the owner of the job that is replaced; None if none is.
        status_if_pushed: the status of the job's result once it is pushed: `pushed`, or `unguarded`
            or `observed` if it has no lock.
        reason: why the job has no lock; None if it has one.
    """

    job: Payload
    policy: Policy
    key: str
    wait: float
    owner: str
    jid: str
    acquired: bool = False
    replaces: str | None = None
    status_if_pushed: PushStatus = PushStatus.PUSHED
    reason: str | None = None

    @property
    def submitted_jid(self) -> str:
        """The jid of the caller's Job."""
        jid: str = self.job["jid"]
        return jid

    @property
    def ttl(self) -> float:
        """Seconds that the lock lives once the push is confirmed."""
        return self.wait + self.policy.ttl

    @property
    def is_replaceable(self) -> bool:
        """Whether a newer job of its key can replace this job."""
        return self.policy.enforce and self.policy.on_conflict == "replace"

    @property
    def has_lease(self) -> bool:
        """Whether the job is sent with a lease: it does not go unlocked, and replaces none."""
        return self.status_if_pushed is PushStatus.PUSHED and self.replaces is None

    @property
    def may_push_unlocked(self) -> bool:
        """Whether the job is pushed even if the store is unavailable."""
        return self.policy.on_store_error == "push" or not self.policy.enforce

    def use_new_owner(self) -> None:
        """Give the job a new owner, which is its new jid, too: it becomes other work."""
        self.owner = self.jid = uuid.uuid4().hex

    def use_new_jid(self) -> None:
        """Give the job a new jid for the same owner: its old jid may have been sent."""
        self.jid = uuid.uuid4().hex

    def mark_acquired(self) -> None:
        """Record that this push has turned an absent lock into a leased one."""
        self.acquired = True

    def replace_holder(self, owner: str) -> None:
        """Record that this job replaces the job that has the lock, once this one is pushed."""
        self.replaces = owner

    def go_unlocked(self, hooks: Hooks, status: PushStatus, reason: str) -> None:
        """Record that the job is pushed without a lock, and emit the event before the send.

        Args:
            hooks: get the event.
            status: `UNGUARDED` or `OBSERVED`. The event has the same name.
            reason: why the job has no lock.
        """
        self.status_if_pushed, self.reason = status, reason
        self.emit(hooks, EventName(status), reason)

    def acquire_transition(self) -> Transition:
        """Return the transition that acquires the lock, before PUSHB."""
        replaceable = self.is_replaceable
        return lifecycle.acquire_transition(
            self.key, self.owner, self.policy.lease, replaceable=replaceable
        )

    def renew_transition(self) -> Transition:
        """Return the transition that renews the lease, before PUSHB."""
        return lifecycle.renew_transition(self.key, self.owner, self.policy.lease)

    def confirm_transition(self) -> Transition:
        """Return the transition for a job that Faktory has accepted: a confirm or a swap."""
        if self.replaces is not None:
            return lifecycle.swap_transition(self.key, self.owner, self.replaces, self.ttl)
        return lifecycle.confirm_transition(self.key, self.owner, self.ttl)

    def rollback_transition(self) -> Transition:
        """Return the transition that rolls the lock back: the job was certainly not pushed."""
        return lifecycle.rollback_transition(self.key, self.owner)

    def payload(self) -> Payload:
        """Return the payload that is sent: with a stamp, unless the job is observed."""
        policy, job = self.policy, {**self.job, "jid": self.jid}
        if self.status_if_pushed is PushStatus.OBSERVED:
            return without_stamp(job)
        enforce = policy.enforce
        return Stamp(
            key=self.key,
            owner=self.owner,
            until=policy.until,
            ttl=policy.ttl,
            renew=policy.renew,
            on_death=policy.on_death,
            enforce=enforce,
            exclusive=enforce and policy.exclusive,
            replaceable=self.is_replaceable,
            replaces=self.replaces,
        ).stamped_copy(job)

    def emit(self, hooks: Hooks, name: EventName, detail: str = "") -> None:
        """Emit an event about the lock, if any hook uses it."""
        if hooks.wants(name):
            hooks.emit(Event(name, self.key, self.owner, self.jid, self.job["jobtype"], detail))
