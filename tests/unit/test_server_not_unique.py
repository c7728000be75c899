"""NOTUNIQUE from a server that keeps jobs unique itself: its effect on a push and its lock."""

from __future__ import annotations

import pytest

from faktory_unique import Policy, PushResult, PushStatus, Unique
from faktory_unique.client.server_errors import is_not_unique
from faktory_unique.locks.transition import read_transition
from tests.unit.push_helpers import Faktory, job


class NotUniqueFaktory(Faktory):
    """Returns the result for a server that has an equal job and does not report its jid."""

    def result(self, job):
        if job["jid"] in self.errors:
            return PushResult(status=PushStatus.DUPLICATE, jid="", submitted_jid=job["jid"])
        return super().result(job)


@pytest.fixture
def faktory():
    faktory = NotUniqueFaktory()
    faktory.errors = {"jid-00000001"}
    return faktory


@pytest.mark.parametrize(
    ("on_conflict", "error"),
    [
        ("skip", None),
        ("replace", None),
        ("raise", "an equal job is queued or running (Faktory does not report its jid)"),
    ],
)
def test_not_unique_is_a_duplicate_without_jid_and_lock(faktory, on_conflict, error):
    seen = []
    unique = Unique("memory://", default=Policy(on_conflict=on_conflict), hooks=[seen.append])
    [result] = unique.push([job()], faktory)
    assert (result.status, result.jid, result.submitted_jid) == ("duplicate", "", "jid-00000001")
    assert (result.confirmed, result.error) == (True, error)
    assert unique._context.store.run([read_transition(result.key)]) == [None]
    assert [event.name for event in seen] == ["acquired", "duplicate"]
    assert seen[-1].detail == "Faktory itself keeps jobs unique"


def test_followers_in_a_batch_are_duplicates_too(faktory):
    unique = Unique("memory://", default=Policy())
    results = unique.push([job(), job(jid="jid-b-000")], faktory)
    assert [(r.status, r.jid) for r in results] == [("duplicate", ""), ("duplicate", "")]
    assert faktory.jids == ["jid-00000001"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [("NOTUNIQUE Job not unique", True), ("NOTUNIQUE", True), ("OOM not unique", False)],
)
def test_not_unique_is_recognized_by_its_code(error, expected):
    assert is_not_unique(error) is expected


def test_observing_policy_raises_nothing(faktory):
    unique = Unique("memory://", default=Policy(enforce=False, on_conflict="raise"))
    [result] = unique.push([job(1)], faktory)
    assert (result.status, result.error) == ("duplicate", None)
