"""Each way for a lock's time to run out under a live job, and what is like it and is none."""

from __future__ import annotations

import pytest

from tests.chaos.settings import LEASE, TTL
from tests.chaos.story import Story, overlap, reasons


def test_the_lease_of_an_open_push_is_over(story):
    story.push("x", 0, status="unknown")
    story.fetch("x", 1, held=None)
    story.push("y", LEASE + 2)
    story.done("x", LEASE + 3)
    story.report("ack", "x", LEASE + 3)
    story.run("y", LEASE + 4)
    assert reasons(story) == ["push_open"]


def test_the_lease_of_an_open_push_still_stands(story):
    story.push("x", 0, status="unknown")
    story.fetch("x", 1, held=None)
    story.push("y", LEASE - 2)
    story.done("x", LEASE + 3)
    story.report("ack", "x", LEASE + 3)
    story.run("y", LEASE + 4)
    assert reasons(story) == [None]


def test_given_back_by_a_later_push_of_an_open_one(story):
    story.push("x", 0, status="unknown", jid="x1")
    story.fetch("x", 1, jid="x1", held=None)
    story.push("x", LEASE + 1, status="not_sent", jid="x2")
    story.event("released", "x", LEASE + 1.2, who="p")
    story.push("y", LEASE + 2)
    story.done("x", LEASE + 3, jid="x1")
    story.report("ack", "x", LEASE + 3, jid="x1")
    story.run("y", LEASE + 4)
    assert reasons(story) == ["push_open"]


def test_given_back_though_it_is_open(story):
    story.push("x", 0, status="unknown")
    story.event("released", "x", 0.2, who="p")
    story.fetch("x", 1, held=None)
    story.push("y", 2)
    story.done("x", 3)
    story.report("ack", "x", 3)
    story.run("y", 4)
    assert reasons(story) == [None]


@pytest.fixture
def late_confirm():
    """A push whose confirm came when its lease was over, another having the lock by then."""
    story = Story()
    story.push("x", 0, LEASE + 2, status="unconfirmed")
    story._lines[-1]["status"] = "pushed"
    return story


def test_a_producer_stopped_amid_its_push(late_confirm):
    late_confirm.stopped("p", 0.5, LEASE + 1)
    overlap(late_confirm, LEASE + 3)
    assert reasons(late_confirm) == ["producer_stopped"]


def test_another_producer_stopped_explains_nothing(late_confirm):
    late_confirm.stopped("another", 0.5, LEASE + 1)
    overlap(late_confirm, LEASE + 3)
    assert reasons(late_confirm) == [None]


def test_a_confirm_that_is_too_late_is_told(late_confirm):
    late_confirm.event("lapsed", "x", LEASE + 1.9, who="p")
    overlap(late_confirm, LEASE + 3)
    assert reasons(late_confirm) == ["confirmed_too_late"]


def late(story, taken, held):
    story.push("x", 0)
    story.push("y", taken)
    story.fetch("x", taken + 2, held=held)
    story.done("x", taken + 3)
    story.report("ack", "x", taken + 3)
    story.run("y", taken + 4)


@pytest.mark.parametrize("held", ["lapsed", "reacquired", "store_error"])
def test_waited_longer_than_ttl_and_noticed(story, held):
    late(story, TTL + 2, held)
    assert reasons(story) == ["waited_longer_than_ttl"]


def test_waited_longer_than_ttl_and_not_noticed(story):
    late(story, TTL + 2, "renewed")
    assert reasons(story) == [None]


def test_waited_less_than_ttl(story):
    late(story, TTL - 2, "lapsed")
    assert reasons(story) == [None]


def test_scheduled_its_wait_counts(story):
    story.push("x", 0, ahead=5)
    overlap(story, TTL + 10)
    assert reasons(story) == [None]


def test_the_store_failed_its_hold(story):
    story.push("x", 0)
    story.fetch("x", 1, held="store_error")
    story.push("y", TTL + 2)
    story.done("x", TTL + 3)
    story.report("ack", "x", TTL + 3)
    story.run("y", TTL + 4)
    assert reasons(story) == ["store_error"]


def test_a_store_error_does_not_end_a_lock_before_its_time(story):
    story.push("x", 0)
    story.fetch("x", 1, held="store_error")
    story.push("y", 3)
    story.done("x", 4)
    story.report("ack", "x", 4)
    story.run("y", 5)
    assert reasons(story) == [None]


def test_no_attempt_may_take_longer_than_its_lock(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.push("y", 400)
    story.done("x", 402)
    story.report("ack", "x", 402)
    story.run("y", 404)
    assert reasons(story) == [None]
