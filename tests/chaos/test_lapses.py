"""Each lapse that explains an overlap, and what is like it and explains nothing."""

from __future__ import annotations

import pytest

from tests.chaos.accounts import Accounts
from tests.chaos.settings import LEASE, TTL
from tests.chaos.story import Story


@pytest.fixture
def story():
    return Story()


def reasons(story):
    return [overlap.reason for overlap in Accounts(story.facts()).overlaps]


def overlap(story, taken):
    """The second job is pushed while the first is there."""
    story.push("y", taken)
    story.run("x", taken + 2)
    story.run("y", taken + 4)


def test_redis_restarted_while_the_first_was_live(story):
    story.push("x", 0)
    story.restarted("redis", 1, 2)
    overlap(story, 3)
    assert reasons(story) == ["redis_restarted"]


def test_redis_restarted_between_lease_and_confirm(story):
    story.push("x", 0, 3)
    story.restarted("redis", 1, 2)
    overlap(story, 4)
    assert reasons(story) == ["redis_restarted"]


@pytest.mark.parametrize(("began", "ended"), [(-2, -1), (4, 5)], ids=["before it", "after it all"])
def test_redis_restarted_at_another_time_explains_nothing(story, began, ended):
    story.push("x", 0)
    story.restarted("redis", began, ended)
    overlap(story, 3)
    assert reasons(story) == [None]


def test_faktory_restarted_explains_nothing(story):
    story.push("x", 0)
    story.restarted("faktory", 1, 2)
    overlap(story, 3)
    assert reasons(story) == [None]


def test_a_lock_that_was_taken_again_since_redis_restarted_stands(story):
    story.push("x", 0)
    story.restarted("redis", 1, 2)
    story.fetch("x", 3, held="reacquired")
    story.push("y", 4)
    story.done("x", 5)
    story.report("ack", "x", 5)
    story.run("y", 6)
    assert reasons(story) == [None]


def test_pushed_without_a_lock(story):
    story.push("x", 0)
    story.push("y", 1, status="unguarded")
    story.run("x", 2)
    story.run("y", 4)
    assert reasons(story) == ["unguarded"]


def test_the_first_was_pushed_without_a_lock(story):
    story.push("x", 0, status="unguarded")
    overlap(story, 1)
    assert reasons(story) == ["unguarded"]


def test_pushed_without_a_lock_and_held_since_it_has_one(story):
    story.push("x", 0, status="unguarded")
    story.fetch("x", 1, held="reacquired")
    story.push("y", 2)
    story.done("x", 3)
    story.report("ack", "x", 3)
    story.run("y", 4)
    assert reasons(story) == [None]


def enqueued_and_open(story, taken):
    """The first push was not answered; its job runs late, and was there all along."""
    story.push("x", 0, status="unknown", jid="x1")
    story.push("x", 1, status="pushed", jid="x2")
    story.push("y", taken)


def test_another_copy_of_an_open_push_has_freed_the_lock(story):
    enqueued_and_open(story, 5)
    story.run("x", 2, jid="x1", takes=1)
    story.run("x", 6, jid="x2", takes=1)
    story.run("y", 8)
    # The pair, and the work that was done twice.
    assert reasons(story) == ["push_open", "push_open"]


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


@pytest.mark.parametrize("held", ["lapsed", "reacquired"])
def test_waited_longer_than_ttl_and_noticed(story, held):
    late(story, TTL + 2, held)
    assert reasons(story) == ["waited_longer_than_ttl"]


def test_waited_longer_than_ttl_and_not_noticed(story):
    late(story, TTL + 2, "held")
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


@pytest.mark.parametrize("answer", ["unknown", "withheld", "late", None])
def test_a_put_back_whose_ack_is_open_runs_twice(story, answer):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("put_back", "x", 2, answer)
    story.run("x", 4, jid="copy", parent="x")
    story.run("x", 120, who="other")
    assert reasons(story) == ["put_back_open"]


def test_a_put_back_that_was_answered_runs_once(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("put_back", "x", 2)
    story.run("x", 4, jid="copy", parent="x")
    story.run("x", 120, who="other")
    assert reasons(story) == [None]


def test_another_copy_of_an_open_put_back_has_freed_the_lock(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("put_back", "x", 2, "unknown")
    story.run("x", 4, jid="copy", parent="x")
    story.push("y", 8)
    story.fetch("x", 120, who="other")
    story.report("put_back", "x", 121, who="other")
    story.run("y", 9)
    assert reasons(story) == ["put_back_open"]


def test_cut_off_at_its_end_by_a_worker_that_stops(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.ended("w", 2, "terminate")
    story.done("x", 4)
    story.report("put_back", "x", 4.1)
    story.run("x", 5, jid="copy", parent="x", who="other")
    assert reasons(story) == ["cut_off_at_its_end"]


def test_put_back_after_a_good_end_by_a_worker_that_does_not_stop(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.done("x", 4)
    story.report("put_back", "x", 4.1)
    story.run("x", 5, jid="copy", parent="x", who="other")
    assert reasons(story) == [None]


@pytest.mark.parametrize("answer", ["unknown", "withheld", "late", None])
def test_run_again_when_its_reservation_was_over(story, answer):
    story.push("x", 0)
    story.fetch("x", 1)
    story.done("x", 2)
    story.report("ack", "x", 2, answer)
    story.run("x", 100, who="other")
    assert reasons(story) == ["reservation_expired"]


def test_run_again_within_its_reservation(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.done("x", 2)
    story.report("ack", "x", 2, "unknown")
    story.run("x", 40, who="other")
    assert reasons(story) == [None]
