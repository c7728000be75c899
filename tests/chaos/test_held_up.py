"""Exclusive jobs: each verdict on who waited for nobody, and on which push was forgotten."""

from __future__ import annotations

import pytest

from tests.chaos.accounts import Accounts
from tests.chaos.turns import held_up

KEY = "u:ChaosExclusive:k"


@pytest.fixture
def running(story):
    """The first runs from 1 to 5 when the second is pushed."""
    story.push("x", 0, key=KEY)
    story.run("x", 1, takes=4)
    story.push("y", 2, key=KEY)
    return story


def excluded(story, when):
    """The second is put back for the first, which ended at 5."""
    story.fetch("y", when, held="run_blocked", detail="x runs", answer="Requeue")
    story.report("requeue", "y", when + 0.1)
    story.run("y", when + 6, jid="copy", parent="y")
    return [why for _, why in held_up(story.facts())]


def test_requeue_while_its_equal_runs(running):
    assert excluded(running, 3) == []


def test_requeue_for_a_run_that_was_over(running):
    assert excluded(running, 20) == [None]
    told = Accounts(running.facts())
    assert not told.good
    assert list(told.cases()) == ["held up: jid=y key=k: x runs, which was over"]
    assert told.last_line(0, 0).endswith(" run_blocked=1 held_up=1")


def test_requeue_for_a_run_whose_worker_was_killed_at_its_end(running):
    running.ended("w", 5.2)
    assert excluded(running, 20) == ["w was killed or stopped at its end"]


def test_requeue_for_a_run_whose_job_was_itself_requeue_for_it(story):
    """Its worker was killed, and it came again before its run lock had run out."""
    story.push("x", 0, key=KEY)
    story.fetch("x", 1, answer="Run")
    story.started("x", 1.1)
    story.push("y", 2, key=KEY)
    story.ended("w", 3)
    story.fetch("x", 82, held="run_blocked", detail="x runs", answer="Requeue", who="other")
    story.report("requeue", "x", 82.1, who="other")
    assert excluded(story, 88) == []


AWAY = {"name": "store_error", "owner": "x", "detail": "run lock: away; freed when it is back"}


def test_requeue_for_a_run_at_whose_end_the_store_was_away(running):
    running.delayed("redis", 4, 15)
    running.event(**AWAY, mono=5.5)
    assert excluded(running, 20) == ["the store was away at its end"]


def test_requeue_for_a_run_at_whose_end_the_store_was_slow(running):
    running.delayed("redis", 4, 15)
    assert excluded(running, 20) == [None]


def test_requeue_for_a_run_long_after_the_store_was_back(running):
    running.delayed("redis", 4, 6)
    running.event(**AWAY, mono=5.5)
    assert excluded(running, 20) == [None]


def test_requeue_for_a_run_whose_worker_has_ended_owing_it(running):
    running.delayed("redis", 4, 6)
    running.event(**AWAY, mono=5.5)
    running.ended("w", 12, "terminate")
    assert excluded(running, 20) == ["the store was away at its end"]


def test_requeue_for_one_that_was_requeued_and_did_not_hear_of_its_turn(story):
    story.push("x", 0, key=KEY)
    story.fetch("x", 1, held="store_error", detail="FETCH: away", answer="Requeue")
    story.report("requeue", "x", 2)
    story.run("x", 40, jid="copy", parent="x")
    story.push("y", 3, key=KEY)
    assert excluded(story, 20) == ["its taking was not answered"]


def test_a_push_that_was_turned_away_by_work_that_then_ran(story):
    story.push("x", 0, key=KEY)
    story.push("y", 0.5, status="duplicate", holder="x", key=KEY)
    story.run("x", 1)
    assert Accounts(story.facts()).missed == []


def test_a_push_that_was_turned_away_by_work_that_had_begun(story):
    story.push("x", 0, key=KEY)
    story.run("x", 1)
    story.push("y", 1.5, status="duplicate", holder="x", key=KEY)
    told = Accounts(story.facts())
    assert not told.good
    assert list(told.cases()) == [f"missed: p by owner=x key={KEY}, which had begun"]
    assert told.last_line(0, 0).endswith(" missed=1")


def test_a_push_that_was_turned_away_by_a_mere_lease_is_told_to_try_again(story):
    story.push("x", 0, key=KEY)
    story.run("x", 1)
    story.push("y", 1.5, status="duplicate", holder="x", key=KEY)
    story._lines[-1]["confirmed"] = False
    assert Accounts(story.facts()).missed == []
