"""Verdicts on a lock that is left when no job is, on blocked pushes, and the bound of the drain."""

from __future__ import annotations

import pytest

from tests.chaos.drain import drain_bound
from tests.chaos.orphans import Lock, find_expiring, find_orphans, pushes_blocked_by_ended_jobs
from tests.chaos.scenario import Scenario
from tests.chaos.settings import LEASE
from tests.chaos.storage import StoredJob


@pytest.fixture
def executed(scenario):
    scenario.push("x", 0)
    scenario.run("x", 1)
    return scenario


def is_orphan(scenario, lock, now=1000.0):
    history = scenario.history()
    orphans, expiring = find_orphans([lock], history, now), find_expiring([lock], history, now)
    assert len(orphans) + len(expiring) == 1
    return bool(orphans)


def test_lock_of_an_acknowledged_job_is_an_orphan(executed):
    assert is_orphan(executed, Lock("k", "x", 50))


def test_worker_killed_after_its_ack_may_leave_a_lock(executed):
    executed.end("w", 2.1)
    assert not is_orphan(executed, Lock("k", "x", 50))


def test_worker_killed_long_after_its_ack_explains_nothing(executed):
    executed.end("w", 20)
    assert is_orphan(executed, Lock("k", "x", 50))


def test_kill_of_another_worker_explains_nothing(executed):
    executed.end("another", 2.1)
    assert is_orphan(executed, Lock("k", "x", 50))


def test_sigterm_after_the_ack_explains_nothing(executed):
    executed.end("w", 2.1, "terminate")
    assert is_orphan(executed, Lock("k", "x", 50))


def test_worker_stopped_at_its_ack_may_leave_a_lock(executed):
    executed.stop("w", 2.01, 5)
    assert not is_orphan(executed, Lock("k", "x", 50))


def test_store_error_of_an_ending_worker_may_leave_a_lock(executed):
    executed.end("w", 2.1, "terminate")
    executed.event("store_error", "x", 2.5)
    executed.exit("w", 3)
    executed.end_faults(50)
    assert not is_orphan(executed, Lock("k", "x", 50))


def test_store_error_before_the_end_may_leave_a_lock(executed):
    executed.event("store_error", "x", 2.5)
    executed.end("w", 20, "terminate")
    assert not is_orphan(executed, Lock("k", "x", 50))


def test_worker_that_lives_after_a_store_error_must_release(executed):
    executed.event("store_error", "x", 2.5)
    executed.end_faults(20)
    executed.end("w", 100, "terminate")
    assert is_orphan(executed, Lock("k", "x", 50))


def test_job_without_an_accepted_ack_may_leave_a_lock(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("ack", "x", 2, "unknown")
    assert not is_orphan(scenario, Lock("k", "x", 50))


def test_push_of_a_job_that_never_ran_may_leave_a_lease(scenario):
    scenario.push("x", 0, status="unknown")
    assert not is_orphan(scenario, Lock("k", "x?", LEASE - 1))


def test_lock_that_never_expires_is_an_orphan(executed):
    executed.end("w", 2.1)
    assert is_orphan(executed, Lock("k", "x", -1))


@pytest.mark.parametrize(("failures", "allowed"), [(0, 164), (1, 194), (3, 332)])
def test_lock_longer_than_an_attempt_is_an_orphan(scenario, failures, allowed):
    """60 + 30, then n⁴ + 15 + 29(n + 1) + 10, then 20."""
    scenario.push("x", 0)
    scenario.fetch("x", 1, failures=failures)
    assert not is_orphan(scenario, Lock("k", "x", allowed))
    assert is_orphan(scenario, Lock("k", "x", allowed + 1))


def test_lease_longer_than_the_policys_is_an_orphan(scenario):
    scenario.push("x", 0, status="unknown")
    assert is_orphan(scenario, Lock("k", "x?", LEASE + 1))


def test_lock_of_an_unknown_owner_is_an_orphan():
    assert is_orphan(Scenario(), Lock("k", "nobody", 999))


def test_drain_bound_is_that_of_the_slowest_job():
    """A fresh job: its retry 54, later 3 + 10, blocked 45, the backlog 45."""
    after = 54 + 3 + 10 + 45 + 45
    assert drain_bound([], 1000) == after
    assert drain_bound([StoredJob("q:default", "j", "o", 0, 0)], 1000) == after
    assert drain_bound([StoredJob("retries", "j", "o", 3, 1100)], 1000) == 100 + 10 + after
    assert drain_bound([StoredJob("working", "j", "o", 1, 1060)], 1000) == 90 + 84 + after


def explanations(scenario):
    """The explanation of each push that a job which was over blocked."""
    return [why for _, why in pushes_blocked_by_ended_jobs(scenario.history())]


def test_duplicate_of_a_live_job_is_correct(executed):
    executed.push("y", 1.5, status="duplicate", holder="x")
    assert explanations(executed) == []


def test_duplicate_of_a_job_that_was_over_is_unexplained(executed):
    executed.push("y", 10, status="duplicate", holder="x")
    assert explanations(executed) == [None]


def test_killed_worker_explains_a_blocked_push(executed):
    executed.end("w", 2.5)
    executed.push("y", 10, status="duplicate", holder="x")
    assert explanations(executed) == ["w was killed or stopped at its end"]


def test_store_error_explains_a_blocked_push(executed):
    executed.event("store_error", "x", 2.5)
    executed.push("y", 10, status="duplicate", holder="x")
    assert explanations(executed) == ["the store failed"]


def test_duplicate_of_a_requeued_job_is_correct(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2)
    scenario.push("y", 10, status="duplicate", holder="x")
    assert explanations(scenario) == []
    scenario.run("x", 12, jid="copy", parent="x")
    assert explanations(scenario) == []
