"""`on_conflict="replace"` at the worker: a replaced job is dropped as superseded."""

from __future__ import annotations

from datetime import timedelta

from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.transition import Transition, held
from tests.cells.replacement import ATTEMPT, UNTIL, lock, push_old_and_new, replacing


class TestReplacedJob:
    @UNTIL
    def test_replaced_job_is_dropped_and_emits_superseded(self, harness, until):
        unique = replacing(harness, until)
        old, new = push_old_and_new(harness, unique)
        assert (new.replaced, harness.lock(old)) == (old.jid, held(new.jid))
        fetched = harness.fetch(unique, queue="old")
        assert not fetched.runs
        harness.handle(fetched)
        assert harness.events()[-1] == "superseded"
        assert new.jid in harness.emitted[-1].detail
        assert "lapsed" not in harness.events()
        assert harness.sizes()["queued"] == 1
        assert harness.sizes()["working"] == 0
        assert lock(harness, new) == (held(new.jid), 600)

    @UNTIL
    def test_replaced_job_is_dropped_after_the_new_job_ended_too(self, harness, until):
        unique = replacing(harness, until)
        old, _ = push_old_and_new(harness, unique)
        harness.ack(harness.fetch(unique))
        before = lock(harness, old)
        fetched = harness.fetch(unique, queue="old")
        assert not fetched.runs
        harness.handle(fetched)
        assert lock(harness, old) == before
        assert sum(harness.sizes().values()) == 0

    def test_running_job_ends_and_releases_no_other_lock(self, harness):
        unique = replacing(harness)
        old, running = harness.push_and_fetch(unique)
        new = harness.push(unique)
        harness.ack(running)
        assert lock(harness, new) == (held(new.jid), 600)
        assert harness.tombstone(old, old.jid) == (new.jid, ATTEMPT)

    def test_failed_job_that_was_replaced_is_not_retried(self, fake):
        unique = replacing(fake)
        _, running = fake.push_and_fetch(unique)
        new = fake.push(unique)
        fake.fail(running)
        fake.ack(fake.fetch(unique))
        fake.advance(60)
        again = fake.fetch(unique)
        assert again.job["failure"]
        assert not again.runs
        fake.handle(again)
        assert sum(fake.sizes().values()) == 0
        assert fake.lock(new) is None

    def test_requeued_job_that_was_replaced_is_not_run_again(self, harness):
        unique = replacing(harness)
        _, running = harness.push_and_fetch(unique, queue="default")
        harness.requeue(running, 0)
        harness.push(unique)
        copy = harness.fetch(unique)
        assert not copy.runs
        assert harness.events()[-1] == "superseded"

    def test_store_away_runs_the_replaced_job(self, harness):
        """Two runs are better than none. A job that runs is not reported as superseded."""
        unique = replacing(harness)
        push_old_and_new(harness, unique)
        harness.store.away = True
        assert harness.fetch(unique, queue="old").runs
        assert harness.events()[-1] == "store_error"
        harness.store.away = False
        unique.close()
        assert "superseded" not in harness.events()

    @UNTIL
    def test_replaced_job_releases_a_lock_that_is_its_own(self, harness, until):
        """The job that replaced it has ended, and this one has acquired the lock again (5.56)."""
        unique = replacing(harness, until)
        result = harness.push(unique)
        tombstone = tombstone_key(result.key, result.jid)
        harness.store.run([Transition(tombstone, (None,), "newer-jid", 600)])
        fetched = harness.fetch(unique)
        assert not fetched.runs
        harness.handle(fetched)
        assert harness.lock(result) is None


def test_debounced_jobs_run_the_newest_only(fake):
    """Each push has a delay and replaces the job before."""
    unique = replacing(fake)
    for n in range(3):
        at = (fake.faktory.clock.now() + timedelta(seconds=60)).isoformat()
        last = fake.push(unique, at=at, custom={"n": n})
        fake.advance(10)
    assert fake.sizes()["scheduled"] == 3
    ran = []
    for _ in range(12):
        fake.advance(10)
        while fake.sizes()["queued"]:
            fetched = fake.fetch(unique)
            ran.extend([fetched.job["custom"]["n"]] if fetched.runs else [])
            fake.handle(fetched) if not fetched.runs else fake.ack(fetched)
    assert ran == [2]
    assert fake.lock(last) is None
    assert sum(fake.sizes().values()) == 0
