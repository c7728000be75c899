"""Exclusive jobs: each verdict on two that are live, and on two that run at once."""

from __future__ import annotations

import pytest

from tests.chaos.accounts import Accounts
from tests.chaos.settings import TTL
from tests.chaos.story import reasons
from tests.chaos.turns import RUN_LOCK

KEY = "u:ChaosExclusive:k"


@pytest.fixture
def running(story):
    """The first runs from 1 to 5 when the second is pushed."""
    story.push("x", 0, key=KEY)
    story.run("x", 1, takes=4)
    story.push("y", 2, key=KEY)
    return story


def test_pushed_while_its_equal_runs_and_run_after_it(running):
    running.run("y", 6)
    assert Accounts(running.facts()).good
    assert Accounts(running.facts()).overlaps == []


def test_pushed_while_its_equal_waits(story):
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY)
    story.run("x", 2)
    story.run("y", 4)
    assert reasons(story) == [None]


def test_pushed_while_its_equal_waits_for_its_turn(running):
    running.fetch("y", 2.5, held="run_blocked", detail="x runs", answer="Requeue")
    running.report("requeue", "y", 2.6)
    running.push("z", 3, key=KEY)
    running.run("y", 6, jid="copy", parent="y")
    running.run("z", 8)
    assert reasons(running) == [None]
    assert Accounts(running.facts()).last_line(0, 0).endswith(" run_blocked=1")


def test_what_waits_its_turn_has_its_lock_for_longer_than_ttl(running):
    running.fetch("y", 2.5, held="run_blocked", detail="x runs", answer="Requeue")
    running.report("requeue", "y", 2.6)
    running.push("z", TTL + 10, key=KEY)
    running.run("y", TTL + 20, jid="copy", parent="y")
    running.run("z", TTL + 30)
    assert reasons(running) == [None]


def test_the_store_failed_to_give_it_a_longer_time(running):
    running.fetch("y", 2.5, held="run_blocked", detail="x runs", answer="Requeue")
    running.event("store_error", "y", 2.61, detail="REQUEUE: away; made when it is back")
    running.report("requeue", "y", 2.6)
    running.push("z", TTL + 10, key=KEY)
    running.run("y", TTL + 20, jid="copy", parent="y")
    running.run("z", TTL + 30)
    assert reasons(running) == ["store_error"]


def test_waited_longer_than_ttl_before_its_first_turn(running):
    running.push("z", TTL + 10, key=KEY)
    running.fetch("y", TTL + 11, held="run_blocked", detail="a runs", answer="Requeue")
    running.report("requeue", "y", TTL + 11.1)
    running.run("y", TTL + 20, jid="copy", parent="y")
    running.run("z", TTL + 30)
    assert reasons(running) == ["waited_longer_than_ttl"]


@pytest.mark.parametrize(("failures", "reason"), [(1, "waited_longer_than_ttl"), (0, None)])
def test_waited_longer_than_ttl_when_the_answer_to_its_fetch_was_lost(running, failures, reason):
    running.push("z", TTL + 10, key=KEY)
    running.fetch("y", TTL + 80, failures=failures, held=None, answer="Run")
    running.done("y", TTL + 81)
    running.report("ack", "y", TTL + 81)
    running.run("z", TTL + 90)
    assert reasons(running) == [reason]


@pytest.mark.parametrize(
    ("said", "reason"),
    [("FETCH: no answer", "freed_unheard"), ("FETCH: Error 111 connecting to Redis", None)],
)
def test_its_lock_was_freed_and_nobody_heard_of_it(running, said, reason):
    running.fetch("y", 2.5, held="store_error", detail=said, answer="Requeue")
    running.report("requeue", "y", 2.6)
    running.push("z", 3, key=KEY)
    running.run("y", 6, jid="copy", parent="y")
    running.run("z", 8)
    assert reasons(running) == [reason]


def test_two_at_once(running):
    running.run("y", 4)
    told = Accounts(running.facts())
    assert [overlap.reason for overlap in told.overlaps] == [None]
    assert not told.good
    assert list(told.cases()) == [
        f"unexplained overlap: key={KEY}: jid=y of owner=y began while jid=x of owner=x ran"
    ]


def test_two_at_once_of_another_policy(story):
    story.push("x", 0, key="u:Chaos:k")
    story.run("x", 1, takes=4)
    story.push("y", 6, key="u:Chaos:k")
    story.run("y", 6)
    story.started("x", 6.5)
    assert Accounts(story.facts()).overlaps == []


def test_redis_forgot_who_ran(running):
    running.forgot(3, 3.1)
    running.run("y", 4)
    assert reasons(running) == ["redis_forgot"]


@pytest.mark.parametrize("when", [0.5, 4.5])
def test_redis_forgot_at_another_time(running, when):
    running.forgot(when, when + 0.1)
    running.run("y", 4)
    assert reasons(running) == [None]


def test_a_stop_of_its_worker_explains_nothing_while_the_run_lock_stands(running):
    running.stopped("w", 1.5, 3)
    running.run("y", 4)
    assert reasons(running) == [None]


def test_a_store_that_is_slow_explains_nothing(running):
    running.delayed("redis", 1, 5)
    running.run("y", 4)
    assert reasons(running) == [None]


def test_a_handler_that_outlives_its_worker(story):
    story.push("x", 0, key=KEY)
    story.fetch("x", 1, answer="Run")
    story.started("x", 1.1)
    story.ended("w", 1.2)
    story.done("x", 6)
    story.push("y", 2, key=KEY)
    story.run("y", 4, who="other")
    assert reasons(story) == [None]


def test_a_handler_that_was_killed_with_its_worker(story):
    story.push("x", 0, key=KEY)
    story.fetch("x", 1, answer="Run")
    story.started("x", 1.1)
    story.ended("w", 1.2)
    story.push("y", 2, key=KEY)
    story.run("y", 100, who="other")
    story.run("x", 160, who="other")
    assert Accounts(story.facts()).overlaps == []


@pytest.mark.parametrize(
    ("taken", "reason"), [(RUN_LOCK + 2, "ran_past_its_reservation"), (RUN_LOCK - 2, None)]
)
def test_ran_past_its_reservation(story, taken, reason):
    story.push("x", 0, key=KEY)
    story.run("x", 1, takes=RUN_LOCK + 20)
    story.push("y", 2, key=KEY)
    story.run("y", taken, who="other")
    assert reasons(story) == [reason]


@pytest.mark.parametrize(("who", "reason"), [("w", "stood_still"), ("another", None)])
def test_stood_still_between_its_turn_and_its_handler(story, who, reason):
    story.push("x", 0, key=KEY)
    story.fetch("x", 1, answer="Run")
    story.stopped(who, 1.5, RUN_LOCK + 5)
    story.started("x", RUN_LOCK + 6)
    story.done("x", RUN_LOCK + 7)
    story.push("y", 2, key=KEY)
    story.run("y", RUN_LOCK + 3, who="other", takes=8)
    assert reasons(story) == [reason]
