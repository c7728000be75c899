"""`exclusive` where the store is away, and together with `on_conflict="replace"`."""

from __future__ import annotations

import pytest

from faktory_unique import Requeue, StoreUnavailable
from faktory_unique.locks.keys import run_key
from faktory_unique.locks.transition import Transition, held
from tests.cells.replacement import ATTEMPT, UNTIL, After, lock, replacing


class TestAStoreThatIsAway:
    @UNTIL
    def test_at_fetch_the_job_is_requeued(self, ground, until):
        unique = ground.unique(until=until, exclusive=True)
        result = ground.push(unique)
        ground.store.away = True
        fetched = ground.fetch(unique)
        assert fetched.step == Requeue(10)
        assert ground.events()[-1] == "store_error"
        ground.handle(fetched)
        ground.store.away = False
        unique.close()
        assert ground.run_lock(result) == (None, None)
        assert ground.lock(result) == held(result.jid)
        assert ground.sizes()["scheduled"] == 1

    def test_a_take_that_happened_all_the_same_is_freed_later(self, ground, wait_for):
        unique = ground.unique(exclusive=True)
        result = ground.push(unique)
        ground.store.mute = True
        fetched = ground.fetch(unique)
        assert fetched.step == Requeue(10)
        assert ground.run_lock(result)[0] is not None
        ground.store.mute = False
        wait_for(lambda: ground.run_lock(result) == (None, None))
        assert ground.lock(result) == held(result.jid)

    def test_failed_hold_requeues_and_releases_the_run_lock_later(self, ground, wait_for):
        unique = ground.unique(exclusive=True)
        result = ground.push(unique)

        def go_away():
            ground.store.away = True

        ground.between_runs(go_away)
        fetched = ground.fetch(unique)
        assert fetched.step == Requeue(10)
        assert ground.run_lock(result)[0] is not None
        ground.store.away = False
        wait_for(lambda: ground.run_lock(result) == (None, None))


class TestExclusiveToo:
    def test_one_that_waits_and_was_replaced_is_dropped(self, ground):
        """Else it would be put back again and again, to step aside at last."""
        unique = replacing(ground, "start", exclusive=True)
        first, running = ground.push_and_fetch(unique)
        ground.push(unique, queue="old")
        ground.push(unique)
        waiting = ground.fetch(unique, queue="old")
        assert not waiting.runs
        ground.handle(waiting)
        assert ground.events()[-1] == "superseded"
        assert ground.sizes()["scheduled"] == 0
        assert ground.run_lock(first)[0].startswith(running.job["jid"])

    def test_one_that_replaces_takes_the_place_though_it_waits(self, ground):
        unique = replacing(ground, "start", exclusive=True)
        ground.push_and_fetch(unique)
        old = ground.push(unique, queue="old")
        seen = []

        def work():
            waiting = ground.fetch(unique)
            seen.append((waiting.step, *ground.value_and_ttl(old.key)))

        new = ground.push(unique, After(work))
        assert seen == [(Requeue(5), held(new.jid), ATTEMPT)]
        assert ground.tombstone(old, old.jid)[0] == new.jid
        assert new.confirmed

    @pytest.mark.parametrize("runs", ["before its turn", "in its turn"])
    def test_one_that_was_replaced_lets_the_next_run(self, ground, runs):
        unique = replacing(ground, exclusive=True)
        old = ground.push(unique, queue="old")
        if runs == "before its turn":
            new = ground.push(unique)
        else:
            results = []
            ground.between_runs(lambda: results.append(ground.push(unique)))
        fetched = ground.fetch(unique, queue="old")
        new = new if runs == "before its turn" else results[0]
        assert not fetched.runs
        assert ground.run_lock(old) == (None, None)
        ground.handle(fetched)
        assert lock(ground, new) == (held(new.jid), 600)
        assert ground.fetch(unique).runs

    def test_until_expiry_nothing_has_lapsed(self, ground):
        unique = replacing(ground, "expiry", exclusive=True)
        result, fetched = ground.push_and_fetch(unique)
        assert fetched.runs
        assert "lapsed" not in ground.events()
        assert lock(ground, result) == (held(result.jid), 600)


class TestASlowAttempt:
    """It outlives its reservation, and the server gives the job to the same worker again."""

    def test_its_end_leaves_the_run_lock_of_the_next(self, fake):
        unique = fake.unique(exclusive=True)
        result = fake.push(unique)
        slow = fake.fetch(unique)
        fake.advance(200)
        again = fake.fetch(unique)
        assert again.runs
        assert again.job["jid"] == slow.job["jid"]
        token, _ = fake.run_lock(result)
        fake.ack(slow)
        assert fake.run_lock(result)[0] == token
        fake.ack(again)
        assert fake.run_lock(result) == (None, None)


class TestWhatComesLate:
    def test_until_start_a_job_whose_moment_is_over_keeps_its_lock(self, fake):
        """Only who has his turn frees it."""
        unique = fake.unique(until="start", exclusive=True)
        result = fake.push(unique)

        def take_over():
            token, _ = fake.run_lock(result)
            key = run_key(result.key)
            fake.store.run([Transition(key, (token,), "another-jid:0", 50)])

        fake.between_runs(take_over)
        assert fake.fetch(unique).step == Requeue(5)
        assert fake.lock(result) == result.jid
        assert fake.run_lock(result)[0] == "another-jid:0"

    @pytest.mark.parametrize("policy", [{"exclusive": True}, {"on_conflict": "replace"}])
    def test_a_hold_makes_no_lock_once_its_job_is_done(self, fake, policy):
        unique = fake.unique(**policy)
        if "on_conflict" in policy:
            fake.push(unique, queue="old")
        result = fake.push(unique)
        late, run = [], fake.store.run

        def swallow(transitions):
            if any(transition.key == result.key and transition.value for transition in transitions):
                late.append(transitions)
                fake.store.run = run
                raise StoreUnavailable("no answer in time")
            return run(transitions)

        fake.store.run = swallow
        fetched = fake.fetch(unique)
        assert fetched.step == Requeue(10)
        fake.handle(fetched)
        unique._context.deferred.flush()
        fake.advance(15)
        fake.ack(fake.fetch(unique))
        assert fake.lock(result) is None
        fake.store.run(late[0])
        assert fake.lock(result) is None
