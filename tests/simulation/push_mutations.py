"""Mutations of the producer's side: the lock writes of a push."""

from __future__ import annotations

from unittest import mock

from faktory_unique import PushStatus
from faktory_unique.client import producer
from faktory_unique.locks import lifecycle
from faktory_unique.locks.transition import Transition, held, leased
from faktory_unique.unique import chunk_locks, request_builder
from faktory_unique.unique.chunk import ChunkPush
from faktory_unique.unique.chunk_locks import ChunkLocks
from faktory_unique.unique.push_history import PushHistory
from tests.simulation.mutation import mutation


@mutation("single", (lifecycle, "acquire_transition"))
def a_push_acquires_without_a_lease(_acquire):
    return lambda key, owner, lease, **_more: Transition(key, (None,), held(owner), int(lease * 10))


@mutation("bulk", (lifecycle, "confirm_transition"))
def a_confirm_overwrites_any_value(_confirm):
    def confirm(key, owner, ttl):
        return Transition(key, (leased(owner), held(owner), None), held(owner), int(ttl))

    return confirm


@mutation("scheduled", (lifecycle, "confirm_transition"))
def a_push_never_confirms(confirm):
    return lambda key, owner, ttl: confirm(key, owner, ttl)._replace(expected=("nobody",))


@mutation("refused_push_after_a_faster_worker", (lifecycle, "rollback_transition"))
def a_refused_push_releases_a_held_lock(_rollback):
    return lambda key, owner: Transition(key, (leased(owner), held(owner)), None, 0)


@mutation("single", (lifecycle, "rollback_transition"))
def a_refused_push_keeps_its_lock(_rollback):
    return lambda key, owner: Transition(key, (leased(owner),), held(owner), 600)


@mutation("two_producers", (chunk_locks, "duplicate_of_holder"))
def a_duplicate_returns_its_own_jid(duplicate):
    return lambda request, value: duplicate(request, value)._replace(jid=request.submitted_jid)


@mutation("two_producers", (chunk_locks, "duplicate_of_holder"))
def a_duplicate_of_a_lease_counts_as_confirmed(duplicate):
    return lambda *given: duplicate(*given)._replace(confirmed=True)


@mutation("unknown_push_arrived", (ChunkLocks, "finalize"))
def an_unknown_push_releases_its_lock(finalize):
    def mutated(self, results):
        changed = finalize(self, results)
        if any(results[i].status is PushStatus.UNKNOWN for i in self.included):
            self.roll_back()
        return changed

    return mutated


@mutation("two_producers", (ChunkPush, "acquire"))
def a_job_is_pushed_before_its_lock_is_acquired(acquire):
    def mutated(self):
        results = self._call_next([request.payload() for request in self._requests.values()])
        result_of = dict(zip(self._requests, results, strict=True))
        acquire(self)
        if self._pending is not None:
            self._pending = mock.Mock(receive=lambda: [result_of[i] for i in self._places])

    return mutated


@mutation("slow_replies_to_chunks", (ChunkLocks, "are_stale"))
def a_stale_chunk_is_sent_without_renewal(_are_stale):
    return property(lambda _self: False)


@mutation("same_job_pushed_again_after_its_lease", (PushHistory, "is_unknown"))
def an_unknown_push_is_sent_again_under_its_jid(_is_unknown):
    return lambda _self, _jid: False


@mutation("same_job_pushed_again_while_it_runs", (PushHistory, "was_pushed"))
def a_pushed_job_is_sent_again_under_its_jid(_was_pushed):
    return lambda _self, _jid: False


@mutation("scheduled", (request_builder, "seconds_until_queued"))
def a_scheduled_job_is_locked_without_its_delay(_seconds_until_queued):
    return lambda _due, _now: 0.0


@mutation("single", (producer, "is_refusal"))
def every_error_counts_as_a_refusal(_is_refusal):
    return lambda _error: True
