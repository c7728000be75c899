"""The life of what stands beside a lock (docs/design.md §5): tombstones and run locks."""

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


def only_where_it_stands(transition):
    """The same change, but where its own owner has been replaced."""
    return transition._replace(unless_replaced="new")


class TestTake:
    def test_replaceable_acquires_nothing_for_a_replaced_owner(self):
        taken = lifecycle.acquire_transition("k", "new", 60, replaceable=True)
        assert taken == Transition("k", (None,), "new?", 60, unless_replaced="new")

    def test_what_cannot_looks_for_no_tombstone(self):
        assert lifecycle.acquire_transition("k", "new", 60).unless_replaced is None


def test_the_producer_swaps_where_the_replaced_has_no_tombstone():
    transition = lifecycle.replace_transition("k", "new", "old", 600.5)
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


class TestFetchOfWhatCanBeReplaced:
    def test_until_success_it_is_held_unless_it_has_been(self):
        held = Transition("k", ("new?", "new", None), "new", ATTEMPT, extends=True)
        assert lifecycle.transition_for(Step.FETCH, stamp(), JOB) == only_where_it_stands(held)

    def test_until_start_it_is_freed_unless_it_has_been(self):
        freed = Transition("k", ("new?", "new"), None, 0)
        assert lifecycle.transition_for(Step.FETCH, stamp("start"), JOB) == only_where_it_stands(
            freed
        )

    @pytest.mark.parametrize("job", [JOB, ONE_SHOT])
    def test_until_expiry_it_is_only_looked_for(self, job):
        transition = lifecycle.transition_for(Step.FETCH, stamp("expiry"), job)
        assert transition == only_where_it_stands(read_transition("k"))
        assert transition.is_read_only


class TestFetchOfWhatReplaces:
    def test_until_success_it_is_held_if_mine_his_or_absent(self):
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

    def test_until_start_it_is_freed_if_mine_or_his(self):
        transition = lifecycle.transition_for(Step.FETCH, replacing("start"), JOB)
        assert transition == Transition(
            "k", ("new?", "new"), None, 0, unless_replaced="new", replaces="old"
        )
        assert transition.applied("old")
        assert not transition.applied("x")

    def test_until_expiry_his_is_taken_over_for_its_ttl(self):
        transition = lifecycle.transition_for(Step.FETCH, replacing("expiry"), JOB)
        assert transition == Transition("k", (), "new", TTL, unless_replaced="new", replaces="old")
        assert not transition.is_read_only

    @pytest.mark.parametrize("step", [step for step in Step if step is not Step.FETCH])
    @pytest.mark.parametrize("until", ["success", "start", "expiry"])
    def test_after_fetch_it_is_a_job_like_others(self, step, until):
        plain = Stamp("k", "new", until, TTL)
        for job in (JOB, ONE_SHOT):
            assert lifecycle.transition_for(
                step, replacing(until), job
            ) == lifecycle.transition_for(step, plain, job)


class TestTakePlace:
    """Of a job that is not to run yet."""

    @pytest.mark.parametrize("until", ["success", "start", "expiry"])
    def test_what_replaces_nobody_only_looks_for_its_tombstone(self, until):
        looked = lifecycle.replace_transition_at_fetch(stamp(until), JOB)
        assert looked == only_where_it_stands(read_transition("k"))
        assert looked.is_read_only

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
    def test_what_replaces_takes_his_lock_alone(self, until, renew, ttl):
        transition = lifecycle.replace_transition_at_fetch(replacing(until, renew=renew), JOB)
        assert transition == Transition("k", (), "new", ttl, unless_replaced="new", replaces="old")
        assert not transition.applied(None)

    def test_its_time_is_whole_seconds_rounded_up(self):
        short = replacing("expiry")._replace(ttl=0.2)
        assert lifecycle.replace_transition_at_fetch(short, JOB).ttl == 1


class TestTheRunLock:
    def test_it_is_taken_for_a_moment(self):
        assert RUN_LEASE == 30
        assert lifecycle.acquire_run_transition("k", TOKEN) == Transition(
            "{k}:run", (None,), TOKEN, 30
        )

    def test_it_is_held_for_the_reservation_by_whoever_has_it(self):
        assert lifecycle.hold_run_transition("k", TOKEN, JOB) == Transition(
            "{k}:run", (TOKEN,), TOKEN, RESERVE
        )

    def test_it_is_freed_by_whoever_has_it(self):
        assert lifecycle.release_run_transition("k", TOKEN) == Transition(
            "{k}:run", (TOKEN,), None, 0
        )
