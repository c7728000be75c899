"""Verdicts of the audit: jobs that are lost, executed or strays, overlaps, blocked pushes."""

from __future__ import annotations

import pytest


def test_executed_job_passes(scenario):
    scenario.push("x", 0)
    scenario.run("x", 1)
    audit = scenario.audit()
    assert audit.passed
    assert list(audit.lines()) == []
    assert audit.last_line(7, 0) == (
        "chaos: pushes=1 accepted=1 executed=1 faults=7 lost=0 overlaps=0 explained=0 orphans=0"
    )


def test_accepted_job_that_never_runs_is_lost(scenario):
    scenario.push("x", 0)
    audit = scenario.audit()
    assert not audit.passed
    assert "lost=1" in audit.last_line(0, 0)
    assert list(audit.lines()) == ["lost: owner=x key=k"]


def test_job_that_starts_and_never_ends_is_lost(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("ack", "x", 2)
    assert [job.owner for job in scenario.audit().lost] == ["x"]


def test_job_on_the_server_is_not_lost(scenario):
    scenario.push("x", 0)
    assert scenario.audit("x").passed


def test_unguarded_push_is_accepted(scenario):
    scenario.push("x", 0, status="unguarded")
    assert [job.owner for job in scenario.audit().lost] == ["x"]


@pytest.mark.parametrize("status", ["unknown", "duplicate", "not_sent", "refused", None])
def test_job_that_was_not_accepted_may_be_missing(scenario, status):
    scenario.push("x", 0, status=status)
    audit = scenario.audit()
    assert audit.passed
    assert "pushes=1 accepted=0" in audit.last_line(0, 0)


def test_job_that_runs_as_a_requeued_copy_is_not_lost(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2)
    scenario.run("x", 5, jid="copy", parent="x")
    assert scenario.audit().passed


def test_second_push_after_an_unknown_one_is_the_same_job(scenario):
    scenario.push("x", 0, status="unknown")
    scenario.push("x", 1, jid="x2")
    scenario.run("x", 2, jid="x2")
    audit = scenario.audit()
    assert audit.passed
    assert "pushes=2 accepted=1 executed=1" in audit.last_line(0, 0)


def test_owner_that_was_never_pushed_is_a_stray(scenario):
    scenario.run("x", 1)
    audit = scenario.audit()
    assert not audit.passed
    assert list(audit.lines()) == ["stray: owner=x key=k"]


def test_two_live_jobs_of_a_key_are_unexplained(scenario):
    scenario.push("x", 0)
    scenario.push("y", 2)
    scenario.run("x", 3)
    scenario.run("y", 5)
    audit = scenario.audit()
    assert scenario.reasons() == [None]
    assert not audit.passed
    assert "overlaps=1 explained=0" in audit.last_line(0, 0)
    assert list(audit.lines()) == [
        "unexplained overlap: key=k: owner=y was pushed while jid=x of owner=x was live"
    ]


def test_jobs_of_two_keys_do_not_overlap(scenario):
    scenario.push("x", 0)
    scenario.push("y", 2, key="other")
    scenario.run("x", 3)
    assert scenario.audit().overlaps == []


def test_push_while_the_ack_is_sent_is_no_overlap(scenario):
    scenario.push("x", 0)
    scenario.run("x", 1, takes=1)
    scenario.push("y", 1.5, 2.1)
    scenario.run("y", 3)
    assert scenario.audit().overlaps == []


def test_finished_job_is_live_until_its_ack_is_sent(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.done("x", 2)
    scenario.push("y", 3)
    scenario.report("ack", "x", 4)
    scenario.run("y", 5)
    assert scenario.reasons() == [None]


def test_requeued_job_is_live_until_its_copys_ack(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2)
    scenario.push("y", 3)
    scenario.run("x", 5, jid="copy", parent="x")
    scenario.run("y", 7)
    assert scenario.reasons() == [None]


def test_job_of_an_unknown_push_is_live_once_fetched(scenario):
    """The renewal at its FETCH has made the lease a lock."""
    scenario.push("x", 0, status="unknown")
    scenario.push_y_during_x(1, 2)
    assert scenario.reasons() == [None]


def test_job_that_is_done_twice_is_unexplained(scenario):
    scenario.push("x", 0)
    scenario.run("x", 1)
    scenario.run("x", 70, process="other")
    assert scenario.reasons() == [None]
    assert list(scenario.audit().lines()) == [
        "unexplained overlap: key=k: owner=x done again as jid=x"
    ]


def test_duplicate_of_a_job_that_was_over_is_blocked(scenario):
    scenario.push("x", 0)
    scenario.run("x", 1)
    scenario.push("y", 20, status="duplicate", holder="x")
    audit = scenario.audit()
    assert not audit.passed
    assert audit.last_line(0, 0).endswith("orphans=0 blocked=1")
    assert audit.last_line(0, 0, findings=2).endswith("blocked=1 findings=2")
    assert list(audit.lines()) == ["blocked: p by owner=x key=k, which was over"]
