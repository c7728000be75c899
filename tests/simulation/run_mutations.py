"""Mutations of the worker's side: the lock writes of a fetched job."""

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
    """Return the life-cycle table with another act at one step of until="success"."""
    rows = {**lifecycle.TABLE[step], "success": act}
    return {**lifecycle.TABLE, step: rows}


@mutation("single", (lifecycle, "TABLE"))
def an_ack_never_releases(_table):
    return _act(Step.ACK, Act.LEAVE)


@mutation("requeue", (lifecycle, "hold_transition"))
def a_hold_shortens_a_requeues_extension(hold):
    return lambda stamp, job: hold(stamp, job)._replace(extends=False)


@mutation("death_keeps_the_lock", (lifecycle, "ends_lock"))
def death_releases_despite_keep(_ends_lock):
    return lambda _stamp, outcome: outcome is not server_rules.FailureOutcome.RETRIED


@mutation("success_with_locks_kept_on_death", (lifecycle, "transition_for"))
def an_ack_keeps_the_lock_if_death_would(transition_for):
    def mutated(step, stamp, *given):
        keeps = step is Step.ACK and stamp.on_death == "keep"
        return None if keeps else transition_for(step, stamp, *given)

    return mutated


@mutation("late_fail", (lifecycle, "TABLE"))
def a_fetch_never_holds(_table):
    return _act(Step.FETCH, Act.LEAVE)


@mutation("retry", (lifecycle, "TABLE"))
def a_failed_job_releases_its_lock(_table):
    return _act(Step.FAIL, Act.RELEASE)


@mutation("late_ack", (lifecycle, "TABLE"))
def a_late_ack_releases_the_lock(_table):
    return _act(Step.ACK_LATE, Act.RELEASE)


@mutation("single", (lifecycle, "TABLE"))
def a_fetch_releases_the_lock(_table):
    return _act(Step.FETCH, Act.RELEASE)


@mutation("requeue", (lifecycle, "TABLE"))
def a_requeue_releases_its_lock(_table):
    return _act(Step.REQUEUE, Act.RELEASE)


@mutation("requeue", (lifecycle, "TABLE"))
def a_requeue_does_not_extend_its_lock(_table):
    return _act(Step.REQUEUE, Act.LEAVE)


class _Overwriting(Transition):
    """A transition that applies to any value."""

    __slots__ = ()

    def applied(self, _found):
        return True

    def without_acquire(self):
        return self


@mutation("refused_push_after_a_faster_worker", (lifecycle, "release_transition"))
def a_release_ignores_the_owner(release):
    return lambda key, owner: _Overwriting(*release(key, owner))


@mutation("refused_push_after_a_faster_worker", (lifecycle, "hold_transition"))
def a_hold_overwrites_any_value(hold):
    return lambda stamp, job: _Overwriting(*hold(stamp, job))


@mutation(
    "ack_after_the_rerun_began", (lifecycle, "attempt_seconds"), (job_lock, "attempt_seconds")
)
def a_hold_covers_the_reservation_only(_attempt_seconds):
    return lambda _stamp, job: server_rules.expiry_noticed_after(job)


@mutation("single", (lifecycle, "attempt_seconds"))
def a_hold_lasts_ten_attempts(attempt_seconds):
    return lambda stamp, job: 10 * attempt_seconds(stamp, job)


@mutation("death", (lifecycle, "ends_lock"))
def death_keeps_every_lock(_ends_lock):
    return lambda _stamp, _outcome: False


@mutation("same_job_pushed_again_while_it_runs", (JobLock, "on_fetch"))
def a_failed_release_at_start_is_ignored(on_fetch):
    def mutated(self, *, runs):
        on_fetch(self, runs=runs)

    return mutated


@mutation("store_away_at_hold_and_release", (DeferredWrites, "defer"))
def a_failed_write_is_not_deferred(_defer):
    return lambda _self, *_args, yields: None


@mutation("single", (deferred, "run_in_two_steps"))
def a_hold_acquires_an_absent_lock_in_one_step(_two_steps):
    return lambda store, transitions: store.run(transitions)


@mutation("store_away_at_hold_and_ack_reply_lost", (DeferredWrites, "forbid_acquire"))
def a_deferred_hold_acquires_a_lock_after_its_job_ended(_forbid):
    return lambda _self, _key, _owner: None


@mutation("bulk", (replies, "_meaning_of_hold"))
def a_lapse_is_not_reported(_meaning_of_hold):
    return lambda _stamp, _transition, _found: replies.NO_MEANING
