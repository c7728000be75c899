"""Each verdict on a lock that is left when no job is, and how long quiet may take."""

from __future__ import annotations

import pytest

from tests.chaos.locks import Lock, blocked, orphans_at_once, waited_for
from tests.chaos.quiet import longest
from tests.chaos.settings import LEASE
from tests.chaos.storage import Stored
from tests.chaos.story import Story


@pytest.fixture
def story():
    story = Story()
    story.push("x", 0)
    story.run("x", 1)
    return story


def is_orphan(story, lock, now=1000.0):
    facts = story.facts()
    orphans, waiting = orphans_at_once([lock], facts, now), waited_for([lock], facts, now)
    assert len(orphans) + len(waiting) == 1
    return bool(orphans)


def test_its_holder_ended_in_good_order(story):
    assert is_orphan(story, Lock("k", "x", 50))


def test_its_holder_was_killed_after_its_ack(story):
    story.ended("w", 2.1)
    assert not is_orphan(story, Lock("k", "x", 50))


def test_its_holder_was_killed_long_after_its_ack(story):
    story.ended("w", 20)
    assert is_orphan(story, Lock("k", "x", 50))


def test_another_was_killed(story):
    story.ended("another", 2.1)
    assert is_orphan(story, Lock("k", "x", 50))


def test_its_holder_was_told_to_end_after_its_ack(story):
    story.ended("w", 2.1, "terminate")
    assert is_orphan(story, Lock("k", "x", 50))


def test_its_holder_was_stopped_at_its_ack(story):
    story.stopped("w", 2.01, 5)
    assert not is_orphan(story, Lock("k", "x", 50))


def test_the_store_failed_it_when_its_worker_had_been_told_to_end(story):
    story.ended("w", 2.1, "terminate")
    story.event("store_error", "x", 2.5)
    story.gone("w", 3)
    story.calm(50)
    assert not is_orphan(story, Lock("k", "x", 50))


def test_the_store_failed_it_and_its_worker_was_ended(story):
    story.event("store_error", "x", 2.5)
    story.ended("w", 20, "terminate")
    assert not is_orphan(story, Lock("k", "x", 50))


def test_the_store_failed_it_and_its_worker_lived_to_make_it(story):
    story.event("store_error", "x", 2.5)
    story.calm(20)
    story.ended("w", 100, "terminate")
    assert is_orphan(story, Lock("k", "x", 50))


def test_no_ack_was_accepted():
    story = Story()
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("ack", "x", 2, "unknown")
    assert not is_orphan(story, Lock("k", "x", 50))


def test_the_lock_of_a_push_that_nobody_ran():
    story = Story()
    story.push("x", 0, status="unknown")
    assert not is_orphan(story, Lock("k", "x?", LEASE - 1))


def test_it_lives_for_ever(story):
    story.ended("w", 2.1)
    assert is_orphan(story, Lock("k", "x", -1))


@pytest.mark.parametrize(("failures", "allowed"), [(0, 164), (1, 194), (3, 332)])
def test_it_lives_longer_than_an_attempt(failures, allowed):
    """60 + 30, then n⁴ + 15 + 29(n + 1) + 10, then 20."""
    story = Story()
    story.push("x", 0)
    story.fetch("x", 1, failures=failures)
    assert not is_orphan(story, Lock("k", "x", allowed))
    assert is_orphan(story, Lock("k", "x", allowed + 1))


def test_a_lease_lives_longer_than_a_lease():
    story = Story()
    story.push("x", 0, status="unknown")
    assert is_orphan(story, Lock("k", "x?", LEASE + 1))


def test_a_lock_of_nobody():
    assert is_orphan(Story(), Lock("k", "nobody", 999))


def test_quiet_waits_for_the_longest_of_all():
    """Of a fresh job: its retry, 54; to come back, 3 + 10; its turn, 45; the backlog, 45."""
    after = 54 + 3 + 10 + 45 + 45
    assert longest([], 1000) == after
    assert longest([Stored("q:default", "j", "o", 0, 0)], 1000) == after
    assert longest([Stored("retries", "j", "o", 3, 1100)], 1000) == 100 + 10 + after
    assert longest([Stored("working", "j", "o", 1, 1060)], 1000) == 90 + 84 + after


def blocked_reasons(story):
    return [why for _, why in blocked(story.facts())]


def test_turned_away_by_a_job_that_is_live_is_as_it_should_be(story):
    story.push("y", 1.5, status="duplicate", holder="x")
    assert blocked_reasons(story) == []


def test_turned_away_by_a_work_that_is_over(story):
    story.push("y", 10, status="duplicate", holder="x")
    assert blocked_reasons(story) == [None]


def test_turned_away_by_a_work_whose_worker_was_killed_at_its_end(story):
    story.ended("w", 2.5)
    story.push("y", 10, status="duplicate", holder="x")
    assert blocked_reasons(story) == ["w was killed or stopped at its end"]


def test_turned_away_by_a_work_that_the_store_failed(story):
    story.event("store_error", "x", 2.5)
    story.push("y", 10, status="duplicate", holder="x")
    assert blocked_reasons(story) == ["the store failed it"]


def test_turned_away_while_a_copy_was_there():
    story = Story()
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("requeue", "x", 2)
    story.push("y", 10, status="duplicate", holder="x")
    assert blocked_reasons(story) == []
    story.run("x", 12, jid="copy", parent="x")
    assert blocked_reasons(story) == []
