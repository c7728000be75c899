"""Jobs that a killed Faktory lost itself, and similar cases that are lost jobs all the same."""

from __future__ import annotations

import pytest

from tests.chaos.faktory_kills import MOVE_SECONDS


def outcome(scenario):
    """The numbers of jobs that are gone with Faktory, and lost."""
    audit = scenario.audit()
    return len(audit.gone_with_faktory), len(audit.lost)


def test_job_fetched_at_the_kill_is_gone(scenario):
    """It was popped from its queue, and is not in the working set."""
    scenario.push("x", 0)
    scenario.kill_faktory(0.5, "other")
    audit = scenario.audit()
    assert audit.passed
    assert audit.last_line(0, 0).endswith(
        "lost=0 overlaps=0 explained=0 orphans=0 gone_with_faktory=1"
    )
    assert list(audit.lines()) == ["gone with faktory: owner=x key=k"]


def test_job_that_waited_until_the_kill_is_gone(scenario):
    scenario.push("x", 0)
    scenario.kill_faktory(100, before=["x"])
    assert outcome(scenario) == (1, 0)


@pytest.mark.parametrize("report", ["requeue", "fail"])
def test_job_promoted_at_the_kill_is_gone(scenario, report):
    """A due copy, or a due retry, leaves its set before it is in its queue."""
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report(report, "x", 2)
    scenario.kill_faktory(50, before=["x"])
    assert outcome(scenario) == (1, 0)


@pytest.mark.parametrize("status", ["accepted", "unknown"])
def test_job_failed_at_the_kill_is_gone(scenario, status):
    """It has left the working set, and is not in the retries. FAIL is sent again after that."""
    scenario.push("x", 0)
    scenario.fetch("x", 10)
    scenario.report("fail", "x", 20, status, stored=False)
    scenario.kill_faktory(20.01, before=["x"])
    assert outcome(scenario) == (1, 0)


def test_jobs_accepted_long_before_a_kill_are_lost(scenario):
    for number in range(50):
        scenario.push(f"x{number}", number / 10, key=f"k{number}")
    scenario.kill_faktory(155, most_moves=100)
    assert outcome(scenario) == (0, 50)


def test_job_stored_too_long_before_the_kill_is_lost(scenario):
    scenario.push("x", 0, 0.1)
    scenario.kill_faktory(0.1 + MOVE_SECONDS)
    assert outcome(scenario) == (0, 1)


def test_accepted_job_that_was_never_stored_is_lost(scenario):
    """A push without an answer that is reported as pushed, just before the kill."""
    scenario.push("x", 0, stored=False)
    scenario.kill_faktory(0.2)
    assert outcome(scenario) == (0, 1)


@pytest.mark.parametrize(("most_moves", "expected"), [(4, (4, 0)), (3, (0, 4))])
def test_more_jobs_than_one_kill_can_hit_are_lost(scenario, most_moves, expected):
    for number in range(4):
        scenario.push(f"x{number}", 0, key=f"k{number}")
    scenario.kill_faktory(0.5, most_moves=most_moves)
    assert outcome(scenario) == expected


def test_each_kill_has_a_bound_of_its_own(scenario):
    for number in range(4):
        scenario.push(f"x{number}", number // 2 * 10, key=f"k{number}")
    scenario.kill_faktory(0.5, most_moves=2)
    scenario.kill_faktory(10.5, most_moves=1)
    assert outcome(scenario) == (2, 2)


def test_job_in_the_killed_faktory_is_lost(scenario):
    scenario.push("x", 0)
    scenario.kill_faktory(0.5, "x")
    assert outcome(scenario) == (0, 1)


def test_job_accepted_after_the_kill_is_lost(scenario):
    scenario.kill_faktory(0)
    scenario.push("x", 0.1)
    assert outcome(scenario) == (0, 1)


def test_job_acknowledged_before_the_kill_is_lost(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("ack", "x", 2)
    scenario.kill_faktory(2.5, before=["x"])
    assert outcome(scenario) == (0, 1)


@pytest.mark.parametrize(("stored", "expected"), [(True, (1, 0)), (False, (0, 1))])
def test_requeued_job_without_a_stored_copy_is_lost(scenario, stored, expected):
    """The ACK removed it from the working set, and nothing is there instead."""
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2, stored=stored)
    scenario.kill_faktory(2.5, before=["x"])
    assert outcome(scenario) == expected


@pytest.mark.parametrize("seen", ["fetch", "store"])
def test_job_seen_after_the_kill_is_lost(scenario, seen):
    scenario.push("x", 0)
    scenario.kill_faktory(0.5)
    getattr(scenario, seen)("x", 2)
    assert outcome(scenario) == (0, 1)


def test_job_reported_after_the_kill_is_lost(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.kill_faktory(1.5, before=["x"])
    scenario.report("fail", "x", 2)
    assert outcome(scenario) == (0, 1)


def test_orderly_restart_explains_no_lost_job(scenario):
    scenario.push("x", 0)
    scenario.restart("faktory", 0.2, 0.5)
    assert outcome(scenario) == (0, 1)
