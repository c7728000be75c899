"""`on_conflict="replace"` at the worker: who replaces takes the place, whoever comes first."""

from __future__ import annotations

import pytest

from faktory_unique import Drop, Middleware, Requeue
from faktory_unique.locks.lifecycle import release_transition
from faktory_unique.locks.transition import Transition, held, leased
from tests.cells.replacement import FETCHED, UNTIL, After, held_for, lock, old_and_new, replacing


class TestTheReplacing:
    @FETCHED
    def test_after_the_swap_it_is_a_job_like_any(self, ground, until, seconds):
        unique = replacing(ground, until)
        _, new = old_and_new(ground, unique)
        assert ground.fetch(unique).runs
        assert lock(ground, new) == held_for(new, seconds)

    @FETCHED
    def test_worker_replaces_first_and_a_late_swap_does_nothing(self, ground, until, seconds):
        """The worker is faster than its producer."""
        unique = replacing(ground, until)
        seen = []

        def work():
            assert ground.fetch(unique).runs
            seen.append(ground.value_and_ttl(seen[0]))

        seen.append(ground.push(unique, queue="old").key)
        new = ground.push(unique, After(work))
        assert seen[1] == held_for(new, seconds)
        assert (bool(new), new.confirmed) == (True, True)
        assert lock(ground, new) == held_for(new, seconds)
        assert ground.tombstone(new, new.replaced)[0] == new.jid
        assert not ground.fetch(unique, queue="old").runs

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_over_before_the_swap_it_is_not_brought_back(self, ground, until):
        unique = replacing(ground, until)
        old, new = old_and_new(ground, unique, After(lambda: ground.ack(ground.fetch(unique))))
        assert new.confirmed
        assert ground.lock(new) is None
        assert ground.tombstone(old, old.jid)[0] == new.jid
        assert ground.push(unique).replaced is None

    @FETCHED
    def test_where_the_old_one_is_over_it_is_a_job_like_any(self, ground, until, seconds):
        unique = replacing(ground, until)
        old = ground.push(unique, queue="old")

        def work():
            ground.store.run([release_transition(old.key, old.jid)])
            assert ground.fetch(unique).runs

        new = ground.push(unique, After(work))
        assert lock(ground, new) == held_for(new, seconds)
        assert ground.tombstone(old, old.jid)[0] == new.jid

    @UNTIL
    def test_third_holder_keeps_the_lock_and_the_old_job_drops(self, ground, until):
        """A third was pushed once the old one's lock was gone."""
        unique = replacing(ground, until)
        old = ground.push(unique, queue="old")

        def work():
            ground.store.run([Transition(old.key, (old.jid,), leased("another-jid"), 500)])
            assert ground.fetch(unique).runs

        new = ground.push(unique, After(work))
        assert new.confirmed  # as far as the push goes: the tombstone is its own
        assert lock(ground, new) == (leased("another-jid"), 500)
        assert ("lapsed" in ground.events()) is (until != "expiry")
        assert not ground.fetch(unique, queue="old").runs

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_not_renewed_it_keeps_the_time_of_its_push(self, ground, until):
        unique = replacing(ground, until, renew=False)
        seen = []

        def work():
            ground.fetch(unique)
            seen.append(True)

        _, new = old_and_new(ground, unique, After(work))
        assert seen
        assert lock(ground, new) == ((held(new.jid), 600) if until == "success" else (None, None))

    @UNTIL
    def test_with_the_store_away_it_is_requeued(self, ground, until):
        """It must see to the tombstone before it runs."""
        unique = replacing(ground, until)
        _, new = old_and_new(ground, unique)
        ground.store.away = True
        fetched = ground.fetch(unique)
        assert fetched.step == Requeue(10)
        assert ground.events()[-1] == "store_error"
        ground.handle(fetched)
        ground.store.away = False
        unique.close()
        assert ground.lock(new) == held(new.jid)
        assert ground.sizes()["scheduled"] == 1

    def test_replaced_in_its_turn_it_steps_aside(self, ground):
        unique = replacing(ground)
        old, second = old_and_new(ground, unique)
        third = ground.push(unique, queue="third")
        assert third.replaced == second.jid
        for queue in ("old", "default"):
            assert not ground.fetch(unique, queue=queue).runs
        fetched = ground.fetch(unique, queue="third")
        assert fetched.runs
        ground.ack(fetched)
        assert ground.lock(old) is None

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_where_a_middleware_drops_it_nothing_steps_aside_for_it(self, ground, until):
        """Before the producer has made its swap: the old one is still the one that is to run."""

        class Dropping(Middleware):
            def fetch(self, job, call_next):
                return Drop("not wanted any more")

        def go_away():
            ground.store.away = True

        unique = replacing(ground, until)
        old, new = old_and_new(ground, unique, After(go_away))
        ground.store.away = False
        unique._context.deferred._writes.clear()  # its producer is killed
        ground.handle(ground.fetch(unique, Dropping()))
        assert ground.lock(new) == held(old.jid)
        assert ground.tombstone(old, old.jid) == (None, None)
        assert ground.fetch(unique, queue="old").runs
