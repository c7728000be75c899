"""Lapses that explain an overlap, and similar cases that explain none."""

from __future__ import annotations

import pytest

from tests.chaos.timing import STORE_SECONDS


def test_locks_lost_while_the_first_was_live_explain_it(scenario):
    scenario.push("x", 0)
    scenario.lose_locks(1, 2)
    scenario.push_y_before_x_runs(3)
    assert scenario.reasons() == ["redis_forgot"]


def test_locks_lost_between_lease_and_confirm_explain_it(scenario):
    scenario.push("x", 0, 3)
    scenario.lose_locks(1, 2)
    scenario.push_y_before_x_runs(4)
    assert scenario.reasons() == ["redis_forgot"]


@pytest.mark.parametrize(("began", "ended"), [(-2, -1), (4, 5)], ids=["before it", "after it all"])
def test_locks_lost_at_another_time_explain_nothing(scenario, began, ended):
    scenario.push("x", 0)
    scenario.lose_locks(began, ended)
    scenario.push_y_before_x_runs(3)
    assert scenario.reasons() == [None]


@pytest.mark.parametrize("server", ["faktory", "redis"])
def test_restart_explains_nothing(scenario, server):
    scenario.push("x", 0)
    scenario.restart(server, 1, 2)
    scenario.push_y_before_x_runs(3)
    assert scenario.reasons() == [None]


def test_lock_reacquired_after_the_loss_must_stand(scenario):
    scenario.push("x", 0)
    scenario.lose_locks(1, 2)
    scenario.push_y_during_x(3, 4, event="reacquired")
    assert scenario.reasons() == [None]


def test_lock_reacquired_long_after_fetch_must_stand(scenario):
    scenario.push("x", 0)
    scenario.lose_locks(1, 2)
    scenario.event("reacquired", "x", 6)
    scenario.push_y_during_x(1, 7, event="store_error")
    assert scenario.reasons() == [None]


def unguarded_reasons(scenario, **push):
    """Push y unguarded at 4, while x is live."""
    scenario.push("x", 0)
    scenario.push_unguarded("y", 4, **push)
    scenario.run("x", 5)
    scenario.run("y", 7)
    return scenario.reasons()


def test_unguarded_push_explains_it(scenario):
    assert unguarded_reasons(scenario) == ["unguarded"]


@pytest.mark.parametrize(
    "push",
    [{"process": "producer-1.1"}, {"outage": STORE_SECONDS + 0.1}],
    ids=["by a producer that must not", "long after the outage"],
)
def test_unguarded_push_without_a_reason_is_unexplained(scenario, push):
    assert unguarded_reasons(scenario, **push) == [None]


def test_unguarded_first_push_explains_it(scenario):
    scenario.push_unguarded("x", 0)
    scenario.push_y_before_x_runs(1)
    assert scenario.reasons() == ["unguarded"]


def test_unguarded_first_push_without_an_outage_is_unexplained(scenario):
    scenario.push("x", 0, status="unguarded", process="producer-0.1")
    scenario.push_y_before_x_runs(1)
    assert scenario.reasons() == [None]


def test_unguarded_push_after_a_rolled_back_one_explains_it(scenario):
    scenario.push("x", 0, status="not_sent")
    scenario.push_unguarded("x", 1)
    scenario.push_y_before_x_runs(3)
    assert scenario.reasons() == ["unguarded"]


def test_unguarded_job_that_acquired_its_lock_must_keep_it(scenario):
    scenario.push("x", 0, status="unguarded")
    scenario.push_y_during_x(1, 2, event="reacquired")
    assert scenario.reasons() == [None]


def test_copy_of_an_unknown_push_may_release_the_lock(scenario):
    """The first push had no answer; its job was on the server all the time."""
    scenario.push("x", 0, status="unknown", jid="x1")
    scenario.push("x", 1, status="pushed", jid="x2")
    scenario.push("y", 5)
    scenario.run("x", 2, jid="x1", takes=1)
    scenario.run("x", 6, jid="x2", takes=1)
    scenario.run("y", 8)
    # The overlap of x and y, and the job that was done twice.
    assert scenario.reasons() == ["push_unknown", "push_unknown"]


def test_unknown_push_of_a_third_copy_explains_nothing(scenario):
    """The two copies that released the lock and had it were both pushed for certain."""
    scenario.push("x", 0, jid="x1")
    scenario.push("x", 1, status="pushed", jid="x2")
    scenario.push("x", 1.5, status="unknown", jid="x3")
    scenario.push("y", 5)
    scenario.run("x", 2, jid="x1", takes=1)
    scenario.run("x", 6, jid="x2", takes=1)
    scenario.run("y", 8)
    assert scenario.reasons() == [None, None]


@pytest.mark.parametrize(
    ("held_until", "overlaps"), [(4, 1), (2.1, 0), (20, 0)], ids=["held", "before", "sent again"]
)
def test_job_is_live_while_its_ack_is_held(scenario, held_until, overlaps):
    """y is pushed when x's ACK is sent, but has not arrived; after 3 s an ACK is sent again."""
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("ack", "x", 2, None)
    scenario.hold("ACK", "x", 2.01, held_until)
    scenario.push("y", 2.2)
    scenario.run("y", 5)
    assert len(scenario.audit("x").overlaps) == overlaps


def test_equal_jobs_pushed_at_once_overlap(scenario):
    """y acquires the lock while x, which acquired it first, is pushed."""
    scenario.push("x", 0, 1)
    scenario.push("y", 0.5, 2)
    scenario.run("x", 3)
    scenario.run("y", 6)
    assert scenario.reasons() == [None]


def test_equal_jobs_one_after_the_other_do_not_overlap(scenario):
    """x ends while y is pushed."""
    scenario.push("x", 0, 1)
    scenario.push("y", 0.5, 2)
    scenario.run("x", 1.1, takes=0.4)
    scenario.run("y", 6)
    assert scenario.audit().overlaps == []
