"""The table of docs/design.md §5, cell by cell, as transitions; tests/cells has their effects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from faktory_unique.locks import lifecycle, lock_ttl
from faktory_unique.locks.lifecycle import Act, Step
from faktory_unique.locks.stamp import Stamp
from faktory_unique.locks.transition import Transition

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)

# Seconds: a reservation of 90, noticed 30 late at the worst; a queue in which jobs wait 600.
TTL = 600
RESERVE = 90 + 30
FIRST_RETRY = 15 + 29 + 10
SECOND_RETRY = 1 + 15 + 2 * 29 + 10

FRESH = {"jid": "copy-jid-1", "jobtype": "T", "args": [], "retry": 2, "reserve_for": 90}
FAILED_ONCE = {**FRESH, "failure": {"retry_count": 0}}
LAST_ATTEMPT = {**FRESH, "failure": {"retry_count": 1}}
ONE_SHOT = {**FRESH, "retry": 0}
TO_THE_DEAD = {**FRESH, "retry": -1}

RELEASED = Transition("k", ("o?", "o"), None, 0)


def stamp(until="success", **fields):
    return Stamp("k", "o", until, TTL, **fields)


def held_for(seconds):
    return Transition("k", ("o?", "o", None), "o", seconds)


def extended_to(seconds):
    return Transition("k", ("o?", "o"), "o", seconds, extends=True)


@pytest.mark.parametrize(
    ("transition", "expected"),
    [
        (lifecycle.acquire_transition("k", "o", 60), Transition("k", (None,), "o?", 60)),
        (lifecycle.renew_transition("k", "o", 60), Transition("k", ("o?", None), "o?", 60)),
        (lifecycle.confirm_transition("k", "o", 600), Transition("k", ("o?",), "o", 600)),
        (lifecycle.rollback_transition("k", "o"), Transition("k", ("o?",), None, 0)),
        (lifecycle.release_transition("k", "o"), RELEASED),
    ],
)
def test_transitions_before_fetch_are_alike_for_each_until(transition, expected):
    assert transition == expected


@pytest.mark.parametrize(
    "transition",
    [
        lifecycle.acquire_transition("k", "o", 0.2),
        lifecycle.renew_transition("k", "o", 0.2),
        lifecycle.confirm_transition("k", "o", 0.2),
    ],
)
def test_ttl_is_whole_seconds_rounded_up(transition):
    assert transition.ttl == 1


class TestFetch:
    @pytest.mark.parametrize(
        ("job", "seconds"),
        [(LAST_ATTEMPT, RESERVE), (ONE_SHOT, RESERVE), (TO_THE_DEAD, RESERVE)],
    )
    def test_until_success_holds_for_one_silent_attempt(self, job, seconds):
        assert lifecycle.transition_for(Step.FETCH, stamp(), job) == held_for(seconds)

    @pytest.mark.parametrize(
        ("job", "seconds"),
        [(FRESH, RESERVE + FIRST_RETRY + TTL), (FAILED_ONCE, RESERVE + SECOND_RETRY + TTL)],
    )
    def test_with_a_retry_left_a_hold_never_shortens(self, job, seconds):
        held = held_for(seconds)._replace(extends=True)
        assert lifecycle.transition_for(Step.FETCH, stamp(), job) == held

    @pytest.mark.parametrize(
        ("job", "seconds"),
        [(LAST_ATTEMPT, RESERVE + TTL), (TO_THE_DEAD, RESERVE + TTL), (ONE_SHOT, RESERVE)],
    )
    def test_keep_on_death_covers_the_wait_of_a_revived_job(self, job, seconds):
        assert lifecycle.transition_for(Step.FETCH, stamp(on_death="keep"), job) == held_for(
            seconds
        )

    def test_without_renew_fetch_only_confirms(self):
        transition = lifecycle.transition_for(Step.FETCH, stamp(renew=False), FRESH)
        assert transition == Transition("k", ("o?",), "o", TTL)

    def test_until_start_fetch_releases(self):
        assert lifecycle.transition_for(Step.FETCH, stamp("start"), FRESH) == RELEASED

    def test_until_expiry_fetch_does_nothing(self):
        assert lifecycle.transition_for(Step.FETCH, stamp("expiry"), FRESH) is None


class TestAck:
    @pytest.mark.parametrize("job", [FRESH, LAST_ATTEMPT, ONE_SHOT])
    def test_until_success_ack_releases(self, job):
        assert lifecycle.transition_for(Step.ACK, stamp(), job) == RELEASED

    @pytest.mark.parametrize("job", [LAST_ATTEMPT, ONE_SHOT, TO_THE_DEAD])
    def test_late_ack_releases_if_the_expiry_ended_the_job(self, job):
        assert lifecycle.transition_for(Step.ACK_LATE, stamp(), job) == RELEASED

    @pytest.mark.parametrize("job", [FRESH, FAILED_ONCE])
    def test_late_ack_leaves_the_lock_to_a_possible_rerun(self, job):
        assert lifecycle.transition_for(Step.ACK_LATE, stamp(), job) is None


@pytest.mark.parametrize("until", ["success", "start"])
class TestFail:
    """Also until="start", for a job that failed before it started: it has no handler, say."""

    @pytest.mark.parametrize(
        ("job", "seconds"), [(FRESH, FIRST_RETRY + TTL), (FAILED_ONCE, SECOND_RETRY + TTL)]
    )
    def test_retried_job_keeps_its_lock_while_the_retry_can_wait(self, until, job, seconds):
        assert lifecycle.transition_for(Step.FAIL, stamp(until), job) == extended_to(seconds)

    def test_retried_job_without_renew_does_nothing(self, until):
        assert lifecycle.transition_for(Step.FAIL, stamp(until, renew=False), FRESH) is None

    @pytest.mark.parametrize("job", [LAST_ATTEMPT, TO_THE_DEAD])
    @pytest.mark.parametrize("renew", [True, False])
    def test_dead_job_releases(self, until, job, renew):
        assert lifecycle.transition_for(Step.FAIL, stamp(until, renew=renew), job) == RELEASED

    @pytest.mark.parametrize("job", [LAST_ATTEMPT, TO_THE_DEAD])
    def test_dead_job_with_keep_holds_for_ttl(self, until, job):
        keeping = stamp(until, on_death="keep")
        assert lifecycle.transition_for(Step.FAIL, keeping, job) == Transition(
            "k", ("o?", "o"), "o", TTL
        )
        fixed = stamp(until, on_death="keep", renew=False)
        assert lifecycle.transition_for(Step.FAIL, fixed, job) is None

    @pytest.mark.parametrize("on_death", ["release", "keep"])
    def test_dropped_job_releases(self, until, on_death):
        assert (
            lifecycle.transition_for(Step.FAIL, stamp(until, on_death=on_death), ONE_SHOT)
            == RELEASED
        )


@pytest.mark.parametrize("until", ["success", "start"])
class TestRequeue:
    """Also until="start", for a job that waits for a run lock, or that could not release."""

    @pytest.mark.parametrize(
        ("job", "delay", "seconds"),
        [
            (FRESH, 0, RESERVE + FIRST_RETRY + TTL),
            (FRESH, 90, RESERVE + FIRST_RETRY + TTL),
            (FRESH, RESERVE + FIRST_RETRY, RESERVE + FIRST_RETRY + 10 + TTL),
            (ONE_SHOT, 0, TTL),
            (ONE_SHOT, 1, 11 + TTL),
            (ONE_SHOT, 90, 100 + TTL),
        ],
    )
    def test_lock_lasts_for_the_copys_wait_or_this_attempt(self, until, job, delay, seconds):
        """A worker that dies during the requeue leaves the job to its reservation."""
        transition = lifecycle.transition_for(Step.REQUEUE, stamp(until), job, delay)
        assert transition == extended_to(seconds)

    def test_copy_without_a_delay_is_due_at_once(self, until):
        assert lifecycle.transition_for(Step.REQUEUE, stamp(until), ONE_SHOT) == extended_to(TTL)

    def test_requeue_without_renew_does_nothing(self, until):
        assert lifecycle.transition_for(Step.REQUEUE, stamp(until, renew=False), FRESH, 90) is None


@pytest.mark.parametrize("job", [FRESH, LAST_ATTEMPT, ONE_SHOT])
@pytest.mark.parametrize("step", Step)
def test_until_expiry_no_step_does_anything(step, job):
    assert lifecycle.transition_for(step, stamp("expiry"), job, 90) is None


@pytest.mark.parametrize("job", [FRESH, LAST_ATTEMPT, ONE_SHOT])
@pytest.mark.parametrize("step", [Step.ACK, Step.ACK_LATE])
def test_until_start_leaves_a_started_job_alone(step, job):
    assert lifecycle.transition_for(step, stamp("start"), job, 90) is None


def test_table_has_a_cell_for_each_step_and_until():
    assert set(lifecycle.TABLE) == set(Step)
    for step in Step:
        assert set(lifecycle.TABLE[step]) == {"success", "start", "expiry"}
    assert {act for row in lifecycle.TABLE.values() for act in row.values()} == set(Act)


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        (None, 0),
        (NOW - timedelta(hours=1), 0),
        (NOW, 0),
        (NOW + timedelta(seconds=1), 11),
        (NOW + timedelta(hours=1), 3610),
    ],
)
def test_wait_is_never_negative_and_has_a_margin(due, expected):
    """Promotion runs every 5 s and can skip a tick (server/task_runner.go:119-121)."""
    assert lock_ttl.seconds_until_queued(due, NOW) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(None, 0), (-3600, 0), (0, 0), (1, 1)])
def test_delay_is_a_wait_without_the_margin(seconds, expected):
    """For a lock with a fixed TTL: nothing is added to it."""
    due = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert lock_ttl.seconds_until_due(due, NOW) == expected
