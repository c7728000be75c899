"""A piece of work with all copies of its job, and the sender of a late command."""

from __future__ import annotations

from dataclasses import dataclass, field

# Seconds: the server's shortest reservation, which all jobs of the simulation have.
RESERVE_SECONDS = 60


@dataclass
class Work:
    """All copies of one piece of work: the jobs with one owner.

    Attributes:
        live: jids of the copies on the server.
        starts: how often a handler has started it.
        lapsed: whether its lock lapsed while a copy was live.
        lapse_must_be_reported: whether an event must report that lapse.
        reported_late: whether it ended by the expiry of its reservation, or at a time when it
            may have expired. Then no process knows if it will run again.
        reply_lost: whether its latest command was carried out and the reply was lost.
        processes_involved: names of the processes that pushed or fetched it.
        hold_pending: whether a worker has it, and the store has not applied the hold yet.
        reacquired_by: the process that reacquired its lapsed lock.
        ends: how often a copy has ended, requeues not counted.
        done: whether a handler has succeeded.
        failed: whether a handler has failed.
        died: whether it has used up its retries.
        replaces: the owner of the job that it replaces.
        has_lock: whether it has its lock. A job that replaces another gets it after its push.
        replaced: whether the store says that another job has replaced it.
    """

    owner: str
    key: str
    until: str
    live: set = field(default_factory=set)
    starts: int = 0
    accepted: int = 0
    lapsed: bool = False
    lapse_must_be_reported: bool = False
    reported_late: bool = False
    reply_lost: bool = False
    processes_involved: set = field(default_factory=set)
    hold_pending: bool = False
    reacquired_by: object = None
    ends: int = 0
    done: bool = False
    failed: bool = False
    died: bool = False
    replaces: str | None = None
    has_lock: bool = True
    replaced: bool = False

    @property
    def is_live(self):
        """Return whether a copy is on the server."""
        return bool(self.live)

    @property
    def is_guarded(self):
        """Return whether its lock should prevent a push of an equal job now."""
        locked = self.has_lock and not self.replaced
        return bool(self.live) and locked and not (self.until == "start" and self.starts)


@dataclass(frozen=True)
class LateSender:
    """The sender of a command that is carried out late, in its state when it was sent."""

    name: str
    current_job: dict | None
    owners: set
    since: int
