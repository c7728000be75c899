"""`exclusive`: one job of a key runs at a time, and the others wait their turn."""

from __future__ import annotations

import re

import pytest

from faktory_unique import Drop, Middleware, Requeue
from faktory_unique.locks.keys import run_key
from faktory_unique.locks.lifecycle import release_transition
from faktory_unique.locks.transition import Transition, held
from tests.cells.replacement import ATTEMPT, UNTIL


def push_beside(ground, unique):
    """Pushes an equal of a job that is there or runs, as if its lock had lapsed; its result."""
    held_by = ground.push(unique)
    if not held_by:
        ground.store.run([release_transition(held_by.key, held_by.jid)])
        held_by = ground.push(unique)
    assert held_by
    return held_by


def one_that_waits(ground, unique):
    """A job that runs, and an equal of it that was fetched: both results, and both fetched."""
    first, running = ground.push_and_fetch(unique)
    second = push_beside(ground, unique)
    return first, running, second, ground.fetch(unique)


class TestTheWinner:
    @UNTIL
    def test_runs_and_has_the_run_lock_for_its_reservation(self, ground, until):
        unique = ground.unique(until=until, exclusive=True)
        result, fetched = ground.push_and_fetch(unique)
        assert fetched.runs
        token, ttl = ground.run_lock(result)
        assert re.fullmatch(f"{result.jid}:[0-9a-f]{{16}}", token)
        assert ttl == 60 + 30

    def test_has_it_for_a_moment_until_that_is_known(self, ground):
        """Taken for a worker that hears nothing of it, it keeps nobody waiting for long."""
        unique = ground.unique(exclusive=True)
        result = ground.push(unique)
        seen = []
        ground.between_runs(lambda: seen.append((ground.run_lock(result), ground.ttl(result))))
        ground.fetch(unique)
        [((token, ttl), of_lock)] = seen
        assert token.startswith(result.jid)
        assert (ttl, of_lock) == (30, 600)

    @pytest.mark.parametrize(
        ("until", "value", "ttl", "event"),
        [
            ("success", "held", ATTEMPT, "renewed"),
            ("start", None, None, "released"),
            ("expiry", "held", 600, "confirmed"),
        ],
    )
    def test_has_its_own_lock_changed_as_any_job(self, ground, until, value, ttl, event):
        unique = ground.unique(until=until, exclusive=True)
        result = ground.push(unique)
        ground.fetch(unique)
        expected = held(result.jid) if value else None
        assert (ground.lock(result), ground.ttl(result)) == (expected, ttl)
        assert ground.events()[-1] == event

    @pytest.mark.parametrize("end", ["ack", "fail", "requeue"])
    def test_frees_it_at_its_end(self, ground, end):
        unique = ground.unique(exclusive=True)
        result, fetched = ground.push_and_fetch(unique)
        ground.requeue(fetched, 5) if end == "requeue" else getattr(ground, end)(fetched)
        assert ground.run_lock(result) == (None, None)

    @pytest.mark.parametrize("end", ["ack", "fail", "requeue"])
    def test_and_at_an_end_that_comes_too_late_to_be_told(self, fake, end):
        unique = fake.unique(exclusive=True)
        result, fetched = fake.push_and_fetch(unique)
        fake.faktory.clock.advance(80)
        fake.requeue(fetched, 5) if end == "requeue" else getattr(fake, end)(fetched)
        assert fake.run_lock(result) == (None, None)

    @pytest.mark.parametrize("end", ["ack", "fail", "requeue"])
    def test_leaves_one_that_has_lapsed_to_whoever_has_it(self, ground, end):
        unique = ground.unique(exclusive=True)
        result, fetched = ground.push_and_fetch(unique)
        token, _ = ground.run_lock(result)
        ground.store.run([Transition(run_key(result.key), (token,), "another-jid:0", 50)])
        ground.requeue(fetched, 5) if end == "requeue" else getattr(ground, end)(fetched)
        assert ground.run_lock(result) == ("another-jid:0", 50)

    def test_frees_it_later_where_the_store_is_away_at_its_end(self, ground, wait_for):
        unique = ground.unique(exclusive=True)
        result, fetched = ground.push_and_fetch(unique)
        ground.store.away = True
        ground.ack(fetched)
        assert ground.run_lock(result)[0] is not None
        ground.store.away = False
        wait_for(lambda: ground.run_lock(result) == (None, None))
        wait_for(lambda: ground.lock(result) is None)

    def test_whose_moment_was_over_before_that_was_known_waits(self, ground):
        """Another may have begun by then."""
        unique = ground.unique(exclusive=True)
        result = ground.push(unique)

        def lapse():
            token, _ = ground.run_lock(result)
            ground.store.run([Transition(run_key(result.key), (token,), "another-jid:0", 50)])

        ground.between_runs(lapse)
        fetched = ground.fetch(unique)
        assert fetched.step == Requeue(5)
        ground.handle(fetched)
        assert ground.run_lock(result) == ("another-jid:0", 50)


class TestTheLoser:
    @UNTIL
    def test_is_requeued_for_some_seconds_and_that_is_told(self, ground, until):
        unique = ground.unique(until=until, exclusive=True)
        first, _, second, waiting = one_that_waits(ground, unique)
        assert waiting.step == Requeue(5)
        assert ground.seen[-1].detail == f"{first.jid} runs"
        ground.handle(waiting)
        assert ground.events()[-2:] == ["run_blocked", "requeued"]
        assert (ground.sizes()["scheduled"], ground.sizes()["working"]) == (1, 1)
        assert second.jid != first.jid

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_loser_keeps_its_lock_so_a_push_is_a_duplicate(self, ground, until):
        unique = ground.unique(until=until, exclusive=True)
        _, _, second, waiting = one_that_waits(ground, unique)
        assert ground.lock(second) == held(second.jid)
        ground.handle(waiting)
        assert (ground.lock(second), ground.ttl(second)) == (held(second.jid), ATTEMPT)
        third = ground.push(unique)
        assert (third.status, third.jid) == ("duplicate", second.jid)

    def test_until_expiry_its_time_runs_on(self, ground):
        unique = ground.unique(until="expiry", exclusive=True)
        _, _, second, waiting = one_that_waits(ground, unique)
        ground.handle(waiting)
        assert (ground.lock(second), ground.ttl(second)) == (held(second.jid), 600)

    def test_leaves_the_run_lock_to_the_winner(self, ground):
        unique = ground.unique(until="start", exclusive=True)
        first, _, _, waiting = one_that_waits(ground, unique)
        ground.handle(waiting)
        token, ttl = ground.run_lock(first)
        assert token.startswith(f"{first.jid}:")
        assert ttl == 60 + 30

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_runs_once_the_winner_is_over_and_has_spent_no_retry(self, fake, until):
        unique = fake.unique(until=until, exclusive=True)
        _, running, second, waiting = one_that_waits(fake, unique)
        fake.handle(waiting)
        fake.advance(10)
        again = fake.fetch(unique)
        assert again.step == Requeue(5)
        fake.handle(again)
        fake.ack(running)
        fake.advance(10)
        last = fake.fetch(unique)
        assert last.runs
        assert last.job["custom"]["unique"]["owner"] == second.jid
        assert "failure" not in last.job
        fake.ack(last)
        assert sum(fake.sizes().values()) == 0
        assert fake.lock(second) is None
        assert fake.run_lock(second) == (None, None)

    def test_loser_waits_at_most_a_dead_winners_reservation(self, fake):
        unique = fake.unique(until="start", exclusive=True)
        _, _, _, waiting = one_that_waits(fake, unique)
        fake.handle(waiting)
        fake.faktory.clock.advance(90)
        assert fake.fetch(unique).runs


class Dropping(Middleware):
    def fetch(self, job, call_next):
        return Drop("not wanted any more")


def test_a_job_that_another_middleware_drops_waits_for_nobody(ground):
    unique = ground.unique(until="start", exclusive=True)
    first, _ = ground.push_and_fetch(unique)
    second = ground.push(unique)
    token, _ = ground.run_lock(first)
    dropped = ground.fetch(unique, Dropping())
    ground.handle(dropped)
    assert ground.run_lock(first)[0] == token
    assert ground.lock(second) is None
    assert ground.sizes()["scheduled"] == 0


def test_only_observed_it_runs_beside_its_equal(ground):
    unique = ground.unique(until="start", exclusive=True, enforce=False)
    first, _ = ground.push_and_fetch(unique)
    ground.push(unique)
    assert ground.fetch(unique).runs
    assert ground.run_lock(first) == (None, None)
