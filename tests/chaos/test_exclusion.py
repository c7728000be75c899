"""Exclusive jobs: verdicts on two that are live, and on two that run at the same time."""

from __future__ import annotations

import pytest

from tests.chaos.details import DEFERRED, FETCH_ERROR, NOT_CONNECTED, REQUEUE_ERROR
from tests.chaos.scenario import EXCLUSIVE_KEY
from tests.chaos.settings import TTL
from tests.chaos.timing import RUN_LOCK_SECONDS


def push_and_run_z(scenario, pushed, y_runs):
    """Push z, then run y as its requeued copy, then z."""
    scenario.push("z", pushed, key=EXCLUSIVE_KEY)
    scenario.run("y", y_runs, jid="copy", parent="y")
    scenario.run("z", y_runs + 10)


def test_push_during_a_run_that_then_runs_passes(running):
    running.run("y", 6)
    assert running.audit().passed
    assert running.audit().overlaps == []


def test_push_while_an_equal_job_waits_is_unexplained(scenario):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.push("y", 1, key=EXCLUSIVE_KEY)
    scenario.run("x", 2)
    scenario.run("y", 4)
    assert scenario.reasons() == [None]


def test_push_while_an_equal_job_is_blocked_is_unexplained(running):
    running.block("y", 2.5, "x")
    push_and_run_z(running, 3, 6)
    assert running.reasons() == [None]
    assert running.audit().last_line(0, 0).endswith(" run_blocked=1")


def test_blocked_job_has_its_lock_for_longer_than_ttl(running):
    running.block("y", 2.5, "x")
    push_and_run_z(running, TTL + 10, TTL + 20)
    assert running.reasons() == [None]


@pytest.mark.parametrize(("outage_ends", "reason"), [(TTL + 5, "store_error"), (5, None)])
def test_store_error_at_the_requeue_explains_it(running, outage_ends, reason):
    """If Redis is back in time, the deferred extension must be applied."""
    running.block("y", 2.5, "x")
    detail = f"{REQUEUE_ERROR}: unavailable{DEFERRED}"
    running.event("store_error", "y", 2.61, detail=detail)
    running.delay("redis", 2.5, outage_ends)
    push_and_run_z(running, TTL + 10, TTL + 20)
    assert running.reasons() == [reason]


def test_wait_longer_than_ttl_before_fetch_explains_it(running):
    running.block("y", TTL + 11, "x")
    push_and_run_z(running, TTL + 10, TTL + 20)
    assert running.reasons() == ["waited_longer_than_ttl"]


@pytest.mark.parametrize(("failures", "reason"), [(1, "waited_longer_than_ttl"), (0, None)])
def test_retry_may_not_notice_that_its_lock_lapsed(running, failures, reason):
    """The reply to its FETCH was lost, so its retry cannot know whether an attempt freed it."""
    running.push("z", TTL + 10, key=EXCLUSIVE_KEY)
    running.fetch("y", TTL + 80, failures=failures, event=None, decision="Run")
    running.finish("y", TTL + 81)
    running.run("z", TTL + 90)
    assert running.reasons() == [reason]


@pytest.mark.parametrize(
    ("detail", "reason"),
    [
        (f"{FETCH_ERROR}: no answer", "release_unknown"),
        (f"{FETCH_ERROR}: Error 111 {NOT_CONNECTED} Redis", None),
    ],
)
def test_unanswered_release_at_fetch_explains_it(running, detail, reason):
    running.fetch("y", 2.5, event="store_error", detail=detail, decision="Requeue")
    running.report("requeue", "y", 2.6)
    push_and_run_z(running, 3, 6)
    assert running.reasons() == [reason]


def test_two_runs_at_the_same_time_are_unexplained(running):
    running.run("y", 4)
    audit = running.audit()
    assert [overlap.reason for overlap in audit.overlaps] == [None]
    assert not audit.passed
    detail = "jid=y of owner=y began while jid=x of owner=x ran"
    assert list(audit.lines()) == [f"unexplained overlap: key={EXCLUSIVE_KEY}: {detail}"]


def test_jobs_that_are_not_exclusive_may_run_together(scenario):
    scenario.push("x", 0, key="u:Chaos:k")
    scenario.run("x", 1, takes=4)
    scenario.push("y", 6, key="u:Chaos:k")
    scenario.run("y", 6)
    scenario.start("x", 6.5)
    assert scenario.audit().overlaps == []


def test_lost_run_lock_explains_two_runs(running):
    running.lose_locks(3, 3.1)
    running.run("y", 4)
    assert running.reasons() == ["redis_forgot"]


@pytest.mark.parametrize("when", [0.5, 4.5])
def test_locks_lost_at_another_time_explain_nothing(running, when):
    running.lose_locks(when, when + 0.1)
    running.run("y", 4)
    assert running.reasons() == [None]


def test_stopped_worker_explains_nothing_within_its_run_lock(running):
    running.stop("w", 1.5, 3)
    running.run("y", 4)
    assert running.reasons() == [None]


def test_slow_store_explains_nothing(running):
    running.delay("redis", 1, 5)
    running.run("y", 4)
    assert running.reasons() == [None]


@pytest.fixture
def killed(scenario):
    """The worker of x is killed while x runs; y is pushed after that."""
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.fetch("x", 1, decision="Run")
    scenario.start("x", 1.1)
    scenario.end("w", 1.2)
    scenario.push("y", 2, key=EXCLUSIVE_KEY)
    return scenario


def test_handler_that_outlives_its_worker_still_runs(killed):
    killed.done("x", 6)
    killed.run("y", 4, process="other")
    assert killed.reasons() == [None]


def test_handler_killed_with_its_worker_runs_no_longer(killed):
    killed.run("y", 100, process="other")
    killed.run("x", 160, process="other")
    assert killed.audit().overlaps == []


@pytest.mark.parametrize(
    ("acquired", "reason"),
    [(RUN_LOCK_SECONDS + 2, "ran_past_reservation"), (RUN_LOCK_SECONDS - 2, None)],
)
def test_run_past_its_run_lock_explains_two_runs(scenario, acquired, reason):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.run("x", 1, takes=RUN_LOCK_SECONDS + 20)
    scenario.push("y", 2, key=EXCLUSIVE_KEY)
    scenario.run("y", acquired, process="other")
    assert scenario.reasons() == [reason]


@pytest.mark.parametrize(("process", "reason"), [("w", "worker_stopped"), ("another", None)])
def test_worker_stopped_before_its_handler_explains_two_runs(scenario, process, reason):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.fetch("x", 1, decision="Run")
    scenario.stop(process, 1.5, RUN_LOCK_SECONDS + 5)
    scenario.start("x", RUN_LOCK_SECONDS + 6)
    scenario.done("x", RUN_LOCK_SECONDS + 7)
    scenario.push("y", 2, key=EXCLUSIVE_KEY)
    scenario.run("y", RUN_LOCK_SECONDS + 3, process="other", takes=8)
    assert scenario.reasons() == [reason]
