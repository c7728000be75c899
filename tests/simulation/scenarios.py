"""All scenarios, by name."""

from __future__ import annotations

from tests.simulation import conflicts, pushes, runs
from tests.simulation.scenario import SCENARIOS

__all__ = ["SCENARIOS", "conflicts", "pushes", "runs"]
