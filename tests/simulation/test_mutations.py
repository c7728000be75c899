"""The simulation detects each mutation of the library, so it is able to fail."""

from __future__ import annotations

import pytest

from tests.simulation.exploration import first_breach
from tests.simulation.mutations import MUTATIONS
from tests.simulation.scenarios import SCENARIOS


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_caught(name, tally):
    caught_in, mutated = MUTATIONS[name]
    tally(mutations=1)
    with mutated():
        breach = first_breach([SCENARIOS[caught_in]])
    assert breach is not None
    tally(caught=1)
