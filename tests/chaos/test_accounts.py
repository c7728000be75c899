"""Each verdict of the accounts: what is lost, what the server has lost, what is unexplained."""

from __future__ import annotations

import pytest

from tests.chaos.accounts import Accounts
from tests.chaos.story import Story


@pytest.fixture
def story():
    return Story()


def accounts(story, *still_there):
    return Accounts(story.facts(), still_there)


def reasons(story):
    return [overlap.reason for overlap in accounts(story).overlaps]


def test_a_job_that_is_pushed_and_run_is_all_there_is(story):
    story.push("x", 0)
    story.run("x", 1)
    told = accounts(story)
    assert told.good
    assert list(told.cases()) == []
    assert told.last_line(7, 0) == (
        "chaos: pushes=1 accepted=1 executed=1 faults=7 lost=0 overlaps=0 explained=0 orphans=0"
    )


def test_accepted_and_never_run_is_lost(story):
    story.push("x", 0)
    told = accounts(story)
    assert not told.good
    assert "lost=1" in told.last_line(0, 0)
    assert list(told.cases()) == ["lost: owner=x key=k"]


def test_begun_and_not_ended_is_lost(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("ack", "x", 2)
    assert [work.owner for work in accounts(story).lost] == ["x"]


def test_what_the_server_still_has_is_not_lost(story):
    story.push("x", 0)
    assert accounts(story, "x").good


def test_unguarded_is_accepted_too(story):
    story.push("x", 0, status="unguarded")
    assert [work.owner for work in accounts(story).lost] == ["x"]


@pytest.mark.parametrize("status", ["unknown", "duplicate", "not_sent", "refused", None])
def test_what_was_not_accepted_may_be_missing(story, status):
    story.push("x", 0, status=status)
    told = accounts(story)
    assert told.good
    assert "pushes=1 accepted=0" in told.last_line(0, 0)


def test_run_under_the_jid_of_a_copy_it_is_not_lost(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("requeue", "x", 2)
    story.run("x", 5, jid="copy", parent="x")
    assert accounts(story).good


def test_pushed_again_after_an_open_end_it_is_one_work(story):
    story.push("x", 0, status="unknown")
    story.push("x", 1, jid="x2")
    story.run("x", 2, jid="x2")
    told = accounts(story)
    assert told.good
    assert "pushes=2 accepted=1 executed=1" in told.last_line(0, 0)


def test_an_owner_that_nobody_pushed_is_a_stray(story):
    story.run("x", 1)
    told = accounts(story)
    assert not told.good
    assert list(told.cases()) == ["stray: owner=x key=k"]


def test_two_live_jobs_of_a_key_are_unexplained(story):
    story.push("x", 0)
    story.push("y", 2)
    story.run("x", 3)
    story.run("y", 5)
    told = accounts(story)
    assert reasons(story) == [None]
    assert not told.good
    assert "overlaps=1 explained=0" in told.last_line(0, 0)
    assert list(told.cases()) == [
        "unexplained overlap: key=k: owner=y was pushed while jid=x of owner=x was live"
    ]


def test_of_two_keys_there_is_no_overlap(story):
    story.push("x", 0)
    story.push("y", 2, key="other")
    story.run("x", 3)
    assert reasons(story) == []


def test_once_the_ack_is_on_its_way_another_may_come(story):
    story.push("x", 0)
    story.run("x", 1, takes=1)
    story.push("y", 1.5, 2.1)
    story.run("y", 3)
    assert reasons(story) == []


def test_until_its_ack_is_sent_a_done_job_is_live(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.done("x", 2)
    story.push("y", 3)
    story.report("ack", "x", 4)
    story.run("y", 5)
    assert reasons(story) == [None]


def test_a_job_is_live_from_its_requeue_to_its_copys_ack(story):
    story.push("x", 0)
    story.fetch("x", 1)
    story.report("requeue", "x", 2)
    story.push("y", 3)
    story.run("x", 5, jid="copy", parent="x")
    story.run("y", 7)
    assert reasons(story) == [None]


def test_a_job_whose_push_is_open_is_live_once_the_server_had_it(story):
    story.push("x", 0, status="unknown")
    story.fetch("x", 1)
    story.push("y", 2)
    story.done("x", 3)
    story.report("ack", "x", 3)
    story.run("y", 5)
    assert reasons(story) == [None]  # the hold of its run has made it a lock


def test_a_work_that_is_done_twice_is_unexplained(story):
    story.push("x", 0)
    story.run("x", 1)
    story.run("x", 70, who="other")
    assert reasons(story) == [None]
    assert list(accounts(story).cases()) == [
        "unexplained overlap: key=k: owner=x done again as jid=x"
    ]


def test_a_push_that_work_turned_away_which_was_over_is_blocked(story):
    story.push("x", 0)
    story.run("x", 1)
    story.push("y", 20, status="duplicate", holder="x")
    told = accounts(story)
    assert not told.good
    assert told.last_line(0, 0).endswith("orphans=0 blocked=1")
    assert told.last_line(0, 0, findings=2).endswith("blocked=1 findings=2")
    assert list(told.cases()) == ["blocked: p by owner=x key=k, which was over"]
