"""`on_conflict="replace"` at the worker: a job that replaces another gets its lock."""

from __future__ import annotations

import pytest

from faktory_unique import Drop, Middleware, Requeue
from faktory_unique.locks.lifecycle import release_transition
from faktory_unique.locks.transition import Transition, held, leased
from tests.cells.replacement import (
    FETCHED,
    UNTIL,
    AfterPush,
    held_for,
    lock,
    push_old_and_new,
    replacing,
)


class TestReplacingJob:
    @FETCHED
    def test_job_after_the_swap_is_held_like_any_other(self, harness, until, seconds):
        unique = replacing(harness, until)
        _, new = push_old_and_new(harness, unique)
        assert harness.fetch(unique).runs
        assert lock(harness, new) == held_for(new, seconds)

    @FETCHED
    def test_worker_replaces_first_and_a_late_swap_does_nothing(self, harness, until, seconds):
        """The worker is faster than its producer."""
        unique = replacing(harness, until)
        seen = []

        def work():
            assert harness.fetch(unique).runs
            seen.append(harness.value_and_ttl(seen[0]))

        seen.append(harness.push(unique, queue="old").key)
        new = harness.push(unique, AfterPush(work))
        assert seen[1] == held_for(new, seconds)
        assert (bool(new), new.confirmed) == (True, True)
        assert lock(harness, new) == held_for(new, seconds)
        assert harness.tombstone(new, new.replaced)[0] == new.jid
        assert not harness.fetch(unique, queue="old").runs

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_late_swap_after_the_end_makes_no_lock(self, harness, until):
        unique = replacing(harness, until)
        old, new = push_old_and_new(
            harness, unique, AfterPush(lambda: harness.ack(harness.fetch(unique)))
        )
        assert new.confirmed
        assert harness.lock(new) is None
        assert harness.tombstone(old, old.jid)[0] == new.jid
        assert harness.push(unique).replaced is None

    @FETCHED
    def test_job_holds_if_the_old_jobs_lock_is_gone(self, harness, until, seconds):
        unique = replacing(harness, until)
        old = harness.push(unique, queue="old")

        def work():
            harness.store.run([release_transition(old.key, old.jid)])
            assert harness.fetch(unique).runs

        new = harness.push(unique, AfterPush(work))
        assert lock(harness, new) == held_for(new, seconds)
        assert harness.tombstone(old, old.jid)[0] == new.jid

    @UNTIL
    def test_third_holder_keeps_the_lock_and_the_old_job_drops(self, harness, until):
        """A third job was pushed after the old job's lock was gone."""
        unique = replacing(harness, until)
        old = harness.push(unique, queue="old")

        def work():
            harness.store.run([Transition(old.key, (old.jid,), leased("another-jid"), 500)])
            assert harness.fetch(unique).runs

        new = harness.push(unique, AfterPush(work))
        assert new.confirmed  # the push did write its tombstone
        assert lock(harness, new) == (leased("another-jid"), 500)
        assert "lapsed" in harness.events()
        assert not harness.fetch(unique, queue="old").runs

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_without_renew_the_lock_keeps_the_ttl_of_its_push(self, harness, until):
        unique = replacing(harness, until, renew=False)
        seen = []

        def work():
            harness.fetch(unique)
            seen.append(True)

        _, new = push_old_and_new(harness, unique, AfterPush(work))
        assert seen
        assert lock(harness, new) == ((held(new.jid), 600) if until == "success" else (None, None))

    @UNTIL
    def test_store_away_requeues_the_job(self, harness, until):
        """It must write the tombstone before it runs."""
        unique = replacing(harness, until)
        _, new = push_old_and_new(harness, unique)
        harness.store.away = True
        fetched = harness.fetch(unique)
        assert fetched.step == Requeue(10)
        assert harness.events()[-1] == "store_error"
        harness.handle(fetched)
        harness.store.away = False
        unique.close()
        assert harness.lock(new) == held(new.jid)
        assert harness.sizes()["scheduled"] == 1

    def test_job_that_was_replaced_itself_is_dropped(self, harness):
        unique = replacing(harness)
        old, second = push_old_and_new(harness, unique)
        third = harness.push(unique, queue="third")
        assert third.replaced == second.jid
        for queue in ("old", "default"):
            assert not harness.fetch(unique, queue=queue).runs
        fetched = harness.fetch(unique, queue="third")
        assert fetched.runs
        harness.ack(fetched)
        assert harness.lock(old) is None

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_dropped_job_replaces_no_other(self, harness, until):
        """Before the producer's swap, the old job is still the one to run."""

        class DropMiddleware(Middleware):
            def fetch(self, job, call_next):
                return Drop("not wanted any more")

        def go_away():
            harness.store.away = True

        unique = replacing(harness, until)
        old, new = push_old_and_new(harness, unique, AfterPush(go_away))
        harness.store.away = False
        unique._context.deferred._writes.clear()  # as if its producer was killed
        harness.handle(harness.fetch(unique, DropMiddleware()))
        assert harness.lock(new) == held(old.jid)
        assert harness.tombstone(old, old.jid) == (None, None)
        assert harness.fetch(unique, queue="old").runs
