"""Transitions of side keys (docs/design.md §5): tombstones and run locks."""

from __future__ import annotations

import pytest

from faktory_unique.locks import lifecycle
from faktory_unique.locks.lifecycle import RUN_LEASE, Step
from faktory_unique.locks.stamp import Stamp
from faktory_unique.locks.transition import Transition, read_transition

TTL = 600
RESERVE = 90 + 30
FIRST_RETRY = 15 + 29 + 10

JOB = {"jid": "copy-jid-1", "jobtype": "T", "args": [], "retry": 2, "reserve_for": 90}
ONE_SHOT = {**JOB, "retry": 0}
ATTEMPT = RESERVE + FIRST_RETRY + TTL

TOKEN = "copy-jid-1:0123456789abcdef"


def stamp(until="success", **fields):
    return Stamp("k", "new", until, TTL, replaceable=True, **fields)


def replacing(until="success", **fields):
    return stamp(until, replaces="old", **fields)


def unless_own_replaced(transition):
    """Return the same transition, which does not apply if its own owner was replaced."""
    return transition._replace(unless_replaced="new")


class TestAcquire:
    def test_replaceable_acquires_nothing_for_a_replaced_owner(self):
        transition = lifecycle.acquire_transition("k", "new", 60, replaceable=True)
        assert transition == Transition("k", (None,), "new?", 60, unless_replaced="new")

    def test_not_replaceable_reads_no_tombstone(self):
        assert lifecycle.acquire_transition("k", "new", 60).unless_replaced is None


def test_swap_applies_if_the_replaced_owner_has_no_tombstone():
    transition = lifecycle.swap_transition("k", "new", "old", 600.5)
    assert transition == Transition(
        "k", (None,), "new", 601, unless_replaced="new", replaces="old", once=True
    )
    assert [transition.applied(found) for found in (None, "old", "new", "old?", "x")] == [
        True,
        True,
        False,
        False,
        False,
    ]


class TestFetchReplaceable:
    def test_until_success_holds_unless_replaced(self):
        held = Transition("k", ("new?", "new", None), "new", ATTEMPT, extends=True)
        assert lifecycle.transition_for(Step.FETCH, stamp(), JOB) == unless_own_replaced(held)

    def test_until_start_releases_unless_replaced(self):
        release = Transition("k", ("new?", "new"), None, 0)
        assert lifecycle.transition_for(Step.FETCH, stamp("start"), JOB) == unless_own_replaced(
            release
        )

    @pytest.mark.parametrize("job", [JOB, ONE_SHOT])
    def test_until_expiry_reads_only(self, job):
        transition = lifecycle.transition_for(Step.FETCH, stamp("expiry"), job)
        assert transition == unless_own_replaced(read_transition("k"))
        assert transition.is_read_only


class TestFetchReplacing:
    def test_until_success_holds_its_own_the_old_or_no_lock(self):
        transition = lifecycle.transition_for(Step.FETCH, replacing(), JOB)
        assert transition == Transition(
            *("k", ("new?", "new", None), "new", ATTEMPT),
            extends=True,
            unless_replaced="new",
            replaces="old",
        )

    def test_until_success_without_renew_is_confirmed_or_replaced(self):
        transition = lifecycle.transition_for(Step.FETCH, replacing(renew=False), JOB)
        assert transition == Transition(
            "k", ("new?",), "new", TTL, unless_replaced="new", replaces="old"
        )

    def test_until_start_releases_its_own_or_the_old_lock(self):
        transition = lifecycle.transition_for(Step.FETCH, replacing("start"), JOB)
        assert transition == Transition(
            "k", ("new?", "new"), None, 0, unless_replaced="new", replaces="old"
        )
        assert transition.applied("old")
        assert not transition.applied("x")

    def test_until_expiry_replaces_the_old_lock_for_its_ttl(self):
        transition = lifecycle.transition_for(Step.FETCH, replacing("expiry"), JOB)
        assert transition == Transition("k", (), "new", TTL, unless_replaced="new", replaces="old")
        assert not transition.is_read_only

    @pytest.mark.parametrize("step", [step for step in Step if step is not Step.FETCH])
    @pytest.mark.parametrize("until", ["success", "start", "expiry"])
    def test_after_fetch_it_is_a_job_like_any_other(self, step, until):
        plain = Stamp("k", "new", until, TTL)
        for job in (JOB, ONE_SHOT):
            assert lifecycle.transition_for(
                step, replacing(until), job
            ) == lifecycle.transition_for(step, plain, job)


class TestReplaceWithoutRun:
    """A fetched job that does not run yet."""

    @pytest.mark.parametrize("until", ["success", "start", "expiry"])
    def test_job_that_replaces_no_other_reads_its_tombstone(self, until):
        transition = lifecycle.swap_transition_at_fetch(stamp(until), JOB)
        assert transition == unless_own_replaced(read_transition("k"))
        assert transition.is_read_only

    @pytest.mark.parametrize(
        ("until", "renew", "ttl"),
        [
            ("success", True, ATTEMPT),
            ("start", True, ATTEMPT),
            ("expiry", True, TTL),
            ("success", False, TTL),
            ("start", False, TTL),
        ],
    )
    def test_job_that_replaces_another_gets_its_held_lock_only(self, until, renew, ttl):
        transition = lifecycle.swap_transition_at_fetch(replacing(until, renew=renew), JOB)
        assert transition == Transition("k", (), "new", ttl, unless_replaced="new", replaces="old")
        assert not transition.applied(None)

    def test_ttl_is_whole_seconds_rounded_up(self):
        short = replacing("expiry")._replace(ttl=0.2)
        assert lifecycle.swap_transition_at_fetch(short, JOB).ttl == 1


class TestRunLock:
    def test_run_lock_is_acquired_for_30_seconds(self):
        assert RUN_LEASE == 30
        assert lifecycle.acquire_run_transition("k", TOKEN) == Transition(
            "{k}:run", (None,), TOKEN, 30
        )

    def test_run_lock_is_held_for_the_reservation_by_its_token(self):
        assert lifecycle.hold_run_transition("k", TOKEN, JOB) == Transition(
            "{k}:run", (TOKEN,), TOKEN, RESERVE
        )

    def test_run_lock_is_released_by_its_token(self):
        assert lifecycle.release_run_transition("k", TOKEN) == Transition(
            "{k}:run", (TOKEN,), None, 0
        )
