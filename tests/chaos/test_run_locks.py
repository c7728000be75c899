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


def test_worker_killed_at_its_end_may_leave_a_run_lock(executed):
    executed.end("w", 2.5)
    assert problem(executed, run_lock(50)) is None
    assert find_expiring([run_lock(50)], executed.history(), NOW) == [
        (run_lock(50), "w was killed or stopped at its end")
    ]


def test_worker_killed_long_after_explains_no_run_lock(executed):
    executed.end("w", 20)
    assert problem(executed, run_lock(50), 30)


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


def test_store_error_and_ended_worker_may_leave_a_run_lock(executed):
    executed.event("store_error", "x", 2.5, detail=f"{RUN_LOCK_ERROR}: unavailable")
    executed.end("w", 4, "terminate")
    executed.exit("w", 5)
    executed.end_faults(8)
    assert problem(executed, run_lock(50)) is None


def test_worker_that_lives_after_a_store_error_must_release(executed):
    executed.event("store_error", "x", 2.5, detail=f"{RUN_LOCK_ERROR}: unavailable")
    executed.end_faults(8)
    executed.end("w", 100, "terminate")
    assert problem(executed, run_lock(50))


def test_worker_that_ends_without_a_store_error_must_release(executed):
    executed.end("w", 20, "terminate")
    executed.exit("w", 21)
    executed.end_faults(30)
    assert problem(executed, run_lock(50))


@pytest.mark.parametrize(("ttl", "jid"), [(-1, "x"), (91, "x"), (50, "nobody")])
def test_run_lock_that_no_attempt_can_set_is_an_orphan(executed, ttl, jid):
    executed.end("w", 2.5)
    assert problem(executed, run_lock(ttl, jid))
