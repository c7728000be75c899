"""Settings of the chaos run: policies, time-outs, sizes."""

from __future__ import annotations

from faktory_unique import Policy
from faktory_unique.locks.keys import lock_key

JOBTYPE = "Chaos"
EXCLUSIVE = "ChaosExclusive"
REPLACE = "ChaosReplace"

TTL = 20
LEASE = 8
RESERVE_FOR = 60
"""The shortest reservation that the server grants, in seconds."""

CLIENT_TIMEOUT = 3
"""Seconds that a client waits for a reply: less than half a lease (docs/design.md 5.76)."""

CHUNK_SIZE = 3
"""Jobs in a chunk of a bulk, so that a small bulk has several."""

POLICIES = {
    JOBTYPE: Policy(ttl=TTL, lease=LEASE),
    EXCLUSIVE: Policy(ttl=TTL, lease=LEASE, until="start", exclusive=True),
    REPLACE: Policy(ttl=TTL, lease=LEASE, on_conflict="replace"),
}

CONCURRENCY = 2
GRACE_PERIOD = 2
"""Seconds that running jobs get when their worker stops; a few take longer."""

UNGUARDED_PRODUCER = 0
"""Number of the producer that pushes unguarded while the store is unavailable."""

STOP_TIMEOUT = 25
"""Seconds within which a process must exit after SIGTERM.

For a worker: the FETCH in flight (7), which overlaps the grace period, requeues (3.5), its child
processes (1), deferred lock writes (2) and its last report (3), with room for a busy machine.
"""


def may_push_unguarded(producer):
    """Return whether a producer with this name pushes unguarded if the store is unavailable."""
    return producer.startswith(f"producer-{UNGUARDED_PRODUCER}.")


def key_of(jobtype, number):
    """Return the lock key of the job of this jobtype with this argument."""
    return lock_key(POLICIES[jobtype], {"jobtype": jobtype, "args": [number]})


def has_jobtype(key, jobtype):
    """Return whether this lock key belongs to the jobtype."""
    return f":{jobtype}:" in key
