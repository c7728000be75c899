"""Reasons why a job was done twice, or a copy lost its lock, and cases without a reason."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("status", ["unknown", "withheld", "late", None])
def test_requeue_with_an_unknown_ack_explains_a_rerun(scenario, status):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2, status)
    scenario.run("x", 4, jid="copy", parent="x")
    scenario.run("x", 120, process="other")
    assert scenario.reasons() == ["requeue_unknown"]


def test_answered_requeue_explains_no_rerun(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2)
    scenario.run("x", 4, jid="copy", parent="x")
    scenario.run("x", 120, process="other")
    assert scenario.reasons() == [None]


def test_unknown_requeue_of_a_later_copy_explains_no_rerun(scenario):
    """The requeue of x was answered. That of its copy has no part in the second end of x."""
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2)
    scenario.fetch("x", 3, jid="copy", parent="x")
    scenario.report("requeue", "x", 4, "unknown", jid="copy")
    scenario.run("x", 6, jid="second", parent="copy")
    scenario.run("x", 120, process="other")
    assert scenario.reasons() == [None]


def test_refused_requeue_explains_no_rerun(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2, "refused")
    scenario.run("x", 4, jid="copy", parent="x")
    scenario.run("x", 120, process="other")
    assert scenario.reasons() == [None]


def test_copy_of_an_unknown_requeue_may_release_the_lock(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2, "unknown")
    scenario.run("x", 4, jid="copy", parent="x")
    scenario.push("y", 8)
    scenario.fetch("x", 120, process="other")
    scenario.report("requeue", "x", 121, process="other")
    scenario.run("y", 9)
    assert scenario.reasons() == ["requeue_unknown"]


@pytest.mark.parametrize(("requeued", "reason"), [(4.1, "stopped_at_job_end"), (5.1, None)])
def test_stopping_worker_may_requeue_a_job_that_just_ended(scenario, requeued, reason):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.end("w", 2, "terminate")
    scenario.done("x", 4)
    scenario.report("requeue", "x", requeued)
    scenario.run("x", 6, jid="copy", parent="x", process="other")
    assert scenario.reasons() == [reason]


def test_running_worker_must_not_requeue_a_job_that_ended(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.done("x", 4)
    scenario.report("requeue", "x", 4.1)
    scenario.run("x", 5, jid="copy", parent="x", process="other")
    assert scenario.reasons() == [None]


@pytest.mark.parametrize("status", ["unknown", "withheld", "late", None])
def test_expired_reservation_explains_a_rerun(scenario, status):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.done("x", 2)
    scenario.report("ack", "x", 2, status)
    scenario.run("x", 100, process="other")
    assert scenario.reasons() == ["reservation_expired"]


def test_rerun_within_the_reservation_is_unexplained(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.done("x", 2)
    scenario.report("ack", "x", 2, "unknown")
    scenario.run("x", 40, process="other")
    assert scenario.reasons() == [None]


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        pytest.param(100, "reservation_expired", id="after the reservation"),
        pytest.param(40, None, id="within the reservation"),
    ],
)
def test_expiry_explains_a_rerun_as_a_requeued_copy(scenario, again, reason):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.done("x", 2)
    scenario.fetch("x", again, process="other")
    scenario.report("requeue", "x", again + 1, process="other")
    scenario.run("x", 105, jid="copy", parent="x", process="other")
    assert scenario.reasons() == [reason]


def test_run_past_the_reservation_explains_a_rerun(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.fetch("x", 80, process="other")
    scenario.done("x", 81)
    scenario.finish("x", 82, process="other")
    assert scenario.reasons() == ["reservation_expired"]


def test_two_ends_of_one_run_are_unexplained(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.done("x", 2)
    scenario.finish("x", 3)
    assert scenario.reasons() == [None]
