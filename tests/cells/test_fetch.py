"""The row of FETCH: hold, take again, or let it run all the same."""

from __future__ import annotations

import pytest

from faktory_unique import Drop, Middleware, ReportStatus, Requeue
from faktory_unique.locks.lifecycle import acquire_transition, release_transition
from faktory_unique.locks.transition import held, leased
from tests.cells.conftest import ERROR

# Of a job with retries left: reserve_for 60, its reaping, its first backoff, its queue.
ATTEMPT = 60 + 30 + (15 + 29 + 10) + 600


def free(ground, result):
    """As time, or somebody by hand, would."""
    ground.store.run([release_transition(result.key, result.submitted_jid)])


def give_to_another(ground, result):
    free(ground, result)
    ground.store.run([acquire_transition(result.key, "another-jid", 500)])


class TestUntilSuccess:
    def test_mine_held_it_is_held_for_one_attempt(self, ground):
        unique = ground.unique()
        result = ground.push(unique)
        assert ground.fetch(unique).runs
        assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), ATTEMPT)
        assert ground.events()[-1] == "renewed"

    def test_mine_leased_it_is_held_for_one_attempt(self, ground):
        """The worker was faster than the producer's confirm, or its producer has died."""
        unique = ground.unique()
        result = ground.push(unique)
        free(ground, result)
        ground.store.run([acquire_transition(result.key, result.jid, 40)])
        assert ground.fetch(unique).runs
        assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), ATTEMPT)

    def test_absent_it_is_taken_again_and_said(self, ground):
        unique = ground.unique()
        result = ground.push(unique)
        free(ground, result)
        assert ground.fetch(unique).runs
        assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), ATTEMPT)
        assert ground.events()[-1] == "reacquired"

    def test_anothers_lock_stays_and_the_job_runs_as_lapsed(self, ground):
        unique = ground.unique()
        result = ground.push(unique)
        give_to_another(ground, result)
        fetched = ground.fetch(unique)
        assert fetched.runs
        assert (ground.lock(result), ground.ttl(result)) == (leased("another-jid"), 500)
        assert ground.events()[-1] == "lapsed"
        ground.ack(fetched)
        assert ground.lock(result) == leased("another-jid")

    def test_the_last_attempt_is_held_for_its_reservation_alone(self, ground):
        unique = ground.unique()
        result = ground.push(unique, retry=0)
        assert ground.fetch(unique).runs
        assert ground.ttl(result) == 60 + 30

    def test_kept_by_death_the_last_attempt_is_held_for_ttl_too(self, ground):
        unique = ground.unique(on_death="keep")
        result = ground.push(unique, retry=-1)
        assert ground.fetch(unique).runs
        assert ground.ttl(result) == 60 + 30 + 600

    def test_a_retry_is_held_for_its_own_backoff(self, fake):
        unique = fake.unique()
        result = fake.push(unique)
        fake.fail(fake.fetch(unique))
        fake.advance(60)
        assert fake.fetch(unique).runs
        assert fake.ttl(result) == 60 + 30 + (1 + 15 + 58 + 10) + 600

    def test_with_the_store_away_the_job_runs_and_is_held_later(self, ground, wait_for):
        unique = ground.unique()
        result = ground.push(unique)
        ground.store.away = True
        assert ground.fetch(unique).runs
        assert ground.events()[-1] == "store_error"
        ground.store.away = False
        wait_for(lambda: ground.ttl(result) > 700)
        assert ground.lock(result) == held(result.jid)
        assert ground.events()[-1] == "renewed"

    def test_store_away_until_the_end_releases_the_lock_later(self, ground, wait_for):
        unique = ground.unique()
        result = ground.push(unique)
        ground.store.away = True
        ground.ack(ground.fetch(unique))
        assert ground.lock(result) == held(result.jid)
        ground.store.away = False
        wait_for(lambda: ground.events()[-1] == "released")
        assert ground.lock(result) is None

    def test_a_hold_that_comes_after_the_end_takes_nothing_anew(self, ground, wait_for):
        """The retry may have run elsewhere by then, and have freed the lock."""
        unique = ground.unique()
        result = ground.push(unique)
        ground.store.away = True
        ground.fail(ground.fetch(unique))
        ground.store.away = False
        free(ground, result)
        unique.close()
        assert ground.lock(result) is None

    def test_hold_during_the_report_emits_lapsed(self, ground):
        unique = ground.unique()
        result = ground.push(unique)
        ground.store.away = True
        fetched = ground.fetch(unique)

        def meanwhile(_job, _error):
            ground.store.away = False
            free(ground, result)
            unique._context.deferred.flush()
            return ReportStatus.UNKNOWN

        unique.fail(fetched.job, ERROR, meanwhile)
        assert ground.lock(result) is None
        assert ground.events()[-1] == "lapsed"


class TestUntilSuccessNotRenewed:
    def test_held_its_time_runs_on(self, ground):
        unique = ground.unique(renew=False)
        result = ground.push(unique)
        assert ground.fetch(unique).runs
        assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), 600)

    def test_leased_it_is_confirmed(self, ground):
        unique = ground.unique(renew=False)
        result = ground.push(unique)
        free(ground, result)
        ground.store.run([acquire_transition(result.key, result.jid, 40)])
        assert ground.fetch(unique).runs
        assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), 600)

    def test_absent_it_stays_absent_and_is_said(self, ground):
        unique = ground.unique(renew=False)
        result = ground.push(unique)
        free(ground, result)
        assert ground.fetch(unique).runs
        assert ground.lock(result) is None
        assert ground.events()[-1] == "lapsed"


class TestUntilStart:
    @pytest.mark.parametrize("state", ["held", "leased"])
    def test_mine_it_is_freed_before_the_handler_starts(self, ground, state):
        unique = ground.unique(until="start")
        result = ground.push(unique)
        if state == "leased":
            free(ground, result)
            ground.store.run([acquire_transition(result.key, result.jid, 40)])
        assert ground.fetch(unique).runs
        assert ground.lock(result) is None
        assert ground.push(unique)

    def test_absent_at_the_first_attempt_emits_lapsed(self, ground):
        unique = ground.unique(until="start")
        result = ground.push(unique)
        free(ground, result)
        assert ground.fetch(unique).runs
        assert ground.lock(result) is None
        assert ground.events()[-1] == "lapsed"

    def test_absent_at_a_retry_there_is_nothing_to_say(self, fake):
        unique = fake.unique(until="start")
        fake.push(unique)
        fake.fail(fake.fetch(unique))
        seen = fake.events()
        fake.advance(60)
        assert fake.fetch(unique).runs
        assert fake.events() == seen

    def test_absent_after_a_requeue_there_is_nothing_to_say(self, ground):
        unique = ground.unique(until="start")
        ground.push(unique)
        ground.requeue(ground.fetch(unique), 0)
        seen = ground.events()
        assert ground.fetch(unique).runs
        assert ground.events() == seen

    def test_anothers_it_is_left_alone_and_that_is_said(self, ground):
        unique = ground.unique(until="start")
        result = ground.push(unique)
        give_to_another(ground, result)
        assert ground.fetch(unique).runs
        assert ground.lock(result) == leased("another-jid")
        assert ground.events()[-1] == "lapsed"

    def test_with_the_store_away_it_is_requeued(self, ground):
        """A push while it ran would be a duplicate, and what it came to tell would be lost."""
        unique = ground.unique(until="start")
        result = ground.push(unique)
        ground.store.away = True
        fetched = ground.fetch(unique)
        assert fetched.step == Requeue(10)
        ground.requeue(fetched, 10)
        assert ground.sizes() == {
            "queued": 0,
            "scheduled": 1,
            "retries": 0,
            "dead": 0,
            "working": 0,
        }
        ground.store.away = False
        assert ground.lock(result) == held(result.jid)


class TestUntilExpiry:
    def test_it_is_left_alone(self, ground):
        unique = ground.unique(until="expiry")
        result = ground.push(unique)
        assert ground.fetch(unique).runs
        assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), 600)


class Dropping(Middleware):
    def fetch(self, job, call_next):
        return Drop("not wanted any more")


@pytest.mark.parametrize("until", ["success", "start"])
def test_a_job_that_another_middleware_drops_leaves_no_lock(ground, until):
    unique = ground.unique(until=until)
    result = ground.push(unique)
    fetched = ground.fetch(unique, Dropping())
    assert not fetched.runs
    ground.handle(fetched)
    assert ground.lock(result) is None
    assert sum(ground.sizes().values()) == 0
