"""Each reason why a work was done twice, or a copy of it lost its lock, and what is like it."""

from __future__ import annotations

import pytest

from tests.chaos.story import reasons


@pytest.mark.parametrize("answer", ["unknown", "withheld", "late", None])
def test_a_requeue_whose_ack_is_open_runs_twice(story, answer):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("requeue", "x", 2, answer)
    story.run("x", 4, jid="copy", parent="x")
    story.run("x", 120, who="other")
    assert reasons(story) == ["requeue_open"]


def test_a_requeue_that_was_answered_runs_once(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("requeue", "x", 2)
    story.run("x", 4, jid="copy", parent="x")
    story.run("x", 120, who="other")
    assert reasons(story) == [None]


def test_another_copy_of_an_open_requeue_has_freed_the_lock(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("requeue", "x", 2, "unknown")
    story.run("x", 4, jid="copy", parent="x")
    story.push("y", 8)
    story.fetch("x", 120, who="other")
    story.report("requeue", "x", 121, who="other")
    story.run("y", 9)
    assert reasons(story) == ["requeue_open"]


def test_cut_off_at_its_end_by_a_worker_that_stops(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.ended("w", 2, "terminate")
    story.done("x", 4)
    story.report("requeue", "x", 4.1)
    story.run("x", 5, jid="copy", parent="x", who="other")
    assert reasons(story) == ["cut_off_at_its_end"]


def test_requeue_after_a_good_end_by_a_worker_that_does_not_stop(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.done("x", 4)
    story.report("requeue", "x", 4.1)
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


def test_run_again_when_its_reservation_was_over_and_then_requeued(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.done("x", 2)
    story.fetch("x", 100, who="other")
    story.report("requeue", "x", 101, who="other")
    story.run("x", 105, jid="copy", parent="x", who="other")
    assert reasons(story) == ["reservation_expired"]


def test_run_again_within_its_reservation_and_then_requeued(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.done("x", 2)
    story.fetch("x", 40, who="other")
    story.report("requeue", "x", 41, who="other")
    story.run("x", 105, jid="copy", parent="x", who="other")
    assert reasons(story) == [None]


def test_its_handler_went_on_past_its_reservation(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.fetch("x", 80, who="other")
    story.done("x", 81)
    story.done("x", 82, who="other")
    story.report("ack", "x", 82, who="other")
    assert reasons(story) == ["reservation_expired"]


def test_done_twice_in_one_run(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.done("x", 2)
    story.done("x", 3)
    story.report("ack", "x", 3)
    assert reasons(story) == [None]
