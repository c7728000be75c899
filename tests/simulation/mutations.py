"""The library, broken on purpose: each mutation undoes one rule of docs/design.md §5.

A mutation is a function that patches the library; its name says what is wrong then. The simulation
must catch each, or it proves nothing.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from unittest import mock

from faktory_unique import Answer, PushStatus, kept, lifecycle, reserved
from faktory_unique.change import Change, held, leased
from faktory_unique.chunk import ChunkLocks
from faktory_unique.claims import Pushes
from faktory_unique.faktory import copies, producer, reservation
from faktory_unique.faktory.handling import Handling
from faktory_unique.holding import Holding
from faktory_unique.kept import Kept
from faktory_unique.lifecycle import Act, Step
from faktory_unique.push import BatchPush

MUTATIONS = {}


def mutation(caught_in, *targets):
    """Makes a mutation of a function that gives what is to stand in the place of the original.

    Args:
        caught_in: the scenario whose exploration catches it.
        targets: pairs of an object and the name of its attribute.
    """

    def register(mutated):
        @contextlib.contextmanager
        def broken():
            with contextlib.ExitStack() as stack:
                for owner, name in targets:
                    original = getattr(owner, name)
                    stack.enter_context(mock.patch.object(owner, name, mutated(original)))
                yield

        MUTATIONS[mutated.__name__.replace("_", " ")] = caught_in, broken
        return mutated

    return register


def _act(step, act):
    """The table with another act at a step of `success`."""
    rows = {**lifecycle.TABLE[step], "success": act}
    return {**lifecycle.TABLE, step: rows}


# ---- what a push does to its lock --------------------------------------------------------------


@mutation("single", (lifecycle, "take"))
def no_lease(_take):
    return lambda key, owner, lease: Change(key, (None,), held(owner), int(lease * 10))


@mutation("bulk", (lifecycle, "confirm"))
def a_confirm_that_overwrites(_confirm):
    def confirm(key, owner, ttl):
        return Change(key, (leased(owner), held(owner), None), held(owner), int(ttl))

    return confirm


@mutation("scheduled", (lifecycle, "confirm"))
def no_confirm(confirm):
    return lambda key, owner, ttl: confirm(key, owner, ttl)._replace(expected=("nobody",))


@mutation("refused_push_after_a_faster_worker", (lifecycle, "give_back"))
def a_refused_push_frees_a_held_lock(_give_back):
    return lambda key, owner: Change(key, (leased(owner), held(owner)), None, 0)


@mutation("single", (lifecycle, "give_back"))
def a_refused_push_keeps_its_lease_for_ever(_give_back):
    return lambda key, owner: Change(key, (leased(owner),), held(owner), 600)


@mutation("two_producers", (ChunkLocks, "_duplicate"))
def a_duplicate_tells_its_own_jid(duplicate):
    def mutated(self, claim, value):
        return replace(duplicate(self, claim, value), jid=claim.submitted_jid)

    return mutated


@mutation("two_producers", (ChunkLocks, "_duplicate"))
def a_duplicate_of_a_lease_is_said_to_be_confirmed(duplicate):
    return lambda self, claim, value: replace(duplicate(self, claim, value), confirmed=True)


@mutation("unknown_push_that_arrived", (ChunkLocks, "settle"))
def an_unknown_push_frees_its_lock(settle):
    def mutated(self, results):
        told = settle(self, results)
        if any(results[i].status is PushStatus.UNKNOWN for i in self.going):
            self.give_back()
        return told

    return mutated


@mutation("two_producers", (BatchPush, "_send"))
def pushed_before_the_lock_is_taken(_send):
    def mutated(self, chunk):
        claims = {i: self._claims[i] for i in chunk}
        answers = self._call_next([claim.stamped() for claim in claims.values()])
        locks = ChunkLocks(self._parts, claims)
        self._results = dict(zip(claims, answers, strict=True)) | locks.take()
        self._results = [self._results.get(i, self._not_sent(i)) for i in range(len(self._jobs))]
        locks.settle(self._results)
        locks.close()
        return True

    return mutated


@mutation("same_job_pushed_again_after_its_lease", (Pushes, "was_unknown"))
def a_jid_whose_push_was_unknown_is_sent_again(_was_unknown):
    return lambda _self, _jid: False


@mutation("same_job_pushed_again_while_it_runs", (Pushes, "has_arrived"))
def a_jid_that_has_arrived_is_sent_again(_has_arrived):
    return lambda _self, _jid: False


@mutation("scheduled", (lifecycle, "wait"))
def a_scheduled_job_has_no_time_to_wait(_wait):
    return lambda _due, _now: 0.0


@mutation("single", (producer, "is_refusal"))
def every_error_counts_as_a_refusal(_is_refusal):
    return lambda _error: True


# ---- what a worker does to the lock of its job -------------------------------------------------


@mutation("single", (lifecycle, "TABLE"))
def no_release(_table):
    return _act(Step.ACK, Act.LEAVE)


@mutation("put_back", (lifecycle, "hold"))
def a_hold_shortens_what_a_put_back_has_extended(hold):
    return lambda stamp, job: hold(stamp, job)._replace(extends=False)


@mutation("death_that_keeps_its_lock", (lifecycle, "is_over"))
def death_frees_what_was_to_be_kept(_is_over):
    return lambda _stamp, after_failure: after_failure is not reserved.Outcome.RETRIED


@mutation("done_where_death_would_keep_its_lock", (lifecycle, "change"))
def an_ack_frees_no_lock_that_death_would_keep(change):
    def mutated(step, stamp, *given):
        keeps = step is Step.ACK and stamp.on_death == "keep"
        return None if keeps else change(step, stamp, *given)

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


@mutation("put_back", (lifecycle, "TABLE"))
def a_put_back_frees_its_lock(_table):
    return _act(Step.PUT_BACK, Act.RELEASE)


@mutation("put_back", (lifecycle, "TABLE"))
def a_put_back_keeps_the_time_its_lock_has(_table):
    return _act(Step.PUT_BACK, Act.LEAVE)


class _Overwriting(Change):
    """A change that happens whatever is found."""

    __slots__ = ()

    def happened(self, _found):
        return True

    def to_mine(self):
        return self


@mutation("refused_push_after_a_faster_worker", (lifecycle, "release"))
def no_owner_check_at_release(release):
    return lambda key, owner: _Overwriting(*release(key, owner))


@mutation("refused_push_after_a_faster_worker", (lifecycle, "hold"))
def a_hold_that_overwrites(hold):
    return lambda stamp, job: _Overwriting(*hold(stamp, job))


@mutation("ack_after_the_rerun_began", (lifecycle, "attempt"))
def held_for_the_reservation_alone(_attempt):
    return lambda _stamp, job: reserved.reserve(job)


@mutation("single", (lifecycle, "attempt"))
def held_for_far_longer_than_an_attempt(attempt):
    return lambda stamp, job: 10 * attempt(stamp, job)


@mutation("death", (lifecycle, "is_over"))
def death_keeps_every_lock(_is_over):
    return lambda _stamp, _outcome: False


@mutation("same_job_pushed_again_while_it_runs", (Holding, "fetched"))
def a_start_lock_that_cannot_be_freed_is_forgotten(fetched):
    def mutated(self):
        fetched(self)
        return True

    return mutated


@mutation("store_away_at_hold_and_release", (Kept, "keep"))
def what_the_store_is_owed_is_forgotten(_keep):
    return lambda _self, _change, _seconds, _made, *, yields: None


@mutation("single", (kept, "run_in_steps"))
def a_hold_takes_an_absent_lock_in_one_step(_run_in_steps):
    return lambda store, changes: store.run(changes)


@mutation("store_away_at_hold_of_a_job_whose_ack_is_not_answered", (Kept, "stop_taking"))
def an_owed_hold_takes_a_lock_after_its_job_ended(_stop_taking):
    return lambda _self, _key, _owner: None


@mutation("bulk", (Holding, "_tell_held"))
def nobody_is_told_that_a_lock_had_lapsed(_tell_held):
    return lambda _self, _change, _found: None


# ---- what is reported, and when ----------------------------------------------------------------


@mutation("ack_after_the_rerun_began", (reservation, "LATE_BAND"))
def an_ack_is_sent_too_late(_band):
    return 10_000


@mutation("fail_around_expiry", (reservation, "RESEND_BAND"), (reservation, "LATE_BAND"))
def a_fail_is_sent_again_past_its_band(_band):
    return 10_000


@mutation("single", (reservation.Reservation, "__init__"))
def acknowledged_before_it_is_done(init):
    def mutated(self, client, job, *given):
        init(self, client, job, *given)
        self.ack(job)

    return mutated


@mutation("put_back_at_once", (reservation, "copy_due_in"))
def a_put_back_under_the_same_jid(copy_due_in):
    return lambda job, delay, now: {**copy_due_in(job, delay, now), "jid": job["jid"]}


@mutation("put_back_after_a_failure", (reservation, "copy_due_in"))
def a_put_back_forgets_the_failures(copy_due_in):
    def mutated(*given):
        return {n: v for n, v in copy_due_in(*given).items() if n != "failure"}

    return mutated


@mutation("put_back", (reservation, "copy_due_in"))
def a_put_back_has_all_retries_again(copy_due_in):
    return lambda *given: {**copy_due_in(*given), "retry": 25}


@mutation("retry_later_on_the_last_attempt", (reservation, "outcome"))
def a_last_attempts_copy_is_not_pushed_again(_outcome):
    return lambda _job: reserved.Outcome.RETRIED


@mutation("put_back", (reservation, "copy_due_in"))
def a_put_back_forgets_its_stamp(copy_due_in):
    return lambda job, delay, now: {**copy_due_in(job, delay, now), "custom": {}}


@mutation("put_back", (reservation.Reservation, "put_back"))
def acknowledged_before_its_copy_is_pushed(_put_back):
    def mutated(self, job, delay):
        answer = self.ack(job)
        self._push(copies.copy_due_in(job, delay, self._client.now()))
        return answer

    return mutated


@mutation("put_back", (reservation.Reservation, "_push"))
def a_copy_whose_push_is_unknown_counts_as_pushed(push):
    def mutated(self, copy):
        answer = push(self, copy)
        return Answer.ACCEPTED if answer is Answer.UNKNOWN else answer

    return mutated


@mutation("put_back", (Handling, "_put_back"))
def a_put_back_job_is_acknowledged_and_no_copy_pushed(_put_back):
    return lambda self, reservation, _delay: self._end(reservation, None)


@mutation("death", (lifecycle, "outcome"), (reservation, "outcome"))
def every_failure_counts_as_retried(_outcome):
    return lambda _job: reserved.Outcome.RETRIED
