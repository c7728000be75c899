"""Reasons why a replaced job ran, and similar cases that explain nothing."""

from __future__ import annotations

import pytest

from tests.chaos.scenario import REPLACE_KEY
from tests.chaos.timing import TOMBSTONE_SECONDS


def test_superseded_job_is_no_overlap(replaced):
    replaced.supersede("x", 2, "y")
    replaced.run("y", 3, replaces="x")
    assert replaced.audit().overlaps == []


def test_job_fetched_before_its_replacement_may_run(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.run("x", 1, takes=3)
    scenario.push("y", 2, key=REPLACE_KEY, replaces="x")
    scenario.run("y", 5, replaces="x")
    assert scenario.reasons() == ["fetched_before_replace"]


def test_refused_replacement_does_not_count(scenario):
    """z was refused before x was fetched; y replaced x after that."""
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("z", 0.5, key=REPLACE_KEY, replaces="x", status="refused")
    scenario.run("x", 1, takes=3)
    scenario.push("y", 2, key=REPLACE_KEY, replaces="x")
    scenario.run("y", 5, replaces="x")
    assert scenario.reasons() == ["fetched_before_replace"]


def test_job_fetched_during_the_replacing_push_may_run(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, 2, key=REPLACE_KEY, replaces="x")
    scenario.run("x", 1.5)
    scenario.run("y", 5, replaces="x")
    assert scenario.reasons() == ["fetched_before_replace"]


@pytest.mark.parametrize(
    ("pushed", "answered"),
    [
        pytest.param(1.9, 2.1, id="before the other was on the server"),
        pytest.param(3, None, id="before the other was pushed"),
    ],
)
def test_job_that_ended_before_its_replacement_may_run(scenario, pushed, answered):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.run("x", 1)
    scenario.push("y", pushed, answered, key=REPLACE_KEY, replaces="x")
    scenario.run("y", 5, replaces="x")
    assert scenario.audit().overlaps == []


@pytest.fixture
def unwritten(scenario):
    """The push of y is accepted, but the replacement is not written before x runs."""
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push_without_place("y", 1, "x", lapsed=False)
    scenario.run("x", 2)
    scenario.run("y", 5, replaces="x")
    return scenario


def test_store_error_at_the_replacement_explains_a_run(unwritten):
    unwritten.event("store_error", "y", 1.09, process="p")
    assert unwritten.reasons() == ["replace_unknown"]


def test_unknown_push_beside_a_known_one_explains_no_run(unwritten):
    """The producer of y must have written the replacement, whatever that of z knew."""
    unwritten.push("z", 1.2, key=REPLACE_KEY, replaces="x", status="unknown", process="q")
    assert unwritten.reasons() == [None]


def test_producer_killed_before_the_write_explains_a_run(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, key=REPLACE_KEY, replaces="x", status=None)
    scenario.end("p", 1.1)
    scenario.run("x", 2, takes=4)
    scenario.run("y", 5, replaces="x")
    assert scenario.reasons() == ["replace_unknown"]


def test_live_producer_must_write_the_replacement(unwritten):
    assert unwritten.reasons() == [None]


def test_run_after_the_replacement_is_unexplained(replaced):
    replaced.run("x", 2)
    replaced.run("y", 4, replaces="x")
    audit = replaced.audit()
    assert [overlap.reason for overlap in audit.overlaps] == [None]
    assert not audit.passed
    assert list(audit.lines()) == [
        f"unexplained overlap: key={REPLACE_KEY}: jid=x of owner=x ran after it was replaced"
    ]


def test_replacement_written_by_the_worker_counts(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, key=REPLACE_KEY, replaces="x", status=None)
    scenario.run("y", 2, replaces="x")
    scenario.run("x", 4)
    assert scenario.reasons() == [None]


def test_job_with_a_refused_replacement_may_run(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, key=REPLACE_KEY, replaces="x", status="refused")
    scenario.run("x", 4)
    assert scenario.audit().passed


def test_lost_tombstone_explains_a_run(replaced):
    replaced.lose_locks(1.5, 1.6)
    replaced.run("x", 2)
    replaced.run("y", 4, replaces="x")
    assert replaced.reasons() == ["redis_forgot"]


@pytest.mark.parametrize("when", [-5, 2.5])
def test_locks_lost_at_another_time_explain_no_run(replaced, when):
    replaced.lose_locks(when, when + 0.1)
    replaced.run("x", 2)
    replaced.run("y", 4, replaces="x")
    assert replaced.reasons() == [None]


def test_store_error_at_fetch_explains_a_run(replaced):
    replaced.fetch("x", 2, event="store_error", decision="Run")
    replaced.start("x", 2.1)
    replaced.finish("x", 3)
    replaced.run("y", 4, replaces="x")
    assert replaced.reasons() == ["store_down_at_fetch"]


def test_store_error_after_the_start_explains_no_run(replaced):
    replaced.run("x", 2)
    replaced.event("store_error", "x", 2.5)
    replaced.run("y", 4, replaces="x")
    assert replaced.reasons() == [None]


def test_expired_tombstone_explains_a_run(replaced):
    replaced.run("y", 4, replaces="x")
    replaced.run("x", TOMBSTONE_SECONDS + 2)
    assert replaced.reasons() == ["tombstone_expired"]


def test_tombstone_must_last(replaced):
    replaced.run("y", 4, replaces="x")
    replaced.run("x", TOMBSTONE_SECONDS - 5)
    assert replaced.reasons() == [None]
