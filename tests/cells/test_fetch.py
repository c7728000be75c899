"""Cells of FETCH: the lock is held, reacquired, released or left alone."""

from __future__ import annotations

import pytest

from faktory_unique import Drop, Middleware, ReportStatus, Requeue
from faktory_unique.locks.lifecycle import acquire_transition, release_transition
from faktory_unique.locks.transition import held, leased
from tests.cells.conftest import ERROR

# For a job with retries left: reserve_for 60, its reaping, its first backoff, its queue.
ATTEMPT = 60 + 30 + (15 + 29 + 10) + 600


def release(harness, result):
    """Release a lock, as its TTL or a person would."""
    harness.store.run([release_transition(result.key, result.submitted_jid)])


def give_to_another(harness, result):
    release(harness, result)
    harness.store.run([acquire_transition(result.key, "another-jid", 500)])


class TestUntilSuccess:
    def test_held_lock_is_renewed_for_one_attempt(self, harness):
        unique = harness.unique()
        result = harness.push(unique)
        assert harness.fetch(unique).runs
        assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), ATTEMPT)
        assert harness.events()[-1] == "renewed"

    def test_leased_lock_is_held_for_one_attempt(self, harness):
        """The worker was faster than the producer's confirm, or the producer has died."""
        unique = harness.unique()
        result = harness.push(unique)
        release(harness, result)
        harness.store.run([acquire_transition(result.key, result.jid, 40)])
        assert harness.fetch(unique).runs
        assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), ATTEMPT)

    def test_absent_lock_is_reacquired_and_reported(self, harness):
        unique = harness.unique()
        result = harness.push(unique)
        release(harness, result)
        assert harness.fetch(unique).runs
        assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), ATTEMPT)
        assert harness.events()[-1] == "reacquired"

    def test_lock_acquired_between_the_two_steps_is_lapsed(self, harness):
        """The first reply says that the lock is absent; then a push acquires it (5.42)."""
        unique = harness.unique()
        result = harness.push(unique)
        harness.store.run([release_transition(result.key, result.jid)])
        other = acquire_transition(result.key, "other-jid", 30)
        harness.after_next_run(lambda: harness.store.run([other]))
        assert harness.fetch(unique).runs
        assert harness.events()[-1] == "lapsed"
        assert harness.lock(result) == leased("other-jid")

    def test_lock_of_another_stays_and_the_job_runs_as_lapsed(self, harness):
        unique = harness.unique()
        result = harness.push(unique)
        give_to_another(harness, result)
        fetched = harness.fetch(unique)
        assert fetched.runs
        assert (harness.lock(result), harness.ttl(result)) == (leased("another-jid"), 500)
        assert harness.events()[-1] == "lapsed"
        harness.ack(fetched)
        assert harness.lock(result) == leased("another-jid")

    def test_last_attempt_holds_for_its_reservation_only(self, harness):
        unique = harness.unique()
        result = harness.push(unique, retry=0)
        assert harness.fetch(unique).runs
        assert harness.ttl(result) == 60 + 30

    def test_last_attempt_with_keep_also_holds_for_ttl(self, harness):
        unique = harness.unique(on_death="keep")
        result = harness.push(unique, retry=-1)
        assert harness.fetch(unique).runs
        assert harness.ttl(result) == 60 + 30 + 600

    def test_retry_holds_for_its_own_backoff(self, fake):
        unique = fake.unique()
        result = fake.push(unique)
        fake.fail(fake.fetch(unique))
        fake.advance(60)
        assert fake.fetch(unique).runs
        assert fake.ttl(result) == 60 + 30 + (1 + 15 + 58 + 10) + 600

    def test_store_away_runs_the_job_and_holds_later(self, harness, wait_for):
        unique = harness.unique()
        result = harness.push(unique)
        harness.store.away = True
        assert harness.fetch(unique).runs
        assert harness.events()[-1] == "store_error"
        harness.store.away = False
        wait_for(lambda: harness.ttl(result) > 700)
        assert harness.lock(result) == held(result.jid)
        assert harness.events()[-1] == "renewed"

    def test_store_away_until_the_end_releases_the_lock_later(self, harness, wait_for):
        unique = harness.unique()
        result = harness.push(unique)
        harness.store.away = True
        harness.ack(harness.fetch(unique))
        assert harness.lock(result) == held(result.jid)
        harness.store.away = False
        wait_for(lambda: harness.events()[-1] == "released")
        assert harness.lock(result) is None

    def test_deferred_hold_after_the_end_acquires_nothing(self, harness, wait_for):
        """The retry may have run on another worker by then, and have released the lock."""
        unique = harness.unique()
        result = harness.push(unique)
        harness.store.away = True
        harness.fail(harness.fetch(unique))
        harness.store.away = False
        release(harness, result)
        unique.close()
        assert harness.lock(result) is None

    def test_hold_during_the_report_emits_lapsed(self, harness):
        unique = harness.unique()
        result = harness.push(unique)
        harness.store.away = True
        fetched = harness.fetch(unique)

        def meanwhile(_job, _error):
            harness.store.away = False
            release(harness, result)
            unique._context.deferred.flush()
            return ReportStatus.UNKNOWN

        unique.fail(fetched.job, ERROR, meanwhile)
        assert harness.lock(result) is None
        assert harness.events()[-1] == "lapsed"


class TestUntilSuccessWithoutRenew:
    def test_held_lock_keeps_its_ttl(self, harness):
        unique = harness.unique(renew=False)
        result = harness.push(unique)
        assert harness.fetch(unique).runs
        assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), 600)

    def test_leased_lock_is_confirmed(self, harness):
        unique = harness.unique(renew=False)
        result = harness.push(unique)
        release(harness, result)
        harness.store.run([acquire_transition(result.key, result.jid, 40)])
        assert harness.fetch(unique).runs
        assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), 600)

    def test_absent_lock_stays_absent_and_is_reported(self, harness):
        unique = harness.unique(renew=False)
        result = harness.push(unique)
        release(harness, result)
        assert harness.fetch(unique).runs
        assert harness.lock(result) is None
        assert harness.events()[-1] == "lapsed"


class TestUntilStart:
    @pytest.mark.parametrize("state", ["held", "leased"])
    def test_own_lock_is_released_before_the_handler_starts(self, harness, state):
        unique = harness.unique(until="start")
        result = harness.push(unique)
        if state == "leased":
            release(harness, result)
            harness.store.run([acquire_transition(result.key, result.jid, 40)])
        assert harness.fetch(unique).runs
        assert harness.lock(result) is None
        assert harness.push(unique)

    def test_absent_at_the_first_attempt_emits_lapsed(self, harness):
        unique = harness.unique(until="start")
        result = harness.push(unique)
        release(harness, result)
        assert harness.fetch(unique).runs
        assert harness.lock(result) is None
        assert harness.events()[-1] == "lapsed"

    def test_absent_at_a_retry_emits_nothing(self, fake):
        unique = fake.unique(until="start")
        fake.push(unique)
        fake.fail(fake.fetch(unique))
        seen = fake.events()
        fake.advance(60)
        assert fake.fetch(unique).runs
        assert fake.events() == seen

    def test_absent_after_a_requeue_emits_nothing(self, harness):
        unique = harness.unique(until="start")
        harness.push(unique)
        harness.requeue(harness.fetch(unique), 0)
        seen = harness.events()
        assert harness.fetch(unique).runs
        assert harness.events() == seen

    def test_lock_of_another_stays_and_emits_lapsed(self, harness):
        unique = harness.unique(until="start")
        result = harness.push(unique)
        give_to_another(harness, result)
        assert harness.fetch(unique).runs
        assert harness.lock(result) == leased("another-jid")
        assert harness.events()[-1] == "lapsed"

    def test_store_away_requeues_the_job(self, harness):
        """If the job ran with its lock, a push would be a duplicate, and its work would be lost."""
        unique = harness.unique(until="start")
        result = harness.push(unique)
        harness.store.away = True
        fetched = harness.fetch(unique)
        assert fetched.step == Requeue(10)
        harness.requeue(fetched, 10)
        assert harness.sizes() == {
            "queued": 0,
            "scheduled": 1,
            "retries": 0,
            "dead": 0,
            "working": 0,
        }
        harness.store.away = False
        assert harness.lock(result) == held(result.jid)


class TestUntilExpiry:
    def test_lock_is_left_alone(self, harness):
        unique = harness.unique(until="expiry")
        result = harness.push(unique)
        assert harness.fetch(unique).runs
        assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), 600)


class DropMiddleware(Middleware):
    def fetch(self, job, call_next):
        return Drop("not wanted any more")


@pytest.mark.parametrize("until", ["success", "start"])
def test_job_dropped_by_a_middleware_releases_its_lock(harness, until):
    unique = harness.unique(until=until)
    result = harness.push(unique)
    fetched = harness.fetch(unique, DropMiddleware())
    assert not fetched.runs
    harness.handle(fetched)
    assert harness.lock(result) is None
    assert sum(harness.sizes().values()) == 0
