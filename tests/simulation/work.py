"""A piece of work, with all the copies of its job, and who does something for it."""

from __future__ import annotations

from dataclasses import dataclass, field

# Seconds: the server's shortest reservation, which all jobs here have.
RESERVED = 60


@dataclass
class Work:
    """All copies of one piece of work: those with one owner.

    Attributes:
        live: jids on the server.
        begun: how often a handler has begun it.
        lapsed: whether its lock ran out while it lived.
        must_be_told: whether somebody must have told of that.
        reported_late: whether it ended by its reservation's expiry, or when that could have been:
            nobody knows then whether it will run again.
        unanswered: whether the last word about it was carried out, and its answer lost.
        touched: who had to do with it.
        unheld: whether a worker has it whose hold the store has not carried out.
        taken_anew: by whom its lock was taken when it had lapsed.
        ends: how often a copy has come to its end, one that was put back not counted.
        done: whether a handler came to a good end.
        failed: whether one came to a bad end.
        died: whether it has run out of retries.
        replaces: the owner in whose place it was pushed.
        in_place: whether it has its lock: what replaces another gets it when it has been pushed.
        replaced: whether the store says that another was pushed in its place.
    """

    owner: str
    key: str
    until: str
    live: set = field(default_factory=set)
    begun: int = 0
    accepted: int = 0
    lapsed: bool = False
    must_be_told: bool = False
    reported_late: bool = False
    unanswered: bool = False
    touched: set = field(default_factory=set)
    unheld: bool = False
    taken_anew: object = None
    ends: int = 0
    done: bool = False
    failed: bool = False
    died: bool = False
    replaces: str | None = None
    in_place: bool = True
    replaced: bool = False

    @property
    def is_live(self):
        """Whether a copy is on the server."""
        return bool(self.live)

    @property
    def is_guarded(self):
        """Whether an equal may not be pushed now."""
        has_lock = self.in_place and not self.replaced
        return bool(self.live) and has_lock and not (self.until == "start" and self.begun)


@dataclass(frozen=True)
class Sent:
    """Who has sent what is carried out late, and when: what it might do then."""

    name: str
    works_on: dict | None
    owners: set
    since: int
