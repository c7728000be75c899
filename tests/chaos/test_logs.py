"""Errors in the logs of processes, and which of them a kill explains."""

from __future__ import annotations

import pytest

from tests.chaos.logs import logged_errors

LINE = "2026-12-01 00:38:51,614 INFO job done"
ERROR = "2026-12-01 00:38:51,614 ERROR a hook raised"
TRACEBACK = "Traceback (most recent call last):"


def findings(scenario, folder, *lines):
    (folder / "worker-0.1.log").write_text("\n".join(lines) + "\n")
    return list(logged_errors(folder, scenario.history()))


@pytest.mark.parametrize("error", [ERROR, TRACEBACK])
def test_error_of_a_process_is_a_finding(scenario, tmp_path, error):
    scenario.end("worker-0.1", 5, "terminate")
    found = findings(scenario, tmp_path, LINE, error)
    assert found == [f"worker-0.1 logged an error: {error}"]


def test_log_without_errors_is_no_finding(scenario, tmp_path):
    assert findings(scenario, tmp_path, LINE, LINE) == []


def test_traceback_after_a_kill_is_no_finding(scenario, tmp_path):
    """A handler that outlives its worker finds no parent."""
    scenario.end("worker-0.1", 5)
    assert findings(scenario, tmp_path, LINE, TRACEBACK, "EOFError") == []


@pytest.mark.parametrize("lines", [(ERROR,), (TRACEBACK, "ValueError", LINE)])
def test_error_before_a_kill_is_a_finding(scenario, tmp_path, lines):
    scenario.end("worker-0.1", 5)
    assert len(findings(scenario, tmp_path, LINE, *lines)) == 1
