"""No fault at any step, and no order of steps, breaks a promise."""

from __future__ import annotations

import pytest

from tests.simulation.exploration import Exploration, explore_faults, explore_switches
from tests.simulation.scenarios import SCENARIOS

# Parts of the orders of a scenario, so that several processes can try them at once.
PARTS = 4

scenarios = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))


@scenarios
def test_no_single_fault_breaks_a_promise(scenario, tally):
    exploration = Exploration()
    explore_faults(scenario, exploration)
    tally(scenarios=1, crash_points=exploration.points)
    assert exploration.breaches == []
    assert exploration.points > 20


@scenarios
@pytest.mark.parametrize("part", range(PARTS))
def test_no_order_of_steps_breaks_a_promise(scenario, part, tally):
    exploration = Exploration()
    steps = explore_switches(scenario, exploration, slice(part, None, PARTS))
    tally(orders=exploration.runs)
    assert exploration.breaches == []
    assert steps > 5
    assert exploration.runs > 1
