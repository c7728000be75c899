"""The simulation can fail: each rule of the library, undone, is caught."""

from __future__ import annotations

import pytest

from tests.simulation.exploration import first_breach
from tests.simulation.mutations import MUTATIONS
from tests.simulation.scenarios import SCENARIOS


@pytest.mark.parametrize("name", MUTATIONS)
def test_it_is_caught(name, tally):
    caught_in, broken = MUTATIONS[name]
    tally["mutations"] += 1
    with broken():
        breach = first_breach([SCENARIOS[caught_in]])
    assert breach is not None
    tally["caught"] += 1
