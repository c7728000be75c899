"""What became of a job that stepped aside: for whom it may, and when it is lost by it."""

from __future__ import annotations

import pytest

from tests.chaos.accounts import Accounts

KEY = "u:ChaosReplace:k"


def accounts(story, *still_there):
    return Accounts(story.facts(), still_there)


def names(story):
    """The owners that are executed, superseded and lost."""
    told = accounts(story)
    return [sorted(w.owner for w in ws) for ws in (told.executed, told.superseded, told.lost)]


@pytest.fixture
def replaced(story):
    """The first waits when the second takes its place."""
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY, replaces="x")
    return story


def test_stepped_aside_for_one_that_ran(replaced):
    replaced.aside("x", 2, "y")
    replaced.run("y", 3, replaces="x")
    told = accounts(replaced)
    assert told.good
    assert list(told.cases()) == []
    assert told.last_line(0, 0) == (
        "chaos: pushes=2 accepted=2 executed=1 faults=0 lost=0 overlaps=0 explained=0 orphans=0 "
        "superseded=1"
    )


def test_stepped_aside_for_one_that_stepped_aside_for_one_that_ran(replaced):
    replaced.push("z", 1.5, key=KEY, replaces="y")
    replaced.aside("x", 2, "y")
    replaced.aside("y", 3, "z")
    replaced.run("z", 4, replaces="y")
    assert accounts(replaced).good
    assert names(replaced) == [["z"], ["x", "y"], []]


def test_stepped_aside_for_one_whose_push_had_no_answer_and_which_was_fetched(story):
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY, replaces="x", status=None)
    story.fetch("y", 1.5, replaces="x", answer="Requeue", held="store_error")
    story.report("requeue", "y", 1.6)
    story.aside("x", 2, "y")
    story.run("y2", 2, jid="nobody's")
    story.run("y", 4, jid="copy", parent="y", replaces="x")
    assert names(story) == [[], ["x"], []]


def test_stepped_aside_for_one_that_never_ran(replaced):
    replaced.aside("x", 2, "y")
    assert names(replaced) == [[], [], ["x", "y"]]


def test_stepped_aside_for_one_that_is_still_there(replaced):
    replaced.aside("x", 2, "y")
    assert accounts(replaced, "y").lost == []
    assert accounts(replaced, "y").superseded == []


def test_stepped_aside_for_one_that_the_server_has_lost(replaced):
    replaced.aside("x", 2, "y")
    replaced.faktory_killed(5, "another")
    told = accounts(replaced)
    assert told.lost == []
    assert [work.owner for work in told.gone] == ["x", "y"]


@pytest.mark.parametrize("status", ["refused", "not_sent", "unknown", None])
def test_stepped_aside_for_one_that_was_not_accepted(story, status):
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY, replaces="x", status=status)
    story.aside("x", 2, "y")
    told = accounts(story)
    assert [work.owner for work in told.lost] == ["x"]
    assert not told.good
    assert "stepped aside for nobody: owner=x key=u:ChaosReplace:k" in told.cases()
    assert told.last_line(0, 0).endswith(" unfounded=1")


def test_stepped_aside_for_one_that_does_not_say_so(story):
    story.push("x", 0, key=KEY)
    story.push("y", 1, key=KEY)
    story.aside("x", 2, "y")
    story.run("y", 3)
    assert names(story) == [["y"], [], ["x"]]


def test_stepped_aside_for_one_that_is_in_the_place_of_another(replaced):
    replaced.push("z", 1.5, key=KEY, replaces="y")
    replaced.aside("x", 2, "z")
    replaced.aside("y", 3, "z")
    replaced.run("z", 4, replaces="y")
    assert names(replaced) == [["z"], ["y"], ["x"]]


def test_stepped_aside_for_one_of_another_key(story):
    story.push("x", 0, key=KEY)
    story.push("y", 1, key="another", replaces="x")
    story.aside("x", 2, "y")
    story.run("y", 3, replaces="x")
    assert names(story) == [["y"], [], ["x"]]


def test_stepped_aside_before_the_other_was_pushed(story):
    story.push("x", 0, key=KEY)
    story.aside("x", 1, "y")
    story.push("y", 2, key=KEY, replaces="x")
    story.run("y", 3, replaces="x")
    assert names(story) == [["y"], [], ["x"]]


def test_who_step_aside_for_each_other_are_lost(story):
    story.push("x", 0, key=KEY, replaces="y")
    story.push("y", 0, key=KEY, replaces="x")
    story.aside("x", 2, "y")
    story.aside("y", 3, "x")
    assert names(story) == [[], [], ["x", "y"]]


def test_what_stepped_aside_for_itself_is_lost(story):
    story.push("x", 0, key=KEY, replaces="x")
    story.aside("x", 2, "x")
    assert names(story) == [[], [], ["x"]]


def test_told_and_never_acknowledged_is_lost(replaced):
    replaced.fetch("x", 2, held="superseded", detail="replaced by y", answer="Drop")
    replaced.run("y", 3, replaces="x")
    assert names(replaced) == [["y"], [], ["x"]]


def test_acknowledged_unrun_and_not_told_is_lost(replaced):
    replaced.fetch("x", 2, held=None, answer="Drop")
    replaced.report("ack", "x", 2.1)
    replaced.run("y", 3, replaces="x")
    assert names(replaced) == [["y"], [], ["x"]]


def test_a_job_that_was_replaced_goes_out_as_other_work(replaced):
    """Its first push had no answer; under its own name it would step aside for a job once more."""
    replaced.push("x3", 3, key=KEY, job="x")
    replaced.aside("x", 2, "y")
    replaced.run("y", 2.2, takes=0.1, replaces="x")
    replaced.run("x3", 4)
    assert accounts(replaced).good
    assert names(replaced) == [["x3", "y"], ["x"], []]


def test_and_again_under_that_name_when_that_had_no_answer(replaced):
    replaced.push("x3", 3, key=KEY, job="x", status="unknown", jid="a")
    replaced.push("x3", 4, key=KEY, job="x", jid="b")
    replaced.aside("x", 2, "y")
    replaced.run("y", 2.2, takes=0.1, replaces="x")
    replaced.run("x3", 5, jid="b")
    facts = replaced.facts()
    assert [(push.jid, push.is_open) for push in facts.works["x3"].pushes] == [
        ("a", True),
        ("b", False),
    ]
    assert all(push.took for push in facts.works["x3"].pushes)
    assert Accounts(facts).good
