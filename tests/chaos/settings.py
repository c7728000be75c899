"""What the run's producers and workers have in common, and the accounts know of."""

from __future__ import annotations

from faktory_unique import Policy
from faktory_unique.locks.keys import lock_key

JOBTYPE = "Chaos"
EXCLUSIVE = "ChaosExclusive"
REPLACE = "ChaosReplace"

TTL = 20
LEASE = 10
RESERVE_FOR = 60
"""The least that the server grants."""

CLIENT_TIMEOUT = 3
"""Seconds of a client's call; a lease is longer."""

POLICIES = {
    JOBTYPE: Policy(ttl=TTL, lease=LEASE),
    EXCLUSIVE: Policy(ttl=TTL, lease=LEASE, until="start", exclusive=True),
    REPLACE: Policy(ttl=TTL, lease=LEASE, on_conflict="replace"),
}

KEYS = {JOBTYPE: 40, EXCLUSIVE: 5, REPLACE: 10}
"""How many there are of each: few, so that jobs meet."""

PRODUCERS = 3
WORKERS = 3
SLOTS = 2
GRACE = 2
"""Seconds that a worker's jobs have to end when it is stopped; a few take longer."""

ENDING = 25
"""Seconds within which a process must have ended after SIGTERM: a worker's FETCH in flight (7),
which runs beside the grace period, what it hands back (3.5), its processes (1), what it still owes
the store (2) and its last report (3), with room for a machine that is busy."""


def key_of(jobtype, number):
    """The lock's key for the job of this jobtype with this argument."""
    return lock_key(POLICIES[jobtype], {"jobtype": jobtype, "args": [number]})


def is_of(key, jobtype):
    """Whether this is the key of a lock of the jobtype's."""
    return f":{jobtype}:" in key
