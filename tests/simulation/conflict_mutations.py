"""Mutations of `on_conflict="replace"` and `exclusive=True`."""

from __future__ import annotations

from faktory_unique import Drop, PushStatus, Requeue
from faktory_unique.locks import lifecycle
from faktory_unique.locks.keys import run_key
from faktory_unique.locks.lifecycle import Act, Step
from faktory_unique.locks.replies import Meaning
from faktory_unique.locks.server_rules import expiry_noticed_after
from faktory_unique.locks.transition import owner_of, read_transition
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.unique import chunk_locks, job_lock
from faktory_unique.unique.chunk import ChunkPush
from faktory_unique.unique.chunk_locks import ChunkLocks
from faktory_unique.unique.job_lock import JobLock
from faktory_unique.unique.lock_request import LockRequest
from faktory_unique.unique.run_lock import RunLock
from tests.simulation.mutation import mutation


@mutation("replaced_in_its_queue", (MemoryStore, "_write_tombstone"))
def a_replacement_writes_no_tombstone(_write_tombstone):
    return lambda _self, _transition, _replaced, _lock: None


@mutation("replaced_in_its_queue", (lifecycle, "swap_transition"))
def a_replaced_job_keeps_its_lock(swap):
    return lambda *given: swap(*given)._replace(expected=("nobody",), replaces=None, once=False)


@mutation("replaced_after_the_new_job_ended", (lifecycle, "swap_transition"))
def a_late_swap_ignores_the_tombstone(swap):
    return lambda *given: swap(*given)._replace(once=False)


@mutation("replaced_after_the_new_job_ended", (lifecycle, "transition_for"))
def a_fetched_replacement_writes_no_tombstone(transition):
    def mutated(step, *given):
        made = transition(step, *given)
        return made and made._replace(replaces=None)

    return mutated


@mutation("replaced_by_a_refused_push", (ChunkPush, "send"))
def a_job_is_replaced_before_the_push(send):
    def mutated(self):
        for request in self._locks.included.values():
            if request.replaces:
                self._locks._context.store.run([request.confirm_transition()])
        send(self)

    return mutated


@mutation("replaced_by_a_refused_push", (ChunkLocks, "finalize"))
def a_refused_push_replaces_a_job(finalize):
    def mutated(self, results):
        for i, request in self.included.items():
            if request.replaces and results[i].status is PushStatus.REFUSED:
                self._context.store.run([request.confirm_transition()])
        return finalize(self, results)

    return mutated


@mutation("replaced_job_pushed_again", (LockRequest, "acquire_transition"))
def a_replaced_owner_acquires_its_lock_again(acquire):
    return lambda self: acquire(self)._replace(unless_replaced=None)


@mutation("replaced_by_two_at_once", (chunk_locks, "lapse_reason"))
def a_second_replacement_is_not_reported(_lapse_reason):
    return lambda _request, _found, _elapsed: ""


@mutation("waited_longer_than_its_ttl", (job_lock, "meaning_of"))
def a_job_is_dropped_for_any_other_owner(meaning_of):
    def mutated(step, stamp, job, transition, found):
        if step is Step.FETCH and found is not None and owner_of(found) != stamp.owner:
            return Meaning(decision=Drop("another job has the lock"))
        return meaning_of(step, stamp, job, transition, found)

    return mutated


@mutation("replaced_in_its_queue", (job_lock, "meaning_of"))
def a_replaced_job_runs(meaning_of):
    return lambda *given: meaning_of(*given)._replace(event=None, decision=None)


@mutation("exclusive_job_waits_for_another", (RunLock, "release"))
def a_run_lock_is_never_released(_release):
    return lambda _self: None


def _running_all_the_same(on_fetch, delay):
    def mutated(self, *, runs):
        decision = on_fetch(self, runs=runs)
        return None if isinstance(decision, Requeue) and decision.delay == delay else decision

    return mutated


@mutation("exclusive_job_waits_for_another", (JobLock, "on_fetch"))
def an_exclusive_job_never_waits(on_fetch):
    return _running_all_the_same(on_fetch, 5)


@mutation("store_away_while_an_exclusive_job_waits", (JobLock, "on_fetch"))
def an_exclusive_job_runs_while_the_store_is_unavailable(on_fetch):
    return _running_all_the_same(on_fetch, 10)


@mutation("exclusive_job_waits_for_another", (lifecycle, "hold_run_transition"))
def a_run_lock_is_not_extended(hold_run_transition):
    return lambda *given: hold_run_transition(*given)._replace(ttl=lifecycle.RUN_LEASE)


@mutation("exclusive_job_waits_for_another", (RunLock, "forget_token"))
def a_waiting_job_releases_the_run_lock(_forget_token):
    def mutated(self):
        [token] = self._context.store.run([read_transition(run_key(self._key))])
        self._context.store.run([lifecycle.release_run_transition(self._key, token)])

    return mutated


@mutation("exclusive_job_waits_for_another", (lifecycle, "acquire_run_transition"))
def a_run_lock_is_acquired_for_the_whole_reservation(acquire_run_transition):
    return lambda *given: acquire_run_transition(*given)._replace(ttl=expiry_noticed_after({}))


@mutation("exclusive_past_its_reservation", (lifecycle, "TABLE"))
def a_job_waiting_for_a_run_lock_is_not_extended(_table):
    rows = {**lifecycle.TABLE[Step.REQUEUE], "start": Act.LEAVE}
    return {**lifecycle.TABLE, Step.REQUEUE: rows}


@mutation("exclusive_job_waits_for_another", (lifecycle, "extend_transition"))
def a_requeue_extends_by_its_delay_alone(extend):
    return lambda stamp, _ttl: extend(stamp, 15 + stamp.ttl)
