"""Trials: short runs with a workload and faults that are aimed at one race, and no other."""

from __future__ import annotations

import os
from typing import NamedTuple

from tests.chaos.fault_plan import Fault
from tests.chaos.settings import EXCLUSIVE, JOBTYPE, REPLACE, RESERVE_FOR
from tests.chaos.workload import RETRIES, Workload

TRIAL_VARIABLE = "CHAOS_TRIAL"
"""The environment variable with the name of a process's trial; it is not set in `make chaos`."""


class Trial(NamedTuple):
    """A short run that meets one race again and again.

    Attributes:
        description: the race, and what must happen.
        seconds: how long producers push and faults are injected.
        workload: the jobs.
        faults: in the order of time.
        warms_up: whether faults wait until each worker has run a job.
    """

    description: str
    seconds: float
    workload: Workload
    faults: tuple[Fault, ...]
    warms_up: bool = True


def _workload(jobtype=JOBTYPE, keys=6, **more):
    """Return a workload of one jobtype, in which no job is due later, fails or is requeued."""
    calm = {"scheduled": {}, "failing": 0, "later": 0, "bulk_share": 0, "long_share": 0}
    fast = {
        "jobtypes": (jobtype,),
        "keys": {jobtype: keys},
        "pause": (0.02, 0.08),
        "runs": (0, 0.2),
    }
    return Workload(**(calm | fast | more))


def _repeat(times, every, kind, target, **parameters):
    """Return the same fault several times, the first after half a second."""
    return tuple(Fault(0.5 + n * every, kind, target, parameters) for n in range(times))


def _hold(target, command, seconds, armed, *, towards="server", until=""):
    """Return a fault that holds each such command, or reply, for some seconds."""
    more = {"towards": towards, "seconds": seconds, "until": until, "armed": armed}
    return Fault(0.5, "hold", target, {"command": command, "times": 10_000, **more})


TRIALS = {
    "late_confirm": Trial(
        "each confirm arrives when a worker has ended the job: it changes nothing",
        10,
        _workload(runs=(0, 0.05)),
        (_hold("redis", "confirm", 0.8, 9, until="release"),),
    ),
    "lost_release_reply": Trial(
        "a release is sent again, when another job has the lock: it changes nothing",
        12,
        _workload(keys=4, pause=(0.01, 0.03), runs=(0.3, 0.6)),
        _repeat(25, 0.4, "cut_reply", "redis", command="release"),
    ),
    "outage_at_release": Trial(
        "the store fails at the release after an ACK: the release is applied later",
        12,
        _workload(),
        _repeat(3, 3, "outage", "redis", command="release", seconds=1.5),
    ),
    "lost_push": Trial(
        "a PUSHB does not arrive, or its reply does not: the outcome is unknown",
        10,
        _workload(workers=1, runs=(0.5, 1)),
        tuple(
            Fault(0.5 + n * 0.5, *kind)
            for n in range(9)
            for kind in [
                ("truncate", "faktory", {"command": "PUSHB", "towards": "server"}),
                ("cut_reply", "faktory", {"command": "PUSHB"}),
            ]
        ),
    ),
    "slow_push": Trial(
        "each PUSHB is slow: equal jobs that are pushed meanwhile are duplicates",
        10,
        _workload(keys=4),
        (_hold("faktory", "PUSHB", 0.3, 9),),
    ),
    "slow_ack": Trial(
        "each ACK is slow: the lock is released after its reply",
        10,
        _workload(keys=4, workers=2),
        (_hold("faktory", "ACK", 1.5, 9),),
    ),
    "slow_bulk": Trial(
        "a bulk's first PUSHB takes half a lease: the second chunk's leases are renewed",
        20,
        _workload(
            producers=6,
            keys=8,
            bulk_share=1,
            bulk_sizes=(6, 6),
            scheduled={JOBTYPE: (1, 9, 10)},  # no worker holds the lock within a lease
            client_timeout=5,
            runs=(5, 6),  # until the job that is pushed beside it is accepted
        ),
        (
            _hold("faktory", "PUSHB", 4.2, 20, towards="client"),
            _hold("redis", "confirm", 0.8, 20),
        ),
        warms_up=False,  # a bulk finds keys for two chunks at the start
    ),
    "stopped_worker": Trial(
        "the worker is stopped for longer than ttl while it has jobs: it has held their locks",
        26,
        _workload(workers=1, runs=(2, 3), keys=3),
        (Fault(2, "stop", "worker", {"index": 0, "group": True, "seconds": 23}),),
    ),
    "stopped_past_reservation": Trial(
        "a worker is stopped for longer than its reservations: it reports none of these jobs",
        RESERVE_FOR + 14,
        _workload(workers=2, runs=(2, 3), keys=3, pause=(0.1, 0.3)),
        (
            Fault(
                1,
                "stop",
                "worker",
                {"index": 0, "group": True, "seconds": RESERVE_FOR + 10.5},
            ),
        ),
    ),
    "killed_worker": Trial(
        "a worker is killed while it has jobs: they run again after their reservation",
        8,
        _workload(workers=2, runs=(1, 2), keys=4),
        tuple(Fault(1 + n / 2, "kill", "worker", {"index": n, "group": True}) for n in range(2)),
    ),
    "requeue": Trial(
        "each job is requeued once: its lock stays, and the copy has another jid",
        10,
        _workload(later=1, keys=12),
        (_hold("faktory", "requeue", 0.5, 9),),
    ),
    "lost_requeue": Trial(
        "the PUSHB of a copy does not arrive: the job is not acknowledged",
        8,
        _workload(later=1),
        _repeat(4, 1.5, "truncate", "faktory", command="requeue", towards="server"),
    ),
    "failures": Trial(
        "jobs fail: a lock lasts until the retry, and is released at death",
        13,
        _workload(retries=(RETRIES, 0, 1), failing=0.5, keys=12),
        (_hold("faktory", "FAIL", 0.5, 12),),
        warms_up=False,
    ),
    "exclusive": Trial(
        "exclusive jobs wait for each other; the store fails at the release of a run lock",
        12,
        _workload(EXCLUSIVE, keys=3, workers=2, runs=(0.5, 1)),
        _repeat(1, 1, "outage", "redis", command="release_run", seconds=1.2),
    ),
    "lost_replacement": Trial(
        "the PUSHB of a replacement never arrives: the job that is there runs",
        10,
        _workload(REPLACE, keys=4, scheduled={REPLACE: (1, 1, 2)}),
        (
            Fault(2, "outage", "faktory", {"command": "PUSHB", "seconds": 5}),
            *(Fault(3 + n / 10, "kill", "producer", {"index": 0, "group": True}) for n in range(3)),
        ),
    ),
}


def current_workload():
    """Return the workload of this process's trial, or that of `make chaos`."""
    name = os.environ.get(TRIAL_VARIABLE)
    return TRIALS[name].workload if name else Workload()
