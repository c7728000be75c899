"""What a worker does to the lock of its job, done wrong."""

from __future__ import annotations

from faktory_unique.locks import lifecycle, server_rules
from faktory_unique.locks.lifecycle import Act, Step
from faktory_unique.locks.transition import Transition
from faktory_unique.stores import deferred
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.unique.job_lock import JobLock
from tests.simulation.mutating import mutation


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
def death_frees_what_was_to_be_kept(_is_over):
    return lambda _stamp, after_failure: after_failure is not server_rules.FailureOutcome.RETRIED


@mutation("done_where_death_would_keep_its_lock", (lifecycle, "transition_for"))
def an_ack_frees_no_lock_that_death_would_keep(transition):
    def mutated(step, stamp, *given):
        keeps = step is Step.ACK and stamp.on_death == "keep"
        return None if keeps else transition(step, stamp, *given)

    return mutated


@mutation("late_fail", (lifecycle, "TABLE"))
def no_hold(_table):
    return _act(Step.FETCH, Act.LEAVE)


@mutation("retry", (lifecycle, "TABLE"))
def a_failed_job_frees_its_lock(_table):
    return _act(Step.FAIL, Act.RELEASE)


@mutation("late_ack", (lifecycle, "TABLE"))
def a_late_ack_frees_the_lock(_table):
    return _act(Step.ACK_LATE, Act.RELEASE)


@mutation("single", (lifecycle, "TABLE"))
def freed_when_it_is_fetched(_table):
    return _act(Step.FETCH, Act.RELEASE)


@mutation("requeue", (lifecycle, "TABLE"))
def a_requeue_frees_its_lock(_table):
    return _act(Step.REQUEUE, Act.RELEASE)


@mutation("requeue", (lifecycle, "TABLE"))
def a_requeue_keeps_the_time_its_lock_has(_table):
    return _act(Step.REQUEUE, Act.LEAVE)


class _Overwriting(Transition):
    """A change that happens whatever is found."""

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


@mutation("ack_after_the_rerun_began", (lifecycle, "attempt_seconds"))
def held_for_the_reservation_alone(_attempt):
    return lambda _stamp, job: server_rules.expiry_noticed_after(job)


@mutation("single", (lifecycle, "attempt_seconds"))
def held_for_far_longer_than_an_attempt(attempt):
    return lambda stamp, job: 10 * attempt(stamp, job)


@mutation("death", (lifecycle, "ends_lock"))
def death_keeps_every_lock(_is_over):
    return lambda _stamp, _outcome: False


@mutation("same_job_pushed_again_while_it_runs", (JobLock, "fetched"))
def a_start_lock_that_cannot_be_freed_is_forgotten(fetched):
    def mutated(self, *, runs):
        fetched(self, runs=runs)

    return mutated


@mutation("store_away_at_hold_and_release", (DeferredWrites, "defer"))
def what_the_store_is_owed_is_forgotten(_keep):
    return lambda _self, _change, _seconds, _made, *, yields: None


@mutation("single", (deferred, "run_in_two_steps"))
def a_hold_takes_an_absent_lock_in_one_step(_run_in_steps):
    return lambda store, transitions: store.run(transitions)


@mutation(
    "store_away_at_hold_of_a_job_whose_ack_is_not_answered", (DeferredWrites, "forbid_acquire")
)
def an_owed_hold_takes_a_lock_after_its_job_ended(_stop_taking):
    return lambda _self, _key, _owner: None


@mutation("bulk", (JobLock, "_tell_held"))
def nobody_is_told_that_a_lock_had_lapsed(_tell_held):
    return lambda _self, _change, _found: None
