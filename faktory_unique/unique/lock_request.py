"""Claims: the unique jobs of a push on their way to a lock, and the pushes whose end is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faktory_unique.events import Event
from faktory_unique.locks import lifecycle
from faktory_unique.locks.stamp import Stamp, without_stamp
from faktory_unique.locks.transition import held, leased, owner_of, replaced_by
from faktory_unique.results import PushResult, PushStatus

if TYPE_CHECKING:
    from faktory_unique.events import EventName, Hooks
    from faktory_unique.locks.transition import Transition
    from faktory_unique.middleware import Payload
    from faktory_unique.policy.policy import Policy


@dataclass(slots=True)
class LockRequest:
    """A unique job's claim to its key.

    Attributes:
        job: the payload as it came.
        policy: what unique means for it.
        key: the Redis key of its lock.
        wait: seconds until it is due in its queue, with the margin.
        owner: the value of the lock: the jid under which the work is pushed first.
        jid: the jid to go out under.
        took: whether this push turned an absent lock into a leased one.
        replaces: the owner of the held lock that it goes out in the place of.
        status_if_pushed: what it is called once it is pushed: `unguarded` or `observed` where it goes out
            without a lock.
        why: what for, in words.
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
        """The jid that the caller's Job bears."""
        jid: str = self.job["jid"]
        return jid

    @property
    def ttl(self) -> float:
        """Seconds that the lock lives once the push is confirmed."""
        return self.wait + self.policy.ttl

    @property
    def is_replaceable(self) -> bool:
        """Whether the job steps aside for one that is pushed in its place."""
        return self.policy.enforce and self.policy.on_conflict == "replace"

    def duplicate(
        self, jid: str, *, confirmed: bool, retry_after: float | None = None
    ) -> PushResult:
        """The result where another job has the key: that of this jid."""
        raises = self.policy.enforce and self.policy.on_conflict == "raise"
        return PushResult(
            status=PushStatus.DUPLICATE,
            jid=jid,
            submitted_jid=self.submitted_jid,
            key=self.key,
            confirmed=confirmed,
            retry_after=retry_after,
            error=f"{jid or 'another job'} is there already" if raises else None,
        )

    @property
    def is_guarded(self) -> bool:
        """Whether it goes out with a lease of its own, as things stand."""
        return self.status_if_pushed is PushStatus.PUSHED and self.replaces is None

    @property
    def may_push_unlocked(self) -> bool:
        """Whether the job goes out where the store is away."""
        return self.policy.on_store_error == "push" or not self.policy.enforce

    def take(self) -> Transition:
        """What its push does to the lock before PUSHB."""
        replaceable = self.is_replaceable
        return lifecycle.acquire_transition(
            self.key, self.owner, self.policy.lease, replaceable=replaceable
        )

    def confirm(self) -> Transition:
        """What its push does to the lock once Faktory has accepted the job."""
        if self.replaces is not None:
            return lifecycle.replace_transition(self.key, self.owner, self.replaces, self.ttl)
        return lifecycle.confirm_transition(self.key, self.owner, self.ttl)

    def lost_reason(self, found: str | None, elapsed: float) -> str:
        """Why the lock is not as the confirm should leave it, in words; empty where it is.

        It is held, or freed by a worker that was faster. While the lease lasts nothing else can
        have happened to it; not even where another has it by now.

        Args:
            found: the value that the confirm found.
            elapsed: seconds since before the lock was taken.
        """
        if self.replaces is None:
            if elapsed < self.policy.lease or found in {leased(self.owner), held(self.owner)}:
                return ""
            return f"the push was confirmed after {elapsed:.1f} s, its lease being over"
        if self.confirm().applied(found) or self.owner in {found, replaced_by(found)}:
            return ""
        others = owner_of(replaced_by(found) or found or "")
        return f"{others} has the place of {self.replaces}, too"

    def stamped(self) -> Payload:
        """The payload that goes out; one that is only observed bears no stamp."""
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
        ).written_on(job)

    def tell(self, hooks: Hooks, name: EventName, told: str = "") -> None:
        """Tells hooks what happened to its lock, if any of them makes something of that."""
        if hooks.wants(name):
            hooks.tell(Event(name, self.key, self.owner, self.jid, self.job["jobtype"], told))
