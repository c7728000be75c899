"""Bugs that `make chaos-selftest` plants in producers and workers: the chaos run must find each.

Each bug undoes one rule of docs/design.md §5 in the processes of a run. Most of them are mutations
of the simulation, and meet real servers here. Nothing in `faktory_unique` knows of them.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from faktory_unique import PushStatus, ReportStatus
from faktory_unique.client import producer
from faktory_unique.locks import lifecycle
from faktory_unique.locks.transition import Transition, held, leased, read_transition
from faktory_unique.stores import redis
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.unique import job_lock
from faktory_unique.unique.chunk import ChunkPush
from faktory_unique.unique.chunk_locks import ChunkLocks
from faktory_unique.unique.job_lock import JobLock
from faktory_unique.unique.middleware import Unique
from faktory_unique.unique.run_lock import RunLock
from faktory_unique.worker import reservation
from faktory_unique.worker.reservation import Reservation
from tests.simulation import (
    conflict_mutations,
    push_mutations,
    report_mutations,
    run_mutations,
)
from tests.simulation.mutation import mutated

if TYPE_CHECKING:
    from collections.abc import Callable

BUG_VARIABLE = "CHAOS_BUG"
"""The environment variable with the name of the bug that a process has."""


class Bug(NamedTuple):
    """A bug.

    Attributes:
        trial: the name of the trial that finds it.
        damage: the start of a line that the audit prints for the damage that it does.
        mutate: returns the replacement of an attribute, given the attribute.
        targets: pairs of an object and the name of its attribute.
    """

    trial: str
    damage: str
    mutate: Callable
    targets: tuple


class _Unconditional(Transition):
    """A transition that is written whatever the lock's value is."""

    __slots__ = ()

    def applied(self, _found):
        return True


def _overwriting(made):
    return lambda *given: _Unconditional(*made(*given))


def _without_comparison(command_for):
    """Return the function that makes commands for Redis, for unconditional transitions, too."""

    def mutated_command(transition, *, nx_get):
        if not isinstance(transition, _Unconditional):
            return command_for(transition, nx_get=nx_get)
        key, _, value, ttl, *_ = transition
        return ("SET", key, value, "EX", ttl, "GET") if value else ("GETDEL", key)

    return mutated_command


def _for_each(mutations):
    """Return a function that mutates each of several attributes in its own way."""
    return lambda original: mutations[original.__name__](original)


def _no_lease(acquire_or_confirm):
    if acquire_or_confirm.__name__ == "confirm_transition":
        return lambda key, owner, ttl: Transition(key, (leased(owner), None), held(owner), int(ttl))
    return lambda key, _owner, _lease, **_more: read_transition(key)


def _unknown_as_pushed(failed_result):
    def mutated_result(job, status, error):
        if status is PushStatus.UNKNOWN:
            return failed_result(job, PushStatus.PUSHED, None)._replace(confirmed=True)
        return failed_result(job, status, error)

    return mutated_result


def _for_one_process(run_key):
    return lambda key: run_key(f"{key}:{os.getpid()}")


def _released_before_ack(report):
    def mutated_report(self, job, send, after):
        if after is not JobLock.on_ack:
            return report(self, job, send, after)
        lock = self._job_lock(job)
        lock.before_report()
        after(lock, ReportStatus.ACCEPTED)
        return send()

    return mutated_report


_OVERWRITES = {"command_for": _without_comparison}

BUGS = {
    "release_without_owner_check": Bug(
        "lost_release_reply",
        "unexplained overlap",
        _for_each({**_OVERWRITES, "release_transition": _overwriting}),
        ((lifecycle, "release_transition"), (redis, "command_for")),
    ),
    "confirm_overwrites": Bug(
        "late_confirm",
        "blocked",
        _for_each({**_OVERWRITES, "confirm_transition": _overwriting}),
        ((lifecycle, "confirm_transition"), (redis, "command_for")),
    ),
    "unknown_reported_as_pushed": Bug(
        "lost_push", "lost", _unknown_as_pushed, ((producer, "_failed_result"),)
    ),
    "rolled_back_though_unknown": Bug(
        "lost_push",
        "unexplained overlap",
        push_mutations.an_unknown_push_releases_its_lock,
        ((ChunkLocks, "finalize"),),
    ),
    "no_lease": Bug(
        "slow_push",
        "unexplained overlap",
        _no_lease,
        ((lifecycle, "acquire_transition"), (lifecycle, "confirm_transition")),
    ),
    "released_at_fetch": Bug(
        "slow_ack",
        "unexplained overlap",
        run_mutations.a_fetch_releases_the_lock,
        ((lifecycle, "TABLE"),),
    ),
    "released_before_ack": Bug(
        "slow_ack", "unexplained overlap", _released_before_ack, ((Unique, "_report"),)
    ),
    "never_released": Bug(
        "slow_push", "blocked", run_mutations.an_ack_never_releases, ((lifecycle, "TABLE"),)
    ),
    "deferred_release_dropped": Bug(
        "outage_at_release",
        "orphan",
        run_mutations.a_failed_write_is_not_deferred,
        ((DeferredWrites, "defer"),),
    ),
    "chunk_sent_on_an_old_lease": Bug(
        "slow_bulk",
        "unexplained overlap",
        push_mutations.a_stale_chunk_is_sent_without_renewal,
        ((ChunkLocks, "are_stale"),),
    ),
    "no_renewal_at_fetch": Bug(
        "stopped_worker",
        "unexplained overlap",
        run_mutations.a_fetch_never_holds,
        ((lifecycle, "TABLE"),),
    ),
    "ack_sent_late": Bug(
        "stopped_past_reservation",
        "late report",
        report_mutations.an_ack_is_sent_too_late,
        ((reservation, "LATE_GRACE"),),
    ),
    "acknowledged_before_the_run": Bug(
        "killed_worker",
        "lost",
        report_mutations.acknowledged_before_it_is_done,
        ((Reservation, "__init__"),),
    ),
    "requeued_under_the_same_jid": Bug(
        "requeue",
        "same jid",
        report_mutations.a_requeue_under_the_same_jid,
        ((reservation, "copy_due_in"),),
    ),
    "released_at_requeue": Bug(
        "requeue",
        "unexplained overlap",
        run_mutations.a_requeue_releases_its_lock,
        ((lifecycle, "TABLE"),),
    ),
    "unknown_copy_acknowledged": Bug(
        "lost_requeue",
        "lost",
        report_mutations.a_copy_whose_push_is_unknown_counts_as_pushed,
        ((Reservation, "_push"),),
    ),
    "acknowledged_before_the_copy": Bug(
        "lost_requeue",
        "lost",
        report_mutations.acknowledged_before_its_copy_is_pushed,
        ((Reservation, "requeue"),),
    ),
    "released_at_fail": Bug(
        "failures",
        "unexplained overlap",
        run_mutations.a_failed_job_releases_its_lock,
        ((lifecycle, "TABLE"),),
    ),
    "kept_at_death": Bug(
        "failures", "blocked", run_mutations.death_keeps_every_lock, ((lifecycle, "ends_lock"),)
    ),
    "run_lock_never_released": Bug(
        "exclusive",
        "held up",
        conflict_mutations.a_run_lock_is_never_released,
        ((RunLock, "release"),),
    ),
    "run_lock_of_one_process": Bug(
        "exclusive", "unexplained overlap", _for_one_process, ((lifecycle, "run_key"),)
    ),
    "superseded_before_the_push": Bug(
        "lost_replacement",
        "superseded by no job",
        conflict_mutations.a_job_is_replaced_before_the_push,
        ((ChunkPush, "send"),),
    ),
    "superseded_job_runs": Bug(
        "lost_replacement",
        "unexplained overlap",
        conflict_mutations.a_replaced_job_runs,
        ((job_lock, "meaning_of"),),
    ),
}


def planted_bug():
    """Return a context in which this process has the bug that the environment names, if any."""
    name = os.environ.get(BUG_VARIABLE)
    return mutated(BUGS[name].mutate, *BUGS[name].targets) if name else contextlib.nullcontext()
