"""What jobs that replace or exclude each other do, done wrong."""

from __future__ import annotations

from faktory_unique import Drop, PushStatus, Requeue
from faktory_unique.locks import lifecycle
from faktory_unique.locks.keys import run_key
from faktory_unique.locks.lifecycle import Act, Step
from faktory_unique.locks.server_rules import expiry_noticed_after
from faktory_unique.locks.transition import owner_of, read_transition
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.unique.chunk import ChunkPush
from faktory_unique.unique.chunk_locks import ChunkLocks
from faktory_unique.unique.job_lock import JobLock
from faktory_unique.unique.lock_request import LockRequest
from faktory_unique.unique.run_lock import RunLock
from tests.simulation.mutating import mutation


@mutation("replaced_in_its_queue", (MemoryStore, "_bury"))
def swapped_without_a_tombstone(_bury):
    return lambda _self, _change, _replaced, _lock: None


@mutation("replaced_in_its_queue", (lifecycle, "replace_transition"))
def a_replaced_job_keeps_its_lock(replace):
    return lambda *given: replace(*given)._replace(expected=("nobody",), replaces=None, once=False)


@mutation("swapped_when_all_is_over", (lifecycle, "replace_transition"))
def a_late_swap_heeds_no_tombstone(replace):
    return lambda *given: replace(*given)._replace(once=False)


@mutation("swapped_when_all_is_over", (lifecycle, "transition_for"))
def a_replacing_job_leaves_no_tombstone_when_it_is_fetched(transition):
    def mutated(step, *given):
        made = transition(step, *given)
        return made and made._replace(replaces=None)

    return mutated


@mutation("replaced_by_a_refused_push", (ChunkPush, "send"))
def swapped_before_it_is_pushed(send):
    def mutated(self):
        for claim in self._locks.accepted.values():
            if claim.replaces:
                self._locks._context.store.run([claim.confirm()])
        send(self)

    return mutated


@mutation("replaced_by_a_refused_push", (ChunkLocks, "settle"))
def swapped_for_a_push_that_was_refused(settle):
    def mutated(self, results):
        for i, claim in self.accepted.items():
            if claim.replaces and results[i].status is PushStatus.REFUSED:
                self._context.store.run([claim.confirm()])
        return settle(self, results)

    return mutated


@mutation("a_replaced_job_is_pushed_again", (LockRequest, "take"))
def an_owner_that_was_replaced_goes_out_again(take):
    return lambda self: take(self)._replace(unless_replaced=None)


@mutation("replaced_by_two_at_once", (LockRequest, "lost_reason"))
def nobody_is_told_of_a_place_that_another_has(_amiss):
    return lambda _self, _found, _elapsed: ""


@mutation("waited_longer_than_its_ttl", (JobLock, "_aside"))
def a_job_steps_aside_for_whoever_has_its_lock(aside):
    def mutated(self, found):
        if found is not None and owner_of(found) != self._stamp.owner:
            return Drop("another has it")
        return aside(self, found)

    return mutated


@mutation("replaced_in_its_queue", (JobLock, "_aside"))
def a_replaced_job_runs(_aside):
    return lambda _self, _found: None


@mutation("one_runs_and_one_waits", (RunLock, "end"))
def a_run_lock_is_never_freed(_end):
    return lambda _self: None


def _running_all_the_same(fetched, delay):
    def mutated(self, *, runs):
        instead = fetched(self, runs=runs)
        return None if isinstance(instead, Requeue) and instead.delay == delay else instead

    return mutated


@mutation("one_runs_and_one_waits", (JobLock, "fetched"))
def an_exclusive_job_waits_for_nobody(fetched):
    return _running_all_the_same(fetched, 5)


@mutation("store_away_while_one_runs_and_one_waits", (JobLock, "fetched"))
def an_exclusive_job_runs_where_the_store_is_away(fetched):
    return _running_all_the_same(fetched, 10)


@mutation("one_runs_and_one_waits", (lifecycle, "hold_run_transition"))
def a_run_lock_is_not_held(hold_run_transition):
    return lambda *given: hold_run_transition(*given)._replace(ttl=lifecycle.RUN_LEASE)


@mutation("one_runs_and_one_waits", (RunLock, "discard"))
def a_run_lock_is_freed_by_whoever_waits(_lost):
    def mutated(self):
        [token] = self._context.store.run([read_transition(run_key(self._key))])
        self._context.store.run([lifecycle.release_run_transition(self._key, token)])

    return mutated


@mutation("one_runs_and_one_waits", (lifecycle, "acquire_run_transition"))
def a_run_lock_is_taken_for_the_reservation_at_once(acquire_run_transition):
    return lambda *given: acquire_run_transition(*given)._replace(ttl=expiry_noticed_after({}))


@mutation("exclusive_past_its_reservation", (lifecycle, "TABLE"))
def a_job_that_waits_its_turn_keeps_the_time_its_lock_has(_table):
    rows = {**lifecycle.TABLE[Step.REQUEUE], "start": Act.LEAVE}
    return {**lifecycle.TABLE, Step.REQUEUE: rows}


@mutation("one_runs_and_one_waits", (lifecycle, "extend_transition"))
def a_requeue_extends_by_its_delay_alone(extend):
    return lambda stamp, _ttl: extend(stamp, 15 + stamp.ttl)
