"""Pushes while the store comes and goes, and one Job pushed by two threads at once."""

from __future__ import annotations

import os
import threading

import pytest

from faktory_unique import Policy, PushResult, PushStatus, StoreError, StoreUnavailable, Unique
from faktory_unique.locks.transition import read_transition
from faktory_unique.stores.memory import MemoryStore

PUSH = Policy(ttl=600, lease=30, on_store_error="push")


class Store(MemoryStore):
    """Fails at the calls that the test names; in part, where it says what was done."""

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
    def test_it_goes_out_with_its_stamp_and_is_told(self):
        """With its stamp: a worker takes the lock at FETCH."""
        seen, faktory = [], Faktory()
        unique = Unique(Store(fail_at={1}), default=PUSH, hooks=[seen.append])
        [result] = unique.push([job()], faktory)
        assert result
        assert (result.status, result.confirmed, result.retry_after) == ("unguarded", False, None)
        assert faktory.sent[0]["custom"]["unique"]["owner"] == result.jid == "jid-00000001"
        assert [event.name for event in seen] == ["unguarded"]
        assert unique._context.store.calls == 1  # a store that is away is not asked again
        assert value(unique, result) is None

    def test_what_was_taken_all_the_same_is_confirmed(self):
        unique = Unique(Store(fail_at={1}, done=1), default=PUSH)
        first, second = unique.push([job(1), job(2)], Faktory())
        assert (first.status, first.confirmed) == (PushStatus.PUSHED, True)
        assert (second.status, second.confirmed) == (PushStatus.UNGUARDED, False)
        assert value(unique, first) == "jid-00000001"

    def test_one_of_the_batch_that_must_be_guarded_keeps_all_back(self):
        faktory = Faktory()
        unique = Unique(
            Store(fail_at={1}, done=1), default=PUSH, policies={"Payment": Policy(lease=30)}
        )
        with pytest.raises(StoreError) as caught:
            unique.push([job(1), job(2, "Payment")], faktory)
        assert faktory.sent == []
        assert [r.status for r in caught.value.results] == [PushStatus.NOT_SENT] * 2
        assert value(unique, caught.value.results[0]) is None

    def test_a_follower_of_one_is_its_duplicate(self):
        unique = Unique(Store(fail_at={1}), default=PUSH)
        first, second = unique.push([job(1), {**job(1), "jid": "jid-00000002"}], Faktory())
        assert first.status is PushStatus.UNGUARDED
        assert (second.status, second.jid) == (PushStatus.DUPLICATE, first.jid)

    @pytest.mark.parametrize("fail_at", [{3}, {4}])
    def test_pushed_again_after_an_unknown_outcome_it_has_a_new_jid(self, fail_at):
        """Its own may be on the server: also where the take was answered, and the renewal not."""
        faktory = Faktory(PushStatus.UNKNOWN)
        unique = Unique(Store(fail_at=fail_at), default=PUSH)
        unique.push([job()], faktory)
        unique._context.store.calls = 2
        [again] = unique.push([job()], faktory)
        assert again.status is PushStatus.UNGUARDED
        assert again.jid != again.submitted_jid == "jid-00000001"

    def test_refused_nothing_is_given_back_that_was_not_taken(self):
        unique = Unique(Store(fail_at={1}), default=PUSH)
        [result] = unique.push([job()], Faktory(PushStatus.REFUSED))
        assert result.status is PushStatus.REFUSED
        assert unique._context.store.calls == 1


class TestOwed:
    def test_a_confirm_is_made_at_the_next_push(self):
        unique = Unique(Store(fail_at={2}), default=PUSH)
        [first] = unique.push([job()], Faktory())
        assert (first.confirmed, first.retry_after) == (False, 30)
        assert value(unique, first) == "jid-00000001?"
        unique.push([job(2)], Faktory())
        assert value(unique, first) == "jid-00000001"

    def test_a_give_back_is_made_at_the_next_push(self):
        seen = []
        unique = Unique(Store(fail_at={2}), default=PUSH, hooks=[seen.append])
        [first] = unique.push([job()], Faktory(PushStatus.REFUSED))
        assert value(unique, first) == "jid-00000001?"
        unique.push([job(2)], Faktory())
        assert value(unique, first) is None
        told = [(event.name, event.jid) for event in seen]
        assert ("store_error", "jid-00000001") in told
        assert ("released", "jid-00000001") in told

    def test_a_give_back_is_made_before_its_job_is_pushed_again(self):
        """Afterwards it would free the lease of the push that is under way."""
        unique = Unique(Store(fail_at={2}), default=PUSH)
        unique.push([job()], Faktory(PushStatus.REFUSED))
        [again] = unique.push([job()], Faktory())
        assert (again.status, again.jid) == (PushStatus.PUSHED, "jid-00000001")
        assert value(unique, again) == "jid-00000001"

    def test_of_a_batch_what_was_made_is_not_owed(self):
        unique = Unique(Store(fail_at={2}, done=1), default=PUSH)
        first, second = unique.push([job(1), job(2)], Faktory())
        assert value(unique, first) == "jid-00000001"
        assert value(unique, second) == "jid-00000002?"
        assert len(unique._context.deferred) == 1

    def test_a_confirm_whose_lock_a_worker_has_freed_does_nothing(self):
        unique = Unique(Store(fail_at={2}), default=PUSH)
        [first] = unique.push([job()], Faktory())
        unique._context.store.clear()
        unique.close()
        assert value(unique, first) is None


class TestTwoThreads:
    def test_one_job_pushed_by_two_at_once_goes_out_once(self):
        """The second finds a lease of its own owner; it is no retry of its own."""
        inside, go_on, faktory = threading.Event(), threading.Event(), Faktory()
        unique = Unique("memory://", default=PUSH)

        def slowly(jobs):
            inside.set()
            assert go_on.wait(5)
            return faktory(jobs)

        results = []
        first = threading.Thread(target=lambda: results.extend(unique.push([job()], slowly)))
        first.start()
        assert inside.wait(5)
        [second] = unique.push([job()], faktory)
        go_on.set()
        first.join(5)
        assert (second.status, second.jid) == (PushStatus.DUPLICATE, "jid-00000001")
        assert (second.confirmed, second.retry_after) == (False, 30)
        assert [result.status for result in results] == [PushStatus.PUSHED]
        assert len(faktory.sent) == 1

    def test_afterwards_it_is_a_push_of_its_own(self):
        unique = Unique("memory://", default=PUSH)
        faktory = Faktory(PushStatus.UNKNOWN)
        unique.push([job()], faktory)
        [again] = unique.push([job()], faktory)
        assert again
        with pytest.raises(ZeroDivisionError):
            unique.push([job(2)], lambda _jobs: 1 / 0)
        [again] = unique.push([job(2)], faktory)
        assert again

    def test_a_fork_amid_anothers_push_does_not_inherit_it(self):
        unique, faktory = Unique("memory://", default=PUSH), Faktory()

        def fork(jobs):
            pid = os.fork()
            if pid == 0:
                # The lease is there, in the child's copy of the store; the push is the parent's.
                [result] = unique.push([job()], faktory)
                os._exit(0 if result and result.jid != "jid-00000001" else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            return faktory(jobs)

        assert unique.push([job()], fork)
