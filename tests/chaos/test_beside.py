"""Each verdict on a run lock and on a tombstone that is left when no job is."""

from __future__ import annotations

import pytest

from tests.chaos.locks import Lock, orphans_at_once, waited_for
from tests.chaos.places import TOMBSTONE_SECONDS

EXCLUSIVE = "u:ChaosExclusive:k"
REPLACE = "u:ChaosReplace:k"
NOW = 10.0


def why(story, lock, now=NOW):
    """Why it is an orphan; None where it is none."""
    return next((why for _, why in orphans_at_once([lock], story.facts(), now)), None)


def run_lock(ttl, jid="x"):
    return Lock(f"{{{EXCLUSIVE}}}:run", f"{jid}:0123456789abcdef", ttl)


def tombstone(ttl, *, of="x", says="y"):
    return Lock(f"{{{REPLACE}}}:gone:{of}", says, ttl)


@pytest.fixture
def ran(story):
    story.push("x", 0, key=EXCLUSIVE)
    story.run("x", 1)
    return story


@pytest.fixture
def replaced(story):
    story.push("x", 0, key=REPLACE)
    story.push("y", 1, key=REPLACE, replaces="x")
    story.aside("x", 2, "y")
    story.run("y", 3, replaces="x")
    return story


def test_a_run_lock_whose_job_was_reported(ran):
    assert why(ran, run_lock(50)) == "its job was reported, and did not free it"


def test_a_run_lock_whose_worker_was_killed_at_its_end(ran):
    ran.ended("w", 2.5)
    assert why(ran, run_lock(50)) is None
    assert waited_for([run_lock(50)], ran.facts(), NOW) == [
        (run_lock(50), "w was killed or stopped at its end")
    ]


def test_a_run_lock_whose_worker_was_killed_long_after(ran):
    ran.ended("w", 20)
    assert why(ran, run_lock(50), 30)


def test_a_run_lock_whose_worker_was_killed_amid_its_run(story):
    story.push("x", 0, key=EXCLUSIVE)
    story.fetch("x", 1, answer="Run")
    story.started("x", 1.1)
    story.ended("w", 1.5)
    assert why(story, run_lock(80)) is None
    assert why(story, run_lock(84)) == "it was held anew when its job had run for 3 s"


def test_a_run_lock_whose_worker_lives_and_says_nothing(story):
    story.push("x", 0, key=EXCLUSIVE)
    story.fetch("x", 1, answer="Run")
    assert why(story, run_lock(50))


def test_a_run_lock_that_the_store_failed_at_its_end(ran):
    ran.event("store_error", "x", 2.5, detail="run lock: away; freed when it is back")
    ran.ended("w", 4, "terminate")
    ran.gone("w", 5)
    ran.calm(8)
    assert why(ran, run_lock(50)) is None


def test_a_run_lock_that_the_store_failed_and_its_worker_lived_to_free_it(ran):
    ran.event("store_error", "x", 2.5, detail="run lock: away; freed when it is back")
    ran.calm(8)
    ran.ended("w", 100, "terminate")
    assert why(ran, run_lock(50))


def test_a_run_lock_of_a_worker_that_ended_and_was_not_kept_from_freeing_it(ran):
    ran.ended("w", 20, "terminate")
    ran.gone("w", 21)
    ran.calm(30)
    assert why(ran, run_lock(50))


@pytest.mark.parametrize(("ttl", "jid"), [(-1, "x"), (91, "x"), (50, "nobody")])
def test_a_run_lock_that_nothing_can_have_made(ran, ttl, jid):
    ran.ended("w", 2.5)
    assert why(ran, run_lock(ttl, jid))


def test_a_tombstone_is_no_orphan_and_not_waited_for(replaced):
    assert why(replaced, tombstone(TOMBSTONE_SECONDS)) is None
    assert waited_for([tombstone(TOMBSTONE_SECONDS)], replaced.facts(), NOW) == []


@pytest.mark.parametrize("ttl", [-1, 500])
def test_a_tombstone_that_lives_for_too_long(replaced, ttl):
    assert why(replaced, tombstone(ttl))


@pytest.mark.parametrize("names", [{"of": "nobody"}, {"says": "nobody"}, {"of": "y", "says": "x"}])
def test_a_tombstone_that_is_not_so(replaced, names):
    assert why(replaced, tombstone(50, **names))


def test_a_tombstone_that_names_one_who_was_refused(story):
    story.push("x", 0, key=REPLACE)
    story.push("y", 1, key=REPLACE, replaces="x", status="refused")
    assert why(story, tombstone(50))
