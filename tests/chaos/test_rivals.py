"""Each reason why two live at once of those that replace each other, and what explains nothing."""

from __future__ import annotations

import pytest

from tests.chaos.settings import LEASE, TTL
from tests.chaos.story import reasons, without_place

KEY = "u:ChaosReplace:k"


@pytest.fixture
def replaced(story):
    """The first waits when the second takes its place."""
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY, replaces="x")
    return story


def test_two_replace_one_at_once(replaced):
    without_place(replaced, "z", 1.05, "x", KEY)
    replaced.push("zz", 3, key=KEY, replaces="y")
    replaced.aside("x", 4, "y")
    replaced.aside("y", 4, "zz")
    replaced.run("zz", 5, replaces="y")
    replaced.run("z", 6, replaces="x")
    # Of the next, which was pushed while the one without a place was live.
    assert reasons(replaced) == ["replaced_at_once"]


def test_one_is_replaced_when_its_place_is_another_s_already(replaced):
    without_place(replaced, "z", 1.5, "x", KEY)
    replaced.aside("x", 4, "y")
    replaced.run("y", 5, replaces="x")
    replaced.run("z", 7, replaces="x", held="lapsed")
    assert reasons(replaced) == [None]


def test_its_place_was_taken(story):
    story.push("x", 0, key=KEY)
    story.fetch("x", 0.5, answer="Run")
    without_place(story, "y", 0.8, "x", KEY)
    story.done("x", 0.85)
    story.report("ack", "x", 0.86)
    story.push("z", 3, key=KEY, replaces="another")
    story.run("y", 4, replaces="x", held="lapsed")
    story.run("z", 6)
    assert reasons(story) == ["place_was_taken"]


def test_its_push_was_open_so_that_nobody_made_the_swap(story):
    story.push("x", 0, key=KEY)
    story.run("x", 0.5, takes=0.1)
    story.push("y", 0.55, 0.7, key=KEY, replaces="x", status="unknown")
    story.fetch("y", 1, replaces="x", held="store_error", answer="Requeue")
    story.report("requeue", "y", 1.1)
    story.push("z", 3, key=KEY)
    story.run("y", 4, jid="copy", parent="y", replaces="x")
    story.run("z", 6)
    assert "swap_open" in reasons(story)
    assert None not in reasons(story)


def test_it_has_its_place_and_another_is_pushed_beside_it(replaced):
    replaced.push("z", 3, key=KEY)
    replaced.aside("x", 4, "y")
    replaced.run("y", 5, replaces="x")
    replaced.run("z", 7)
    assert reasons(replaced) == [None]


def test_it_has_its_place_for_no_longer_than_ttl(replaced):
    replaced.aside("x", 2, "y")
    replaced.push("z", TTL + 3, key=KEY)
    replaced.run("z", TTL + 8)
    replaced.fetch("y", TTL + 4, replaces="x", held="lapsed", answer="Run")
    replaced.done("y", TTL + 5)
    replaced.report("ack", "y", TTL + 5)
    assert reasons(replaced) == ["waited_longer_than_ttl"]


def test_one_that_only_leases_its_lock_is_not_replaced(story):
    story.push("x", 0, key=KEY, status=None)
    story.push("y", 1, key=KEY, status="unguarded")
    story.fetch("x", 0.5, answer="Run")
    story.done("x", LEASE)
    story.report("ack", "x", LEASE)
    story.run("y", LEASE + 1)
    assert reasons(story) == ["unguarded"]
