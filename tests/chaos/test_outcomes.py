"""Outcomes of superseded jobs: which successor is valid, and when the job is lost instead."""

from __future__ import annotations

import pytest

from tests.chaos.details import REPLACED_BY
from tests.chaos.scenario import REPLACE_KEY


def owners(scenario):
    """The owners of the executed, superseded and lost jobs."""
    audit = scenario.audit()
    groups = (audit.executed, audit.superseded, audit.lost)
    return [sorted(job.owner for job in jobs) for jobs in groups]


def test_job_is_superseded_by_one_that_ran(replaced):
    replaced.supersede("x", 2, "y")
    replaced.run("y", 3, replaces="x")
    audit = replaced.audit()
    assert audit.passed
    assert list(audit.lines()) == []
    assert audit.last_line(0, 0) == (
        "chaos: pushes=2 accepted=2 executed=1 faults=0 lost=0 overlaps=0 explained=0 orphans=0 "
        "superseded=1"
    )


@pytest.mark.parametrize(("final", "outcome"), [(True, "dead"), (False, "lost")])
def test_job_without_a_retry_left_is_dead(scenario, final, outcome):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("fail", "x", 2, final=final)
    audit = scenario.audit()
    assert [job.owner for job in getattr(audit, outcome)] == ["x"]
    assert audit.passed == (outcome == "dead")


def test_job_is_superseded_through_a_chain(replaced):
    """Its successor is superseded in turn by a job that runs."""
    replaced.push("z", 1.5, key=REPLACE_KEY, replaces="y")
    replaced.supersede("x", 2, "y")
    replaced.supersede("y", 3, "z")
    replaced.run("z", 4, replaces="y")
    assert replaced.audit().passed
    assert owners(replaced) == [["z"], ["x", "y"], []]


def test_fetched_successor_of_an_unknown_push_is_valid(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, key=REPLACE_KEY, replaces="x", status=None)
    scenario.fetch("y", 1.5, replaces="x", decision="Requeue", event="store_error")
    scenario.report("requeue", "y", 1.6)
    scenario.supersede("x", 2, "y")
    scenario.run("y2", 2, jid="nobody's")
    scenario.run("y", 4, jid="copy", parent="y", replaces="x")
    assert owners(scenario) == [[], ["x"], []]


def test_job_is_lost_with_its_successor(replaced):
    replaced.supersede("x", 2, "y")
    assert owners(replaced) == [[], [], ["x", "y"]]


def test_job_is_pending_with_its_successor(replaced):
    replaced.supersede("x", 2, "y")
    assert replaced.audit("y").lost == []
    assert replaced.audit("y").superseded == []


def test_job_is_gone_with_faktory_with_its_successor(replaced):
    replaced.supersede("x", 2, "y")
    replaced.kill_faktory(5, "another", before=["y"])
    audit = replaced.audit()
    assert audit.lost == []
    assert [job.owner for job in audit.gone_with_faktory] == ["x", "y"]


@pytest.mark.parametrize("status", ["refused", "not_sent", "unknown", None])
def test_job_is_lost_if_its_successor_was_not_accepted(scenario, status):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, key=REPLACE_KEY, replaces="x", status=status)
    scenario.supersede("x", 2, "y")
    audit = scenario.audit()
    assert [job.owner for job in audit.lost] == ["x"]
    assert not audit.passed
    assert f"superseded by no job: owner=x key={REPLACE_KEY}" in audit.lines()
    assert audit.last_line(0, 0).endswith(" unfounded=1")


def test_job_is_lost_if_its_successor_has_no_such_stamp(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, key=REPLACE_KEY)
    scenario.supersede("x", 2, "y")
    scenario.run("y", 3)
    assert owners(scenario) == [["y"], [], ["x"]]


def test_job_is_lost_if_its_successor_replaces_another(replaced):
    replaced.push("z", 1.5, key=REPLACE_KEY, replaces="y")
    replaced.supersede("x", 2, "z")
    replaced.supersede("y", 3, "z")
    replaced.run("z", 4, replaces="y")
    assert owners(replaced) == [["z"], ["y"], ["x"]]


def test_job_is_lost_if_its_successor_has_another_key(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, key="another", replaces="x")
    scenario.supersede("x", 2, "y")
    scenario.run("y", 3, replaces="x")
    assert owners(scenario) == [["y"], [], ["x"]]


def test_job_is_lost_if_superseded_before_the_push(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.supersede("x", 1, "y")
    scenario.push("y", 2, key=REPLACE_KEY, replaces="x")
    scenario.run("y", 3, replaces="x")
    assert owners(scenario) == [["y"], [], ["x"]]


def test_jobs_that_supersede_each_other_are_lost(scenario):
    scenario.push("x", 0, key=REPLACE_KEY, replaces="y")
    scenario.push("y", 0, key=REPLACE_KEY, replaces="x")
    scenario.supersede("x", 2, "y")
    scenario.supersede("y", 3, "x")
    assert owners(scenario) == [[], [], ["x", "y"]]


def test_job_that_supersedes_itself_is_lost(scenario):
    scenario.push("x", 0, key=REPLACE_KEY, replaces="x")
    scenario.supersede("x", 2, "x")
    assert owners(scenario) == [[], [], ["x"]]


def test_superseded_job_without_an_ack_is_lost(replaced):
    replaced.fetch("x", 2, event="superseded", detail=f"{REPLACED_BY}y", decision="Drop")
    replaced.run("y", 3, replaces="x")
    assert owners(replaced) == [["y"], [], ["x"]]


def test_dropped_job_without_an_event_is_lost(replaced):
    replaced.fetch("x", 2, event=None, decision="Drop")
    replaced.report("ack", "x", 2.1)
    replaced.run("y", 3, replaces="x")
    assert owners(replaced) == [["y"], [], ["x"]]


def test_replaced_job_is_sent_under_a_new_owner(replaced):
    """Its first push had no answer. Under its own owner it would be superseded once more."""
    replaced.push("x3", 3, key=REPLACE_KEY, job="x")
    replaced.supersede("x", 2, "y")
    replaced.run("y", 2.2, takes=0.1, replaces="x")
    replaced.run("x3", 4)
    assert replaced.audit().passed
    assert owners(replaced) == [["x3", "y"], ["x"], []]


def test_new_owner_is_kept_when_it_is_sent_again(replaced):
    """The first push under the new owner had no answer either."""
    replaced.push("x3", 3, key=REPLACE_KEY, job="x", status="unknown", jid="a")
    replaced.push("x3", 4, key=REPLACE_KEY, job="x", jid="b")
    replaced.supersede("x", 2, "y")
    replaced.run("y", 2.2, takes=0.1, replaces="x")
    replaced.run("x3", 5, jid="b")
    pushes = replaced.history().jobs["x3"].pushes
    assert [(push.jid, push.outcome_unknown) for push in pushes] == [("a", True), ("b", False)]
    assert all(push.acquired_at for push in pushes)
    assert replaced.audit().passed
