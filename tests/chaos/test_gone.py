"""What a Faktory that was killed has lost itself, and what only looks like it."""

from __future__ import annotations

import pytest

from tests.chaos.accounts import Accounts
from tests.chaos.story import Story


@pytest.fixture
def story():
    return Story()


def accounts(story):
    return Accounts(story.facts())


def test_gone_with_a_faktory_that_was_killed_when_it_had_the_job_nowhere(story):
    story.push("x", 0)
    story.faktory_killed(1, "other")
    told = accounts(story)
    assert told.good
    assert told.last_line(0, 0).endswith(
        "lost=0 overlaps=0 explained=0 orphans=0 gone_with_faktory=1"
    )
    assert list(told.cases()) == ["gone with faktory: owner=x key=k"]


def test_gone_where_its_copy_was_waiting(story):
    """A copy that is due leaves the scheduled set before it is in its queue."""
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("requeue", "x", 2)
    story.faktory_killed(8)
    assert len(accounts(story).gone) == 1


def test_gone_where_its_fail_was_sent_before_the_kill(story):
    """A retry that is due leaves one set before it is in its queue."""
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("fail", "x", 2)
    story.faktory_killed(3)
    assert len(accounts(story).gone) == 1


def test_lost_all_the_same_where_the_killed_faktory_had_it(story):
    story.push("x", 0)
    story.faktory_killed(1, "x")
    assert len(accounts(story).lost) == 1


def test_lost_all_the_same_where_it_was_accepted_after_the_kill(story):
    story.faktory_killed(0)
    story.push("x", 1)
    assert len(accounts(story).lost) == 1


@pytest.mark.parametrize(("what", "killed"), [("ack", 3), ("requeue", 30)])
def test_lost_all_the_same_where_its_ack_was_sent_before_the_kill(story, what, killed):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report(what, "x", 2)
    story.faktory_killed(killed)
    assert len(accounts(story).lost) == 1


def test_lost_all_the_same_where_it_was_seen_after_the_kill(story):
    story.push("x", 0)
    story.faktory_killed(1)
    story.fetch("x", 2)
    assert len(accounts(story).lost) == 1


def test_lost_all_the_same_where_faktory_was_not_killed_but_restarted(story):
    story.push("x", 0)
    story.restarted("faktory", 1, 2)
    assert len(accounts(story).lost) == 1
