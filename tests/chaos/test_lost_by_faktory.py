"""Jobs that a killed Faktory lost itself, and similar cases that are lost jobs all the same."""

from __future__ import annotations

import pytest


def test_killed_faktory_without_the_job_has_lost_it(scenario):
    scenario.push("x", 0)
    scenario.kill_faktory(1, "other")
    audit = scenario.audit()
    assert audit.passed
    assert audit.last_line(0, 0).endswith(
        "lost=0 overlaps=0 explained=0 orphans=0 gone_with_faktory=1"
    )
    assert list(audit.lines()) == ["gone with faktory: owner=x key=k"]


@pytest.mark.parametrize(("report", "killed"), [("requeue", 8), ("fail", 3)])
def test_killed_faktory_loses_a_job_between_two_sets(scenario, report, killed):
    """A due copy, or a due retry, leaves its set before it is in its queue."""
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report(report, "x", 2)
    scenario.kill_faktory(killed)
    assert len(scenario.audit().gone_with_faktory) == 1


def test_job_in_the_killed_faktory_is_lost(scenario):
    scenario.push("x", 0)
    scenario.kill_faktory(1, "x")
    assert len(scenario.audit().lost) == 1


def test_job_accepted_after_the_kill_is_lost(scenario):
    scenario.kill_faktory(0)
    scenario.push("x", 1)
    assert len(scenario.audit().lost) == 1


@pytest.mark.parametrize(("report", "killed"), [("ack", 3), ("requeue", 30)])
def test_job_acknowledged_before_the_kill_is_lost(scenario, report, killed):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report(report, "x", 2)
    scenario.kill_faktory(killed)
    assert len(scenario.audit().lost) == 1


def test_job_seen_after_the_kill_is_lost(scenario):
    scenario.push("x", 0)
    scenario.kill_faktory(1)
    scenario.fetch("x", 2)
    assert len(scenario.audit().lost) == 1


def test_orderly_restart_explains_no_lost_job(scenario):
    scenario.push("x", 0)
    scenario.restart("faktory", 1, 2)
    assert len(scenario.audit().lost) == 1
