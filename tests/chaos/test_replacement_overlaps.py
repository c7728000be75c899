"""Reasons for two live jobs of which one replaces another, and cases that explain nothing."""

from __future__ import annotations

import pytest

from tests.chaos.details import IS_LEASED
from tests.chaos.scenario import REPLACE_KEY
from tests.chaos.settings import LEASE, TTL


def test_concurrent_replacements_explain_it(replaced):
    """The overlap is that of zz, which was pushed while z was live without a lock."""
    replaced.push_without_place("z", 1.05, "x")
    replaced.push("zz", 3, key=REPLACE_KEY, replaces="y")
    replaced.supersede("x", 4, "y")
    replaced.supersede("y", 4, "zz")
    replaced.run("zz", 5, replaces="y")
    replaced.run("z", 6, replaces="x")
    assert replaced.reasons() == ["replaced_concurrently"]


def test_replacement_of_a_replaced_job_is_unexplained(replaced):
    replaced.push_without_place("z", 1.5, "x")
    replaced.supersede("x", 4, "y")
    replaced.run("y", 5, replaces="x")
    replaced.run("z", 7, replaces="x", event="lapsed")
    assert replaced.reasons() == [None]


def test_end_of_the_replaced_job_explains_it(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.fetch("x", 0.5, decision="Run")
    scenario.push_without_place("y", 0.8, "x")
    scenario.done("x", 0.85)
    scenario.report("ack", "x", 0.86)
    scenario.push("z", 3, key=REPLACE_KEY, replaces="another")
    scenario.run("y", 4, replaces="x", event="lapsed")
    scenario.run("z", 6)
    assert scenario.reasons() == ["replaced_job_ended"]


def test_unknown_push_explains_a_missing_replacement(scenario):
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.run("x", 0.5, takes=0.1)
    scenario.push("y", 0.55, 0.7, key=REPLACE_KEY, replaces="x", status="unknown")
    scenario.fetch("y", 1, replaces="x", event="store_error", decision="Requeue")
    scenario.report("requeue", "y", 1.1)
    scenario.push("z", 3, key=REPLACE_KEY)
    scenario.run("y", 4, jid="copy", parent="y", replaces="x")
    scenario.run("z", 6)
    assert "replace_unknown" in scenario.reasons()
    assert None not in scenario.reasons()


def test_push_beside_a_written_replacement_is_unexplained(replaced):
    replaced.push("z", 3, key=REPLACE_KEY)
    replaced.supersede("x", 4, "y")
    replaced.run("y", 5, replaces="x")
    replaced.run("z", 7)
    assert replaced.reasons() == [None]


def test_replacement_has_its_lock_for_ttl(replaced):
    replaced.supersede("x", 2, "y")
    replaced.push("z", TTL + 3, key=REPLACE_KEY)
    replaced.run("z", TTL + 8)
    replaced.fetch("y", TTL + 4, replaces="x", event="lapsed", decision="Run")
    replaced.finish("y", TTL + 5)
    assert replaced.reasons() == ["waited_longer_than_ttl"]


@pytest.mark.parametrize(
    ("leased", "pushed", "reason"),
    [("x", 1, "unguarded"), ("x", LEASE + 2, None), ("another", 1, None)],
)
def test_job_that_only_leases_its_lock_is_not_replaced(scenario, leased, pushed, reason):
    """The lease of x is over at LEASE, and no other owner has the lock."""
    scenario.push("x", 0, status="unknown", key=REPLACE_KEY)
    why = f"{leased}{IS_LEASED}"
    scenario.push("y", pushed, key=REPLACE_KEY, status="unguarded", why=why)
    scenario.fetch("x", 0.5, decision="Run")
    scenario.finish("x", LEASE + 4)
    scenario.run("y", LEASE + 5)
    assert scenario.reasons() == [reason]


@pytest.mark.parametrize(
    ("status", "pushed", "reason"),
    [
        ("unguarded", LEASE + 1.9, "unguarded"),
        ("unguarded", LEASE + 2.1, None),
        ("unknown", LEASE + 1.9, None),
    ],
)
def test_lease_of_an_unguarded_push_may_begin_late(scenario, status, pushed, reason):
    """Redis carries the acquire out when its outage ends, two seconds after the push."""
    scenario.delay("redis", -1, 2)
    scenario.push("x", 0, status=status, key=REPLACE_KEY, ended=0.5, why="timed out")
    scenario.fetch("x", 1, decision="Run")
    why = f"x{IS_LEASED}"
    scenario.push("y", pushed, key=REPLACE_KEY, status="unguarded", why=why)
    scenario.finish("x", LEASE + 4)
    scenario.run("y", LEASE + 5)
    assert scenario.reasons() == [reason]


def test_replacement_of_an_earlier_rival_is_unexplained(scenario):
    """y never got the lock, though its rival z replaced x long before."""
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("z", 1, key=REPLACE_KEY, replaces="x")
    scenario.supersede("x", 2, "z")
    scenario.run("z", 3, replaces="x")
    scenario.push("y", 6, key=REPLACE_KEY, replaces="x", confirm_event=False)
    scenario.push("w", 8, key=REPLACE_KEY)
    scenario.run("y", 9, replaces="x")
    scenario.run("w", 11)
    assert scenario.reasons() == [None]


@pytest.mark.parametrize(("ended", "reason"), [(0.86, "replaced_job_ended"), (2, None)])
def test_lock_of_a_third_job_needs_the_end_of_the_replaced(scenario, ended, reason):
    """Until x has ended, its lock stands, and nobody else can acquire it."""
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.fetch("x", 0.5, decision="Run")
    scenario.push_without_place("y", 0.8, "x")
    scenario.report("ack", "x", ended)
    scenario.push("z", 3, key=REPLACE_KEY, replaces="another")
    scenario.run("y", 4, replaces="x", event="lapsed")
    scenario.run("z", 6)
    assert scenario.reasons() == [reason]
