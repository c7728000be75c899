"""`on_conflict="replace"` at the worker: who was replaced steps aside."""

from __future__ import annotations

from datetime import timedelta

import pytest

from faktory_unique.locks.transition import held
from tests.cells.replacement import ATTEMPT, UNTIL, lock, old_and_new, replacing


class TestTheReplaced:
    @UNTIL
    def test_is_dropped_and_acknowledged_and_that_is_told(self, ground, until):
        unique = replacing(ground, until)
        old, new = old_and_new(ground, unique)
        assert (new.replaced, ground.lock(old)) == (old.jid, held(new.jid))
        fetched = ground.fetch(unique, queue="old")
        assert not fetched.runs
        ground.handle(fetched)
        assert ground.events()[-1] == "superseded"
        assert new.jid in ground.seen[-1].detail
        assert "lapsed" not in ground.events()
        assert ground.sizes()["queued"] == 1
        assert ground.sizes()["working"] == 0
        assert lock(ground, new) == (held(new.jid), 600)

    @UNTIL
    def test_steps_aside_also_after_the_new_one_is_over(self, ground, until):
        unique = replacing(ground, until)
        old, _ = old_and_new(ground, unique)
        ground.ack(ground.fetch(unique))
        before = lock(ground, old)
        fetched = ground.fetch(unique, queue="old")
        assert not fetched.runs
        ground.handle(fetched)
        assert lock(ground, old) == before
        assert sum(ground.sizes().values()) == 0

    def test_running_job_ends_and_releases_no_other_lock(self, ground):
        unique = replacing(ground)
        old, running = ground.push_and_fetch(unique)
        new = ground.push(unique)
        ground.ack(running)
        assert lock(ground, new) == (held(new.jid), 600)
        assert ground.tombstone(old, old.jid) == (new.jid, ATTEMPT)

    def test_is_not_retried_where_it_had_begun_and_failed(self, fake):
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

    def test_nor_run_again_where_it_had_been_requeued(self, ground):
        unique = replacing(ground)
        _, running = ground.push_and_fetch(unique, queue="default")
        ground.requeue(running, 0)
        ground.push(unique)
        copy = ground.fetch(unique)
        assert not copy.runs
        assert ground.events()[-1] == "superseded"

    @pytest.mark.parametrize("until", ["success", "expiry"])
    def test_with_the_store_away_it_runs(self, ground, until):
        """Two runs rather than none."""
        unique = replacing(ground, until)
        old_and_new(ground, unique)
        ground.store.away = True
        assert ground.fetch(unique, queue="old").runs
        assert ground.events()[-1] == "store_error"
        ground.store.away = False
        unique.close()


def test_with_a_delay_the_newest_runs_once_it_is_quiet(fake):
    """Debouncing."""
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
