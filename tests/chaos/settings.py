"""What the run's producers and workers have in common, and the accounts know of."""

from __future__ import annotations

from faktory_unique import Policy
from faktory_unique.keys import lock_key

JOBTYPE = "Chaos"
KEYS = 40

TTL = 20
LEASE = 10
RESERVE_FOR = 60
"""The least that the server grants."""

CLIENT_TIMEOUT = 3
"""Seconds of a client's call; a lease is longer."""

POLICY = Policy(ttl=TTL, lease=LEASE)

PRODUCERS = 3
WORKERS = 3
SLOTS = 2
GRACE = 2
"""Seconds that a worker's jobs have to end when it is stopped; a few take longer."""

ENDING = 25
"""Seconds within which a process must have ended after SIGTERM: a worker's FETCH in flight (7),
which runs beside the grace period, what it hands back (3.5), its processes (1), what it still owes
the store (2) and its last report (3), with room for a machine that is busy."""


def key_of(number):
    """The lock's key for the job with this argument."""
    return lock_key(POLICY, {"jobtype": JOBTYPE, "args": [number]})
