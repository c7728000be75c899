"""All scenarios, by name."""

from __future__ import annotations

from tests.simulation import conflict_scenarios, push_scenarios, run_scenarios
from tests.simulation.scenario import SCENARIOS

__all__ = ["SCENARIOS", "conflict_scenarios", "push_scenarios", "run_scenarios"]
