"""Reasons for two live jobs of which one replaces another, and cases that explain nothing."""

from __future__ import annotations

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


def test_job_that_only_leases_its_lock_is_not_replaced(scenario):
    scenario.push("x", 0, key=REPLACE_KEY, status=None)
    scenario.push("y", 1, key=REPLACE_KEY, status="unguarded")
    scenario.fetch("x", 0.5, decision="Run")
    scenario.finish("x", LEASE)
    scenario.run("y", LEASE + 1)
    assert scenario.reasons() == ["unguarded"]
