"""All mutations, by name."""

from __future__ import annotations

from tests.simulation import conflict_mutations, push_mutations, report_mutations, run_mutations
from tests.simulation.mutation import MUTATIONS

__all__ = [
    "MUTATIONS",
    "conflict_mutations",
    "push_mutations",
    "report_mutations",
    "run_mutations",
]
