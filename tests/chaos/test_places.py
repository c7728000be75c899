"""Each reason why a job ran that was replaced, and what is like it and explains nothing."""

from __future__ import annotations

import pytest

from tests.chaos.accounts import Accounts
from tests.chaos.places import TOMBSTONE_SECONDS
from tests.chaos.story import reasons, without_place

KEY = "u:ChaosReplace:k"


@pytest.fixture
def replaced(story):
    """The first waits when the second takes its place."""
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY, replaces="x")
    return story


def test_who_steps_aside_is_no_overlap(replaced):
    replaced.aside("x", 2, "y")
    replaced.run("y", 3, replaces="x")
    assert Accounts(replaced.facts()).overlaps == []


def test_it_had_been_fetched(story):
    story.push("x", 0, key=KEY)
    story.run("x", 1, takes=3)
    story.push("y", 2, key=KEY, replaces="x")
    story.run("y", 5, replaces="x")
    assert reasons(story) == ["fetched_before_swap"]


def test_it_had_been_fetched_and_one_was_refused_before_that(story):
    story.push("x", 0, key=KEY)
    story.push("z", 0.5, key=KEY, replaces="x", status="refused")
    story.run("x", 1, takes=3)
    story.push("y", 2, key=KEY, replaces="x")
    story.run("y", 5, replaces="x")
    assert reasons(story) == ["fetched_before_swap"]


def test_it_was_fetched_amid_the_swap(story):
    story.push("x", 0, key=KEY)
    story.push("y", 1, 2, key=KEY, replaces="x")
    story.run("x", 1.5)
    story.run("y", 5, replaces="x")
    assert reasons(story) == ["fetched_before_swap"]


def test_it_had_ended_before_the_other_was_there(story):
    story.push("x", 0, key=KEY)
    story.run("x", 1)
    story.push("y", 1.9, 2.1, key=KEY, replaces="x")
    story.run("y", 5, replaces="x")
    assert Accounts(story.facts()).overlaps == []


def unknown_swap(story):
    """A push that was answered, and whose producer could not make the swap before the old ran."""
    story.push("x", 0, key=KEY)
    without_place(story, "y", 1, "x", KEY)
    story._lines = [line for line in story._lines if line.get("name") != "lapsed"]
    story.run("x", 2)
    story.run("y", 5, replaces="x")


def test_the_store_was_away_at_the_swap(story):
    unknown_swap(story)
    story.event("store_error", "y", 1.09, who="p")
    assert reasons(story) == ["swap_open"]


def test_its_producer_was_killed_before_the_swap(story):
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY, replaces="x", status=None)
    story.ended("p", 1.1)
    story.run("x", 2, takes=4)
    story.run("y", 5, replaces="x")
    assert reasons(story) == ["swap_open"]


def test_nothing_kept_its_producer_from_the_swap(story):
    unknown_swap(story)
    assert reasons(story) == [None]


def test_it_had_ended_before_it_was_replaced(story):
    story.push("x", 0, key=KEY)
    story.run("x", 1)
    story.push("y", 3, key=KEY, replaces="x")
    story.run("y", 5, replaces="x")
    assert Accounts(story.facts()).overlaps == []


def test_it_ran_though_it_was_replaced(replaced):
    replaced.run("x", 2)
    replaced.run("y", 4, replaces="x")
    told = Accounts(replaced.facts())
    assert [overlap.reason for overlap in told.overlaps] == [None]
    assert not told.good
    assert list(told.cases()) == [
        f"unexplained overlap: key={KEY}: jid=x of owner=x ran, and was replaced"
    ]


def test_it_ran_though_the_other_had_asked_for_its_place(story):
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY, replaces="x", status=None)
    story.run("y", 2, replaces="x")
    story.run("x", 4)
    assert reasons(story) == [None]


def test_the_other_never_came_to_the_server(story):
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY, replaces="x", status="refused")
    story.run("x", 4)
    assert Accounts(story.facts()).good


def test_redis_forgot_its_tombstone(replaced):
    replaced.forgot(1.5, 1.6)
    replaced.run("x", 2)
    replaced.run("y", 4, replaces="x")
    assert reasons(replaced) == ["redis_forgot"]


@pytest.mark.parametrize("when", [-5, 2.5])
def test_redis_forgot_at_another_time(replaced, when):
    replaced.forgot(when, when + 0.1)
    replaced.run("x", 2)
    replaced.run("y", 4, replaces="x")
    assert reasons(replaced) == [None]


def test_the_store_was_away_when_it_was_fetched(replaced):
    replaced.fetch("x", 2, held="store_error", answer="Run")
    replaced.started("x", 2.1)
    replaced.done("x", 3)
    replaced.report("ack", "x", 3)
    replaced.run("y", 4, replaces="x")
    assert reasons(replaced) == ["aside_unasked"]


def test_the_store_was_away_when_it_had_begun(replaced):
    replaced.run("x", 2)
    replaced.event("store_error", "x", 2.5)
    replaced.run("y", 4, replaces="x")
    assert reasons(replaced) == [None]


def test_its_tombstone_had_run_out(replaced):
    replaced.run("y", 4, replaces="x")
    replaced.run("x", TOMBSTONE_SECONDS + 2)
    assert reasons(replaced) == ["tombstone_over"]


def test_its_tombstone_still_stood(replaced):
    replaced.run("y", 4, replaces="x")
    replaced.run("x", TOMBSTONE_SECONDS - 5)
    assert reasons(replaced) == [None]
