"""No fault at any step, and no order of steps, breaks a promise."""

from __future__ import annotations

import pytest

from tests.simulation.exploration import Report, explore, explore_switches
from tests.simulation.scenarios import SCENARIOS

scenarios = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))


@scenarios
def test_each_single_fault_at_each_step(scenario, tally):
    report = Report()
    explore(scenario, report)
    tally["scenarios"] += 1
    tally["crash_points"] += report.points
    assert report.broken == []
    assert report.points > 20


@scenarios
def test_another_process_first_at_each_step_and_at_each_two(scenario, tally):
    report = Report()
    explore_switches(scenario, report)
    tally["orders"] += report.runs
    assert report.broken == []
    assert report.runs > 20
