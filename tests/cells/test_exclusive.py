"""`exclusive=True`: one job of a key runs at a time, and other jobs of that key wait."""

from __future__ import annotations

import re

import pytest

from faktory_unique import Drop, Middleware, ReportStatus, Requeue
from faktory_unique.locks.keys import run_key
from faktory_unique.locks.lifecycle import release_transition
from faktory_unique.locks.transition import Transition, held
from tests.cells.replacement import ATTEMPT, UNTIL


def push_equal(harness, unique):
    """Push an equal of a job that exists, as if its lock had lapsed. Return its result."""
    result = harness.push(unique)
    if not result:
        harness.store.run([release_transition(result.key, result.jid)])
        result = harness.push(unique)
    assert result
    return result


def start_one_and_fetch_equal(harness, unique):
    """Start a job and fetch an equal one. Return for each its result and the fetched job."""
    first, running = harness.push_and_fetch(unique)
    second = push_equal(harness, unique)
    return first, running, second, harness.fetch(unique)


class RaiseAtReport(Middleware):
    """Raises an exception instead of a report."""

    def __init__(self, exc):
        self.exc = exc

    def ack(self, job, call_next):
        raise self.exc

    def fail(self, job, error, call_next):
        raise self.exc


class TestFirstJob:
    @UNTIL
    def test_first_job_gets_the_run_lock_for_its_reservation(self, harness, until):
        unique = harness.unique(until=until, exclusive=True)
        result, fetched = harness.push_and_fetch(unique)
        assert fetched.runs
        token, ttl = harness.run_lock(result)
        assert re.fullmatch(f"{result.jid}:[0-9a-f]{{16}}", token)
        assert ttl == 60 + 30

    def test_run_lock_is_leased_until_the_worker_confirms_it(self, harness):
        """If the worker never receives the reply, others wait for the short lease only."""
        unique = harness.unique(exclusive=True)
        result = harness.push(unique)
        seen = []
        harness.after_next_run(lambda: seen.append((harness.run_lock(result), harness.ttl(result))))
        harness.fetch(unique)
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
    def test_own_lock_is_held_as_without_exclusive(self, harness, until, value, ttl, event):
        unique = harness.unique(until=until, exclusive=True)
        result = harness.push(unique)
        harness.fetch(unique)
        expected = held(result.jid) if value else None
        assert (harness.lock(result), harness.ttl(result)) == (expected, ttl)
        assert harness.events()[-1] == event

    @pytest.mark.parametrize("end", ["ack", "fail", "requeue"])
    def test_end_releases_the_run_lock(self, harness, end):
        unique = harness.unique(exclusive=True)
        result, fetched = harness.push_and_fetch(unique)
        harness.requeue(fetched, 5) if end == "requeue" else getattr(harness, end)(fetched)
        assert harness.run_lock(result) == (None, None)

    @pytest.mark.parametrize("end", ["ack", "fail", "requeue"])
    def test_end_after_reserve_for_releases_the_run_lock(self, fake, end):
        unique = fake.unique(exclusive=True)
        result, fetched = fake.push_and_fetch(unique)
        fake.faktory.clock.advance(80)
        fake.requeue(fetched, 5) if end == "requeue" else getattr(fake, end)(fetched)
        assert fake.run_lock(result) == (None, None)

    @pytest.mark.parametrize("end", ["ack", "fail", "requeue"])
    def test_end_leaves_the_run_lock_of_another_holder(self, harness, end):
        unique = harness.unique(exclusive=True)
        result, fetched = harness.push_and_fetch(unique)
        token, _ = harness.run_lock(result)
        harness.store.run([Transition(run_key(result.key), (token,), "another-jid:0", 50)])
        harness.requeue(fetched, 5) if end == "requeue" else getattr(harness, end)(fetched)
        assert harness.run_lock(result) == ("another-jid:0", 50)

    @pytest.mark.parametrize("end", ["ack", "fail"])
    @pytest.mark.parametrize("exc", [RuntimeError, SystemExit])
    def test_report_that_raises_releases_the_run_lock(self, fake, end, exc):
        """A middleware raised, or called `sys.exit()`; the handler has finished anyway.

        The lock of the key stays: it is unknown if Faktory got the report.
        """
        unique = fake.unique(exclusive=True)
        result = fake.push(unique)
        fetched = fake.fetch(unique, RaiseAtReport(exc))
        assert getattr(fake, end)(fetched) is ReportStatus.UNKNOWN
        assert fake.run_lock(result) == (None, None)
        assert fake.lock(result) == held(result.jid)

    def test_store_away_at_the_end_releases_the_run_lock_later(self, harness, wait_for):
        unique = harness.unique(exclusive=True)
        result, fetched = harness.push_and_fetch(unique)
        harness.store.away = True
        harness.ack(fetched)
        assert harness.run_lock(result)[0] is not None
        harness.store.away = False
        wait_for(lambda: harness.run_lock(result) == (None, None))
        wait_for(lambda: harness.lock(result) is None)

    def test_job_that_lost_its_run_lock_before_the_hold_waits(self, harness):
        """Another job may have started by then."""
        unique = harness.unique(exclusive=True)
        result = harness.push(unique)

        def lapse():
            token, _ = harness.run_lock(result)
            harness.store.run([Transition(run_key(result.key), (token,), "another-jid:0", 50)])

        harness.after_next_run(lapse)
        fetched = harness.fetch(unique)
        assert fetched.step == Requeue(5)
        harness.handle(fetched)
        assert harness.run_lock(result) == ("another-jid:0", 50)


class TestWaitingJob:
    @UNTIL
    def test_waiting_job_is_requeued_for_5_seconds(self, harness, until):
        unique = harness.unique(until=until, exclusive=True)
        first, _, second, waiting = start_one_and_fetch_equal(harness, unique)
        assert waiting.step == Requeue(5)
        assert harness.emitted[-1].detail == f"{first.jid} runs"
        harness.handle(waiting)
        assert harness.events()[-2:] == ["run_blocked", "requeued"]
        assert (harness.sizes()["scheduled"], harness.sizes()["working"]) == (1, 1)
        assert second.jid != first.jid

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_waiting_job_keeps_its_lock_so_a_push_is_a_duplicate(self, harness, until):
        unique = harness.unique(until=until, exclusive=True)
        _, _, second, waiting = start_one_and_fetch_equal(harness, unique)
        assert harness.lock(second) == held(second.jid)
        harness.handle(waiting)
        assert (harness.lock(second), harness.ttl(second)) == (held(second.jid), ATTEMPT)
        third = harness.push(unique)
        assert (third.status, third.jid) == ("duplicate", second.jid)

    def test_until_expiry_waiting_does_not_extend_the_lock(self, harness):
        unique = harness.unique(until="expiry", exclusive=True)
        _, _, second, waiting = start_one_and_fetch_equal(harness, unique)
        harness.handle(waiting)
        assert (harness.lock(second), harness.ttl(second)) == (held(second.jid), 600)

    def test_waiting_job_leaves_the_run_lock_to_the_first(self, harness):
        unique = harness.unique(until="start", exclusive=True)
        first, _, _, waiting = start_one_and_fetch_equal(harness, unique)
        harness.handle(waiting)
        token, ttl = harness.run_lock(first)
        assert token.startswith(f"{first.jid}:")
        assert ttl == 60 + 30

    def test_waiting_job_reports_no_failed_release_of_a_run_lock(self, harness):
        """It has no run lock. Only the extension of its own lock fails, and is deferred."""
        unique = harness.unique(exclusive=True)
        _, _, _, waiting = start_one_and_fetch_equal(harness, unique)
        harness.store.away = True
        harness.handle(waiting)
        errors = [event.detail for event in harness.emitted if event.name == "store_error"]
        assert [detail.partition(":")[0] for detail in errors] == ["REQUEUE"]
        harness.store.away = False
        unique.close()

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_waiting_job_runs_after_the_first_and_spends_no_retry(self, fake, until):
        unique = fake.unique(until=until, exclusive=True)
        _, running, second, waiting = start_one_and_fetch_equal(fake, unique)
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

    def test_waiting_job_waits_at_most_a_dead_jobs_reservation(self, fake):
        unique = fake.unique(until="start", exclusive=True)
        _, _, _, waiting = start_one_and_fetch_equal(fake, unique)
        fake.handle(waiting)
        fake.faktory.clock.advance(90)
        assert fake.fetch(unique).runs


class DropMiddleware(Middleware):
    def fetch(self, job, call_next):
        return Drop("not wanted any more")


def test_job_dropped_by_a_middleware_does_not_wait(harness):
    unique = harness.unique(until="start", exclusive=True)
    first, _ = harness.push_and_fetch(unique)
    second = harness.push(unique)
    token, _ = harness.run_lock(first)
    dropped = harness.fetch(unique, DropMiddleware())
    harness.handle(dropped)
    assert harness.run_lock(first)[0] == token
    assert harness.lock(second) is None
    assert harness.sizes()["scheduled"] == 0


def test_job_with_enforce_false_does_not_wait(harness):
    unique = harness.unique(until="start", exclusive=True, enforce=False)
    first, _ = harness.push_and_fetch(unique)
    harness.push(unique)
    assert harness.fetch(unique).runs
    assert harness.run_lock(first) == (None, None)
