"""Reports that no worker may send."""

from __future__ import annotations

import pytest

from tests.chaos.reports import copies_of_themselves, late_reports
from tests.chaos.settings import RESERVE_FOR
from tests.chaos.timing import LATE_SECONDS

LATE = RESERVE_FOR + LATE_SECONDS


@pytest.mark.parametrize(
    ("type_", "after", "status", "is_late"),
    [
        ("ack", LATE + 1, "late", True),
        ("ack", LATE + 1, "unknown", True),
        ("fail", LATE + 1, "accepted", True),
        ("ack", LATE + 1, "withheld", False),
        ("ack", LATE - 1, "late", False),
        ("ack", LATE + 1, None, False),
    ],
)
def test_report_is_late_if_sent_after_its_reservation(scenario, type_, after, status, is_late):
    scenario.push("x", 0)
    scenario.fetch("x", 1, decision="Run")
    scenario.report(type_, "x", 1 + after, status=status)
    audit = scenario.audit("x")
    assert bool(audit.late) == is_late
    assert audit.passed == (not is_late)
    assert len(list(late_reports(scenario.history()))) == is_late


def test_report_counts_from_the_last_fetch_of_its_worker(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1, decision="Run")
    scenario.fetch("x", LATE, decision="Run", failures=1)
    scenario.report("ack", "x", LATE + 10)
    assert list(late_reports(scenario.history())) == []


def test_copy_under_its_own_jid_fails_the_audit(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1, decision="Run")
    scenario.report("requeue", "x", 2)
    scenario.run("x", 3, parent="x")
    audit = scenario.audit()
    assert [copy.jid for copy in copies_of_themselves(scenario.history())] == ["x"]
    assert not audit.passed
    assert "same jid: jid=x was requeued as itself" in list(audit.lines())


def test_copy_under_a_new_jid_passes_the_audit(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1, decision="Run")
    scenario.report("requeue", "x", 2)
    scenario.run("x", 3, jid="x2", parent="x")
    assert scenario.audit().passed
