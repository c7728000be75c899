"""`exclusive=True` while the store is away, and together with `on_conflict="replace"`."""

from __future__ import annotations

import pytest

from faktory_unique import Requeue, StoreUnavailable
from faktory_unique.locks.keys import run_key
from faktory_unique.locks.transition import Transition, held
from tests.cells.replacement import ATTEMPT, UNTIL, AfterPush, lock, replacing


class TestStoreAway:
    @UNTIL
    def test_store_away_at_fetch_requeues_the_job(self, harness, until):
        unique = harness.unique(until=until, exclusive=True)
        result = harness.push(unique)
        harness.store.away = True
        fetched = harness.fetch(unique)
        assert fetched.step == Requeue(10)
        assert harness.events()[-1] == "store_error"
        harness.handle(fetched)
        harness.store.away = False
        unique.close()
        assert harness.run_lock(result) == (None, None)
        assert harness.lock(result) == held(result.jid)
        assert harness.sizes()["scheduled"] == 1

    def test_acquire_without_a_reply_is_released_later(self, harness, wait_for):
        unique = harness.unique(exclusive=True)
        result = harness.push(unique)
        harness.store.mute = True
        fetched = harness.fetch(unique)
        assert fetched.step == Requeue(10)
        assert harness.run_lock(result)[0] is not None
        harness.store.mute = False
        wait_for(lambda: harness.run_lock(result) == (None, None))
        assert harness.lock(result) == held(result.jid)

    def test_failed_hold_requeues_and_releases_the_run_lock_later(self, harness, wait_for):
        unique = harness.unique(exclusive=True)
        result = harness.push(unique)

        def go_away():
            harness.store.away = True

        harness.after_next_run(go_away)
        fetched = harness.fetch(unique)
        assert fetched.step == Requeue(10)
        assert harness.run_lock(result)[0] is not None
        harness.store.away = False
        wait_for(lambda: harness.run_lock(result) == (None, None))


class TestExclusiveAndReplace:
    @UNTIL
    def test_waiting_job_that_was_replaced_is_dropped(self, harness, until):
        """Otherwise it would be requeued again and again until it is superseded."""
        unique = replacing(harness, until, exclusive=True)
        first, running = harness.push_and_fetch(unique)
        harness.push(unique, queue="old")
        harness.push(unique)
        waiting = harness.fetch(unique, queue="old")
        assert not waiting.runs
        harness.handle(waiting)
        assert harness.events()[-1] == "superseded"
        assert harness.sizes()["scheduled"] == 0
        assert harness.run_lock(first)[0].startswith(running.job["jid"])

    def test_waiting_job_that_replaces_another_gets_its_lock(self, harness):
        unique = replacing(harness, "start", exclusive=True)
        harness.push_and_fetch(unique)
        old = harness.push(unique, queue="old")
        seen = []

        def work():
            waiting = harness.fetch(unique)
            seen.append((waiting.step, *harness.value_and_ttl(old.key)))

        new = harness.push(unique, AfterPush(work))
        assert seen == [(Requeue(5), held(new.jid), ATTEMPT)]
        assert harness.tombstone(old, old.jid)[0] == new.jid
        assert new.confirmed

    @pytest.mark.parametrize("pushed", ["before its fetch", "during its fetch"])
    def test_replaced_job_lets_the_next_run(self, harness, pushed):
        unique = replacing(harness, exclusive=True)
        old = harness.push(unique, queue="old")
        if pushed == "before its fetch":
            new = harness.push(unique)
        else:
            results = []
            harness.after_next_run(lambda: results.append(harness.push(unique)))
        fetched = harness.fetch(unique, queue="old")
        new = new if pushed == "before its fetch" else results[0]
        assert not fetched.runs
        assert harness.run_lock(old) == (None, None)
        harness.handle(fetched)
        assert lock(harness, new) == (held(new.jid), 600)
        assert harness.fetch(unique).runs


class TestSlowAttempt:
    """An attempt outlives its reservation, and the same worker fetches the job again."""

    def test_end_of_the_slow_attempt_leaves_the_next_run_lock(self, fake):
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


class TestLateWrites:
    def test_until_start_job_without_its_run_lock_keeps_its_lock(self, fake):
        """Only the holder of the run lock releases its job's lock."""
        unique = fake.unique(until="start", exclusive=True)
        result = fake.push(unique)

        def take_over():
            token, _ = fake.run_lock(result)
            key = run_key(result.key)
            fake.store.run([Transition(key, (token,), "another-jid:0", 50)])

        fake.after_next_run(take_over)
        assert fake.fetch(unique).step == Requeue(5)
        assert fake.lock(result) == result.jid
        assert fake.run_lock(result)[0] == "another-jid:0"

    @pytest.mark.parametrize("policy", [{"exclusive": True}, {"on_conflict": "replace"}])
    def test_late_hold_makes_no_lock_after_its_job_is_done(self, fake, policy):
        unique = fake.unique(**policy)
        if "on_conflict" in policy:
            fake.push(unique, queue="old")
        result = fake.push(unique)
        late, run = [], fake.store.run

        def lose_once(transitions):
            if any(transition.key == result.key and transition.value for transition in transitions):
                late.append(transitions)
                fake.store.run = run
                raise StoreUnavailable("no answer in time")
            return run(transitions)

        fake.store.run = lose_once
        fetched = fake.fetch(unique)
        assert fetched.step == Requeue(10)
        fake.handle(fetched)
        unique._context.deferred.flush()
        fake.advance(15)
        fake.ack(fake.fetch(unique))
        assert fake.lock(result) is None
        fake.store.run(late[0])
        assert fake.lock(result) is None
