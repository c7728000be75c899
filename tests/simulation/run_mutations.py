"""Mutations of the worker's side: what a worker writes to the lock of its job, done wrong."""

from __future__ import annotations

from faktory_unique.locks import lifecycle, replies, server_rules
from faktory_unique.locks.lifecycle import Act, Step
from faktory_unique.locks.transition import Transition
from faktory_unique.stores import deferred
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.unique import job_lock
from faktory_unique.unique.job_lock import JobLock
from tests.simulation.mutation import mutation


def _act(step, act):
    """The table with another act at a step of `success`."""
    rows = {**lifecycle.TABLE[step], "success": act}
    return {**lifecycle.TABLE, step: rows}


@mutation("single", (lifecycle, "TABLE"))
def no_release(_table):
    return _act(Step.ACK, Act.LEAVE)


@mutation("requeue", (lifecycle, "hold_transition"))
def a_hold_shortens_what_a_requeue_has_extended(hold):
    return lambda stamp, job: hold(stamp, job)._replace(extends=False)


@mutation("death_that_keeps_its_lock", (lifecycle, "ends_lock"))
def death_releases_a_lock_that_it_keeps(_ends_lock):
    return lambda _stamp, outcome: outcome is not server_rules.FailureOutcome.RETRIED


@mutation("done_where_death_would_keep_its_lock", (lifecycle, "transition_for"))
def an_ack_releases_no_lock_that_death_would_keep(transition_for):
    def mutated(step, stamp, *given):
        keeps = step is Step.ACK and stamp.on_death == "keep"
        return None if keeps else transition_for(step, stamp, *given)

    return mutated


@mutation("late_fail", (lifecycle, "TABLE"))
def no_hold(_table):
    return _act(Step.FETCH, Act.LEAVE)


@mutation("retry", (lifecycle, "TABLE"))
def a_failed_job_releases_its_lock(_table):
    return _act(Step.FAIL, Act.RELEASE)


@mutation("late_ack", (lifecycle, "TABLE"))
def a_late_ack_releases_the_lock(_table):
    return _act(Step.ACK_LATE, Act.RELEASE)


@mutation("single", (lifecycle, "TABLE"))
def released_at_fetch(_table):
    return _act(Step.FETCH, Act.RELEASE)


@mutation("requeue", (lifecycle, "TABLE"))
def a_requeue_releases_its_lock(_table):
    return _act(Step.REQUEUE, Act.RELEASE)


@mutation("requeue", (lifecycle, "TABLE"))
def a_requeue_keeps_the_time_its_lock_has(_table):
    return _act(Step.REQUEUE, Act.LEAVE)


class _Overwriting(Transition):
    """A transition that applies to any value."""

    __slots__ = ()

    def applied(self, _found):
        return True

    def without_acquire(self):
        return self


@mutation("refused_push_after_a_faster_worker", (lifecycle, "release_transition"))
def no_owner_check_at_release(release):
    return lambda key, owner: _Overwriting(*release(key, owner))


@mutation("refused_push_after_a_faster_worker", (lifecycle, "hold_transition"))
def a_hold_that_overwrites(hold):
    return lambda stamp, job: _Overwriting(*hold(stamp, job))


@mutation(
    "ack_after_the_rerun_began", (lifecycle, "attempt_seconds"), (job_lock, "attempt_seconds")
)
def held_for_the_reservation_alone(_attempt_seconds):
    return lambda _stamp, job: server_rules.expiry_noticed_after(job)


@mutation("single", (lifecycle, "attempt_seconds"))
def held_for_far_longer_than_an_attempt(attempt_seconds):
    return lambda stamp, job: 10 * attempt_seconds(stamp, job)


@mutation("death", (lifecycle, "ends_lock"))
def death_keeps_every_lock(_ends_lock):
    return lambda _stamp, _outcome: False


@mutation("same_job_pushed_again_while_it_runs", (JobLock, "on_fetch"))
def a_start_lock_that_cannot_be_released_is_ignored(on_fetch):
    def mutated(self, *, runs):
        on_fetch(self, runs=runs)

    return mutated


@mutation("store_away_at_hold_and_release", (DeferredWrites, "defer"))
def a_failed_write_is_not_deferred(_defer):
    return lambda _self, _transition, _seconds, _on_applied, *, yields: None


@mutation("single", (deferred, "run_in_two_steps"))
def a_hold_acquires_an_absent_lock_in_one_step(_two_steps):
    return lambda store, transitions: store.run(transitions)


@mutation(
    "store_away_at_hold_of_a_job_whose_ack_is_not_answered", (DeferredWrites, "forbid_acquire")
)
def a_deferred_hold_acquires_a_lock_after_its_job_ended(_forbid):
    return lambda _self, _key, _owner: None


@mutation("bulk", (replies, "_meaning_of_hold"))
def no_event_says_that_a_lock_had_lapsed(_meaning_of_hold):
    return lambda _stamp, _transition, _found: replies.NOTHING
