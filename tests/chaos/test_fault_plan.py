"""The plan of faults."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.chaos.fault_plan import KINDS, plan_faults


@pytest.mark.parametrize("seconds", [10, 15, 60, 600])
def test_same_seed_gives_the_same_plan(seconds):
    state = random.getstate()
    assert plan_faults(seconds, 7) == plan_faults(seconds, 7)
    assert random.getstate() == state


def test_another_seed_gives_another_plan():
    assert plan_faults(60, 1) != plan_faults(60, 2)


@pytest.mark.parametrize("seed", range(20))
def test_short_plan_has_every_kind(seed):
    assert {fault.kind for fault in plan_faults(5, seed)} == set(KINDS)


@pytest.mark.parametrize("seed", range(20))
def test_plan_of_a_minute_has_over_fifty_faults_in_order(seed):
    faults = plan_faults(60, seed)
    times = [fault.at for fault in faults]
    assert len(faults) > 50
    assert times == sorted(times)
    assert times[0] >= 1
    assert times[-1] <= 59


@pytest.mark.parametrize("seed", range(20))
def test_plan_of_a_minute_hits_every_target(seed):
    hit = Counter((fault.kind, fault.target) for fault in plan_faults(60, seed))
    assert set(hit) == {(kind, target) for kind, targets in KINDS.items() for target in targets}


def test_long_plan_stops_a_worker_past_its_reservation():
    stops = [f.parameters["seconds"] for f in plan_faults(600, 1) if f.kind == "stop"]
    assert max(stops) > 60
    assert max(f.parameters["seconds"] for f in plan_faults(60, 1) if f.kind == "stop") < 15
