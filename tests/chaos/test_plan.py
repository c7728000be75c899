"""The plan of faults."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.chaos.plan import KINDS, plan


@pytest.mark.parametrize("seconds", [10, 15, 60, 600])
def test_the_same_seed_is_the_same_plan(seconds):
    state = random.getstate()
    assert plan(seconds, 7) == plan(seconds, 7)
    assert random.getstate() == state


def test_another_seed_is_another_plan():
    assert plan(60, 1) != plan(60, 2)


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_appears_even_in_a_short_run(seed):
    assert {fault.kind for fault in plan(5, seed)} == set(KINDS)


@pytest.mark.parametrize("seed", range(20))
def test_more_than_fifty_in_a_minute_in_order_and_within_it(seed):
    faults = plan(60, seed)
    times = [fault.at for fault in faults]
    assert len(faults) > 50
    assert times == sorted(times)
    assert times[0] >= 1
    assert times[-1] <= 59


@pytest.mark.parametrize("seed", range(20))
def test_each_kind_hits_all_its_targets_in_a_minute(seed):
    hit = Counter((fault.kind, fault.target) for fault in plan(60, seed))
    assert set(hit) == {(kind, target) for kind, targets in KINDS.items() for target in targets}


def test_in_ten_minutes_a_worker_is_stopped_past_its_reservation():
    stops = [f.parameters["seconds"] for f in plan(600, 1) if f.kind == "stop"]
    assert max(stops) > 60
    assert max(f.parameters["seconds"] for f in plan(60, 1) if f.kind == "stop") < 15
