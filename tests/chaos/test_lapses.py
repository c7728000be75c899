"""Each lapse that explains an overlap, and what is like it and explains nothing."""

from __future__ import annotations

import pytest

from tests.chaos.story import overlap, reasons


def test_redis_forgot_while_the_first_was_live(story):
    story.push("x", 0)
    story.forgot(1, 2)
    overlap(story, 3)
    assert reasons(story) == ["redis_forgot"]


def test_redis_forgot_between_lease_and_confirm(story):
    story.push("x", 0, 3)
    story.forgot(1, 2)
    overlap(story, 4)
    assert reasons(story) == ["redis_forgot"]


@pytest.mark.parametrize(("began", "ended"), [(-2, -1), (4, 5)], ids=["before it", "after it all"])
def test_redis_forgot_at_another_time_explains_nothing(story, began, ended):
    story.push("x", 0)
    story.forgot(began, ended)
    overlap(story, 3)
    assert reasons(story) == [None]


@pytest.mark.parametrize("server", ["faktory", "redis"])
def test_a_restart_explains_nothing(story, server):
    story.push("x", 0)
    story.restarted(server, 1, 2)
    overlap(story, 3)
    assert reasons(story) == [None]


def test_a_lock_that_was_taken_again_since_redis_forgot_stands(story):
    story.push("x", 0)
    story.forgot(1, 2)
    story.fetch("x", 3, held="reacquired")
    story.push("y", 4)
    story.done("x", 5)
    story.report("ack", "x", 5)
    story.run("y", 6)
    assert reasons(story) == [None]


def test_a_lock_that_was_taken_again_long_after_the_fetch_stands(story):
    story.push("x", 0)
    story.fetch("x", 1, held="store_error")
    story.forgot(1, 2)
    story.event("reacquired", "x", 6)
    story.push("y", 7)
    story.done("x", 8)
    story.report("ack", "x", 8)
    story.run("y", 9)
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


def test_pushed_without_a_lock_after_one_that_was_given_back(story):
    story.push("x", 0, status="not_sent")
    story.push("x", 1, status="unguarded")
    overlap(story, 3)
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
