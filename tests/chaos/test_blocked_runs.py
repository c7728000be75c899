"""Exclusive jobs: verdicts on requeues for a run that was over, and on missed pushes."""

from __future__ import annotations

import pytest

from tests.chaos.details import FETCH_ERROR, RUN_LOCK_ERROR, RUN_LOCK_LAPSED, run_blocked_detail
from tests.chaos.exclusion import requeues_for_ended_runs
from tests.chaos.scenario import EXCLUSIVE_KEY
from tests.chaos.settings import LEASE
from tests.chaos.timing import RUN_LEASE_SECONDS, RUN_LOCK_SECONDS

RELEASE_FAILED = {
    "name": "store_error",
    "owner": "x",
    "mono": 5.01,
    "detail": f"{RUN_LOCK_ERROR}: unavailable",
}


def requeue_explanations(scenario, when):
    """Requeue y at this time because x runs, which ended at 5; return the explanations."""
    scenario.block("y", when, "x")
    scenario.run("y", when + 6, jid="copy", parent="y")
    return [why for _, why in requeues_for_ended_runs(scenario.history())]


def test_requeue_during_a_run_is_correct(running):
    assert requeue_explanations(running, 3) == []


def test_requeue_for_an_ended_run_is_held_up(running):
    assert requeue_explanations(running, 20) == [None]
    audit = running.audit()
    assert not audit.passed
    detail = run_blocked_detail("x")
    assert list(audit.lines()) == [f"held up: jid=y key=k: {detail}, which was over"]
    assert audit.last_line(0, 0).endswith(" run_blocked=1 held_up=1")


def test_worker_killed_after_its_report_explains_no_requeue(running):
    running.end("w", 5.2)
    assert requeue_explanations(running, 20) == [None]


def test_requeue_for_a_job_that_was_itself_blocked_is_correct(scenario):
    """Its worker was killed, and its next attempt was blocked by its own run lock."""
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.fetch("x", 1, decision="Run")
    scenario.start("x", 1.1)
    scenario.push("y", 2, key=EXCLUSIVE_KEY)
    scenario.end("w", 3)
    scenario.block("x", 82, "x", process="other")
    assert requeue_explanations(scenario, 88) == []


def test_store_error_at_the_end_explains_a_requeue(running):
    running.delay("redis", 4, 15)
    running.event(**RELEASE_FAILED)
    assert requeue_explanations(running, 20) == ["the store was unavailable at its end"]


def test_slow_store_explains_no_requeue(running):
    running.delay("redis", 4, 15)
    assert requeue_explanations(running, 20) == [None]


def test_requeue_long_after_the_store_is_back_is_unexplained(running):
    running.delay("redis", 4, 6)
    running.event(**RELEASE_FAILED)
    assert requeue_explanations(running, 20) == [None]


def test_worker_that_ends_with_a_deferred_release_explains_it(running):
    running.delay("redis", 4, 6)
    running.event(**RELEASE_FAILED)
    running.end("w", 12, "terminate")
    assert requeue_explanations(running, 20) == ["the store was unavailable at its end"]


def test_deferred_release_explains_nothing_past_the_run_lock(running):
    running.delay("redis", 4, 6)
    running.event(**RELEASE_FAILED)
    running.end("w", 12)
    assert requeue_explanations(running, 5 + RUN_LOCK_SECONDS + 2) == [None]


def test_store_error_before_the_report_explains_no_requeue(running):
    running.delay("redis", 4, 15)
    running.event(**{**RELEASE_FAILED, "mono": 4.5})
    assert requeue_explanations(running, 20) == [None]


def test_unanswered_acquire_explains_a_requeue(scenario):
    """x was requeued since the acquire of its run lock had no answer."""
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    failed = {"event": "store_error", "detail": f"{FETCH_ERROR}: unavailable"}
    scenario.fetch("x", 1, **failed, decision="Requeue")
    scenario.report("requeue", "x", 2)
    scenario.run("x", 40, jid="copy", parent="x")
    scenario.push("y", 3, key=EXCLUSIVE_KEY)
    assert requeue_explanations(scenario, 20) == ["its acquire was not answered"]


def test_unanswered_acquire_explains_nothing_past_its_lease(scenario):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    failed = {"event": "store_error", "detail": f"{FETCH_ERROR}: unavailable"}
    scenario.fetch("x", 1, **failed, decision="Requeue")
    scenario.report("requeue", "x", 2)
    scenario.run("x", 60, jid="copy", parent="x")
    scenario.push("y", 3, key=EXCLUSIVE_KEY)
    assert requeue_explanations(scenario, 40) == [None]


def test_duplicate_of_a_job_that_then_runs_is_not_missed(scenario):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.push("y", 0.5, status="duplicate", holder="x", key=EXCLUSIVE_KEY)
    scenario.run("x", 1)
    assert scenario.audit().missed == []


def test_duplicate_of_a_job_that_had_begun_is_missed(scenario):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.run("x", 1)
    scenario.push("y", 1.5, status="duplicate", holder="x", key=EXCLUSIVE_KEY)
    audit = scenario.audit()
    assert not audit.passed
    assert list(audit.lines()) == [f"missed: p by owner=x key={EXCLUSIVE_KEY}, which had begun"]
    assert audit.last_line(0, 0).endswith(" missed=1")


@pytest.mark.parametrize(
    ("detail", "blocked", "lost", "expected"),
    [
        (RUN_LOCK_LAPSED, 3, (2, 2.5), "Redis lost all locks"),
        (RUN_LOCK_LAPSED, 3, (0, 0.5), None),
        (RUN_LOCK_LAPSED, 1 + RUN_LEASE_SECONDS + 1, (0, 0.5), "its worker was too slow"),
        ("nobody runs", 3, (2, 2.5), None),
    ],
)
def test_requeue_for_no_running_job_needs_a_lapse(scenario, detail, blocked, lost, expected):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.lose_locks(*lost)
    scenario.fetch("x", 1, event=None, decision="Requeue")
    scenario.event("run_blocked", "x", blocked, detail=detail)
    scenario.report("requeue", "x", blocked + 0.1)
    explanations = [why for _, why in requeues_for_ended_runs(scenario.history())]
    assert explanations == [expected]


@pytest.mark.parametrize(("pushed", "missed"), [(1.5, 0), (LEASE + 2, 1)])
def test_unconfirmed_duplicate_is_not_missed(scenario, pushed, missed):
    """The lock is only leased, so the producer can push again in `retry_after`."""
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.run("x", 1)
    duplicate = {"status": "duplicate", "holder": "x", "confirmed": False}
    scenario.push("y", pushed, **duplicate, key=EXCLUSIVE_KEY)
    assert len(scenario.audit().missed) == missed
