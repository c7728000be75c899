"""Verdicts on a run lock that is left when no job is."""

from __future__ import annotations

import pytest

from tests.chaos.details import RUN_LOCK_ERROR
from tests.chaos.orphans import Lock, find_expiring, find_orphans
from tests.chaos.scenario import EXCLUSIVE_KEY

NOW = 10.0


def problem(scenario, lock, now=NOW):
    """Why the lock is an orphan; None if it is none."""
    return next((why for _, why in find_orphans([lock], scenario.history(), now)), None)


def run_lock(ttl, jid="x"):
    return Lock(f"{{{EXCLUSIVE_KEY}}}:run", f"{jid}:0123456789abcdef", ttl)


@pytest.fixture
def executed(scenario):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.run("x", 1)
    return scenario


def test_run_lock_of_a_reported_job_is_an_orphan(executed):
    assert problem(executed, run_lock(50)) == "its job was reported, but the lock was not released"


def test_worker_killed_during_its_report_may_leave_a_run_lock(scenario):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.fetch("x", 1, decision="Run")
    scenario.report("ack", "x", 2, None)
    scenario.end("w", 2.01)
    assert problem(scenario, run_lock(50)) is None
    assert find_expiring([run_lock(50)], scenario.history(), NOW) == [
        (run_lock(50), "w was killed during its run")
    ]


def test_worker_killed_after_its_report_explains_no_run_lock(executed):
    executed.end("w", 2.5)
    assert problem(executed, run_lock(50))


def test_worker_killed_during_its_run_may_leave_a_run_lock(scenario):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.fetch("x", 1, decision="Run")
    scenario.start("x", 1.1)
    scenario.end("w", 1.5)
    assert problem(scenario, run_lock(80)) is None
    expected = "it was held again when its job had run for 3 s"
    assert problem(scenario, run_lock(84)) == expected


def test_live_worker_without_a_report_explains_no_run_lock(scenario):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.fetch("x", 1, decision="Run")
    assert problem(scenario, run_lock(50))


@pytest.fixture
def release_failed(executed):
    """The store fails the release of the run lock. Redis is back at 4, and the release by 11."""
    executed.event("store_error", "x", 2.01, detail=f"{RUN_LOCK_ERROR}: unavailable")
    executed.delay("redis", 1.9, 4)
    return executed


@pytest.mark.parametrize(("exited", "is_orphan"), [(10, False), (12, True)])
def test_worker_that_ends_before_its_release_may_leave_a_lock(release_failed, exited, is_orphan):
    release_failed.end("w", 4, "terminate")
    release_failed.exit("w", exited)
    assert bool(problem(release_failed, run_lock(50), 20)) is is_orphan


@pytest.mark.parametrize(("now", "is_orphan"), [(10, False), (12, True)])
def test_worker_that_lives_must_release_once_redis_is_back(release_failed, now, is_orphan):
    assert bool(problem(release_failed, run_lock(50), now)) is is_orphan


def test_terminated_worker_without_a_report_explains_no_run_lock(scenario):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.fetch("x", 1, decision="Run")
    scenario.end("w", 2, "terminate")
    scenario.exit("w", 3)
    assert problem(scenario, run_lock(50))


def test_worker_that_ends_without_a_store_error_must_release(executed):
    executed.end("w", 20, "terminate")
    executed.exit("w", 21)
    executed.end_faults(30)
    assert problem(executed, run_lock(50))


@pytest.mark.parametrize(("ttl", "jid"), [(-1, "x"), (91, "x"), (50, "nobody")])
def test_run_lock_that_no_attempt_can_set_is_an_orphan(scenario, ttl, jid):
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.fetch("x", 1, decision="Run")
    scenario.end("w", 2.5)
    assert problem(scenario, run_lock(ttl, jid))
