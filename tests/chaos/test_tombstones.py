"""Verdicts on a tombstone that is left when no job is."""

from __future__ import annotations

import pytest

from tests.chaos.orphans import Lock, find_expiring, find_orphans
from tests.chaos.scenario import REPLACE_KEY
from tests.chaos.timing import TOMBSTONE_SECONDS

NOW = 10.0


def is_orphan(scenario, lock):
    return bool(find_orphans([lock], scenario.history(), NOW))


def tombstone(ttl, *, replaced="x", successor="y"):
    return Lock(f"{{{REPLACE_KEY}}}:gone:{replaced}", successor, ttl)


@pytest.fixture
def superseded(replaced):
    replaced.supersede("x", 2, "y")
    replaced.run("y", 3, replaces="x")
    return replaced


def test_tombstone_is_no_orphan_and_need_not_expire(superseded):
    assert not is_orphan(superseded, tombstone(TOMBSTONE_SECONDS))
    assert find_expiring([tombstone(TOMBSTONE_SECONDS)], superseded.history(), NOW) == []


@pytest.mark.parametrize("ttl", [-1, 500])
def test_tombstone_with_too_long_a_ttl_is_an_orphan(superseded, ttl):
    assert is_orphan(superseded, tombstone(ttl))


@pytest.mark.parametrize(
    "owners",
    [{"replaced": "nobody"}, {"successor": "nobody"}, {"replaced": "y", "successor": "x"}],
)
def test_tombstone_with_wrong_owners_is_an_orphan(superseded, owners):
    assert is_orphan(superseded, tombstone(50, **owners))


def test_tombstone_that_names_a_refused_job_is_an_orphan(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, key=REPLACE_KEY, replaces="x", status="refused")
    assert is_orphan(scenario, tombstone(50))
