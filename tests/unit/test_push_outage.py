"""Pushes while the store is away at times, and one Job pushed by two threads at once."""

from __future__ import annotations

import os
import threading

import pytest

from faktory_unique import Policy, PushResult, PushStatus, StoreError, StoreUnavailable, Unique
from faktory_unique.locks.transition import read_transition
from faktory_unique.stores.memory import MemoryStore
from tests.patience import PATIENCE

PUSH = Policy(ttl=600, lease=30, on_store_error="push")


class Store(MemoryStore):
    """A store that fails at the named calls, after it has applied `done` transitions."""

    def __init__(self, fail_at=(), done=0):
        super().__init__()
        self.calls = 0
        self.fail_at = fail_at
        self.done = done

    def run(self, transitions):
        self.calls += 1
        if self.calls not in self.fail_at:
            return super().run(transitions)
        super().run(transitions[: self.done])
        error = StoreError("no memory") if self.done else StoreUnavailable("away")
        error.done = tuple(transitions[: self.done])
        raise error


class Faktory:
    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.sent = []

    def __call__(self, jobs):
        self.sent.extend(jobs)
        return [
            PushResult(
                status=self.statuses.pop(0) if self.statuses else PushStatus.PUSHED,
                jid=job["jid"],
                submitted_jid=job["jid"],
            )
            for job in jobs
        ]


def job(n=1, jobtype="Email"):
    return {"jid": f"jid-{n:08}", "jobtype": jobtype, "args": [n], "queue": "q", "retry": 3}


def value(unique, result):
    return unique._context.store.run([read_transition(result.key)])[0]


class TestUnguarded:
    def test_unguarded_job_is_pushed_with_its_stamp_and_reported(self):
        """It has its stamp, so a worker acquires the lock at FETCH."""
        events, faktory = [], Faktory()
        unique = Unique(Store(fail_at={1}), default=PUSH, hooks=[events.append])
        [result] = unique.push([job()], faktory)
        assert result
        assert (result.status, result.confirmed, result.retry_after) == ("unguarded", False, None)
        assert faktory.sent[0]["custom"]["unique"]["owner"] == result.jid == "jid-00000001"
        assert [event.name for event in events] == ["unguarded"]
        assert unique._context.store.calls == 1  # a store that is away is not asked again
        assert value(unique, result) is None

    def test_partly_failed_acquire_is_confirmed_for_applied_locks(self):
        unique = Unique(Store(fail_at={1}, done=1), default=PUSH)
        first, second = unique.push([job(1), job(2)], Faktory())
        assert (first.status, first.confirmed) == (PushStatus.PUSHED, True)
        assert (second.status, second.confirmed) == (PushStatus.UNGUARDED, False)
        assert value(unique, first) == "jid-00000001"

    def test_job_that_must_be_locked_stops_the_batch(self):
        faktory = Faktory()
        unique = Unique(
            Store(fail_at={1}, done=1), default=PUSH, policies={"Payment": Policy(lease=30)}
        )
        with pytest.raises(StoreError) as caught:
            unique.push([job(1), job(2, "Payment")], faktory)
        assert faktory.sent == []
        assert [r.status for r in caught.value.results] == [PushStatus.NOT_SENT] * 2
        assert value(unique, caught.value.results[0]) is None

    def test_follower_of_an_unguarded_job_is_its_duplicate(self):
        unique = Unique(Store(fail_at={1}), default=PUSH)
        first, second = unique.push([job(1), {**job(1), "jid": "jid-00000002"}], Faktory())
        assert first.status is PushStatus.UNGUARDED
        assert (second.status, second.jid) == (PushStatus.DUPLICATE, first.jid)

    @pytest.mark.parametrize("fail_at", [{3}, {4}])
    def test_unguarded_push_after_an_unknown_one_gets_a_new_jid(self, fail_at):
        """Its own jid may be on the server. Either the acquire fails, or the renewal after it."""
        faktory = Faktory(PushStatus.UNKNOWN)
        unique = Unique(Store(fail_at=fail_at), default=PUSH)
        unique.push([job()], faktory)
        unique._context.store.calls = 2
        [again] = unique.push([job()], faktory)
        assert again.status is PushStatus.UNGUARDED
        assert again.jid != again.submitted_jid == "jid-00000001"

    def test_refused_unguarded_job_rolls_nothing_back(self):
        unique = Unique(Store(fail_at={1}), default=PUSH)
        [result] = unique.push([job()], Faktory(PushStatus.REFUSED))
        assert result.status is PushStatus.REFUSED
        assert unique._context.store.calls == 1


class TestDeferredWrites:
    def test_confirm_is_applied_in_the_background(self, wait_for):
        """No other push is needed, and none is delayed by it."""
        unique = Unique(Store(fail_at={2}), default=PUSH)
        [first] = unique.push([job()], Faktory())
        assert (first.confirmed, first.retry_after) == (False, 30)
        wait_for(lambda: value(unique, first) == "jid-00000001")

    def test_rollback_is_applied_in_the_background(self, wait_for):
        events = []
        unique = Unique(Store(fail_at={2}), default=PUSH, hooks=[events.append])
        [first] = unique.push([job()], Faktory(PushStatus.REFUSED))
        wait_for(lambda: value(unique, first) is None)
        wait_for(lambda: "released" in [event.name for event in events])
        emitted = [(event.name, event.jid) for event in events]
        assert ("store_error", "jid-00000001") in emitted
        assert ("released", "jid-00000001") in emitted

    def test_rollback_is_applied_before_its_job_is_pushed_again(self):
        """Later, it would release the lease of the new push."""
        unique = Unique(Store(fail_at={2}), default=PUSH)
        unique.push([job()], Faktory(PushStatus.REFUSED))
        [again] = unique.push([job()], Faktory())
        assert (again.status, again.jid) == (PushStatus.PUSHED, "jid-00000001")
        assert value(unique, again) == "jid-00000001"

    def test_applied_confirms_of_a_batch_are_not_deferred(self):
        unique = Unique(Store(fail_at={2}, done=1), default=PUSH)
        first, second = unique.push([job(1), job(2)], Faktory())
        assert value(unique, first) == "jid-00000001"
        assert value(unique, second) == "jid-00000002?"
        assert len(unique._context.deferred) == 1

    def test_push_of_other_work_leaves_deferred_writes_alone(self, monkeypatch):
        """An outage that goes on for some writes must not slow down every push."""
        store = Store(fail_at={2})
        unique = Unique(store, default=PUSH)
        monkeypatch.setattr(unique._context.deferred, "flush_in_background", lambda: None)
        [first] = unique.push([job()], Faktory())
        unique.push([job(2)], Faktory())
        assert store.calls == 4
        assert value(unique, first) == "jid-00000001?"

    @pytest.mark.parametrize("status", [PushStatus.PUSHED, PushStatus.REFUSED])
    def test_write_refused_for_good_is_reported_not_deferred(self, status):
        """The lock of the refused write is left to its TTL. The other write is applied."""

        class Refusing(MemoryStore):
            calls = 0

            def run(self, transitions):
                self.calls += 1
                if self.calls != 2:
                    return super().run(transitions)
                super().run(transitions[1:])
                error = StoreError("refused 1 of 2 commands: WRONGTYPE")
                error.refused, error.done = transitions[:1], transitions[1:]
                raise error

        events = []
        unique = Unique(Refusing(), default=PUSH, hooks=[events.append])
        unique.push([job(1), job(2)], Faktory(status, status))
        assert len(unique._context.deferred) == 0
        [event] = [event for event in events if event.name == "store_error"]
        assert event.jid == "jid-00000001"
        assert event.detail == ("refused 1 of 2 commands: WRONGTYPE; the lock is left to its TTL")

    def test_deferred_confirm_of_a_released_lock_does_nothing(self):
        unique = Unique(Store(fail_at={2}), default=PUSH)
        [first] = unique.push([job()], Faktory())
        unique._context.store.clear()
        unique.close()
        assert value(unique, first) is None


class TestTwoThreads:
    def test_job_pushed_by_two_threads_is_sent_once(self):
        """The second finds a lease of its own owner, although it is not a retry."""
        started, may_finish, faktory = threading.Event(), threading.Event(), Faktory()
        unique = Unique("memory://", default=PUSH)

        def push_slowly(jobs):
            started.set()
            assert may_finish.wait(PATIENCE)
            return faktory(jobs)

        results = []
        first = threading.Thread(target=lambda: results.extend(unique.push([job()], push_slowly)))
        first.start()
        assert started.wait(PATIENCE)
        [second] = unique.push([job()], faktory)
        may_finish.set()
        first.join(PATIENCE)
        assert (second.status, second.jid) == (PushStatus.DUPLICATE, "jid-00000001")
        assert (second.confirmed, second.retry_after) == (False, 30)
        assert [result.status for result in results] == [PushStatus.PUSHED]
        assert len(faktory.sent) == 1

    def test_push_after_an_error_is_a_push_of_its_own(self):
        unique = Unique("memory://", default=PUSH)
        faktory = Faktory(PushStatus.UNKNOWN)
        unique.push([job()], faktory)
        [again] = unique.push([job()], faktory)
        assert again
        with pytest.raises(ZeroDivisionError):
            unique.push([job(2)], lambda _jobs: 1 / 0)
        [again] = unique.push([job(2)], faktory)
        assert again

    def test_forked_child_does_not_inherit_a_push_in_progress(self):
        unique, faktory = Unique("memory://", default=PUSH), Faktory()

        def fork(jobs):
            pid = os.fork()
            if pid == 0:
                # The lease is in the child's copy of the store, but the push is the parent's.
                [result] = unique.push([job()], faktory)
                os._exit(0 if result and result.jid != "jid-00000001" else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            return faktory(jobs)

        assert unique.push([job()], fork)
