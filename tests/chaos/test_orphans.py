"""Verdicts on a lock that is left when no job is, on blocked pushes, and the bound of the drain."""

from __future__ import annotations

import pytest

from tests.chaos.details import ACK_ERROR, FETCH_ERROR
from tests.chaos.drain import drain_bound
from tests.chaos.orphans import Lock, find_expiring, find_orphans, pushes_blocked_by_ended_jobs
from tests.chaos.scenario import REPLACE_KEY, Scenario
from tests.chaos.settings import LEASE
from tests.chaos.storage import StoredJob


@pytest.fixture
def executed(scenario):
    scenario.push("x", 0)
    scenario.run("x", 1)
    return scenario


def is_orphan(scenario, lock, now=2.5):
    history = scenario.history()
    orphans, expiring = find_orphans([lock], history, now), find_expiring([lock], history, now)
    assert len(orphans) + len(expiring) == 1
    return bool(orphans)


@pytest.fixture
def release_failed(executed):
    """The store fails the release of x's lock, and a fault of Redis goes on until 10."""
    executed.event("store_error", "x", 2.01, detail=f"{ACK_ERROR} unavailable")
    executed.delay("redis", 1.9, 10)
    return executed


# Redis is back at 10, and a retry comes after five seconds and may take two.
RELEASED = 17


@pytest.mark.parametrize(("status", "is_dead"), [("accepted", True), ("unknown", False)])
def test_lock_of_a_dead_job_is_an_orphan(scenario, status, is_dead):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("fail", "x", 2, status, final=True)
    assert is_orphan(scenario, Lock("k", "x", 50)) == is_dead


def test_lock_of_a_job_to_be_retried_is_no_orphan(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("fail", "x", 2)
    assert not is_orphan(scenario, Lock("k", "x", 50))


def test_lock_of_an_acknowledged_job_is_an_orphan(executed):
    assert is_orphan(executed, Lock("k", "x", 50))


def test_worker_killed_during_its_ack_may_leave_a_lock(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("ack", "x", 2, None)
    scenario.end("w", 2.01)
    assert not is_orphan(scenario, Lock("k", "x", 50))


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_worker_that_ends_after_its_ack_leaves_an_orphan(executed, how):
    executed.end("w", 2.1, how)
    assert is_orphan(executed, Lock("k", "x", 50))


def test_worker_stopped_during_its_ack_leaves_an_orphan(executed):
    """It releases the lock once it goes on."""
    executed.stop("w", 2.01, 5)
    assert is_orphan(executed, Lock("k", "x", 50))


@pytest.mark.parametrize(("exited", "expected"), [(RELEASED - 1, False), (RELEASED + 1, True)])
def test_worker_that_ends_before_its_release_may_leave_a_lock(release_failed, exited, expected):
    release_failed.end("w", 5, "terminate")
    release_failed.exit("w", exited)
    assert is_orphan(release_failed, Lock("k", "x", 50), now=100) is expected


@pytest.mark.parametrize(("now", "expected"), [(RELEASED - 1, False), (RELEASED + 1, True)])
def test_worker_that_lives_must_release_once_redis_is_back(release_failed, now, expected):
    assert is_orphan(release_failed, Lock("k", "x", 50), now) is expected


def test_stopped_worker_releases_after_its_stop(release_failed):
    release_failed.stop("w", 12, 30)
    assert not is_orphan(release_failed, Lock("k", "x", 50), 36)
    assert is_orphan(release_failed, Lock("k", "x", 50), 38)


@pytest.mark.parametrize(
    "error",
    [
        {"mono": 1.01, "detail": f"{FETCH_ERROR}: unavailable"},
        {"mono": 2.01, "detail": f"{ACK_ERROR} unavailable", "process": "another"},
        {"mono": 0.05, "detail": "unavailable", "process": "p"},
    ],
    ids=["at FETCH", "of another worker", "of the producer"],
)
def test_store_error_of_another_write_explains_no_lock(executed, error):
    executed.event("store_error", "x", **error)
    executed.delay("redis", 0, 10)
    for process in ("w", "another", "p"):
        executed.end(process, 5)
    assert is_orphan(executed, Lock("k", "x", 50), 12)


def test_job_without_an_accepted_ack_may_leave_a_lock(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("ack", "x", 2, "unknown")
    assert not is_orphan(scenario, Lock("k", "x", 50))


@pytest.mark.parametrize(("now", "expected"), [(2, False), (5, True)])
def test_lease_is_no_longer_than_its_push_allows(scenario, now, expected):
    """The push ended at 0.1, so the lease ends at 10.1; Redis rounds up."""
    scenario.push("x", 0, status="unknown")
    assert is_orphan(scenario, Lock("k", "x?", LEASE - 2), now) is expected


def test_lock_that_never_expires_is_an_orphan(scenario):
    scenario.push("x", 0)
    assert is_orphan(scenario, Lock("k", "x", -1))


@pytest.mark.parametrize(("failures", "allowed"), [(0, 164), (1, 194), (3, 332)])
def test_lock_longer_than_an_attempt_is_an_orphan(scenario, failures, allowed):
    """60 + 30, then n⁴ + 15 + 29(n + 1) + 10, then 20."""
    scenario.push("x", 0)
    scenario.fetch("x", 1, failures=failures)
    assert not is_orphan(scenario, Lock("k", "x", allowed))
    assert is_orphan(scenario, Lock("k", "x", allowed + 1))


def test_lease_longer_than_the_policys_is_an_orphan(scenario):
    scenario.push("x", 0, status="unknown")
    assert is_orphan(scenario, Lock("k", "x?", LEASE + 1), now=0.2)


def test_lock_of_an_unknown_owner_is_an_orphan():
    assert is_orphan(Scenario(), Lock("k", "nobody", 5))


def test_lock_under_another_key_is_an_orphan(scenario):
    scenario.push("x", 0)
    assert is_orphan(scenario, Lock("another", "x", 5))


def test_drain_bound_is_that_of_the_slowest_job():
    """A fresh job: its retry 54, later 3 + 10, blocked 45, the backlog 45."""
    after = 54 + 3 + 10 + 45 + 45
    assert drain_bound([], 1000) == after
    assert drain_bound([StoredJob("q:default", "j", "o", 0, 0)], 1000) == after
    assert drain_bound([StoredJob("retries", "j", "o", 3, 1100)], 1000) == 100 + 10 + after
    assert drain_bound([StoredJob("working", "j", "o", 1, 1060)], 1000) == 90 + 84 + after


def explanations(scenario):
    """The explanation of each push that a job which was over blocked."""
    return [why for _, why in pushes_blocked_by_ended_jobs(scenario.history())]


def test_duplicate_of_a_live_job_is_correct(executed):
    executed.push("y", 1.5, status="duplicate", holder="x")
    assert explanations(executed) == []


def test_duplicate_of_a_job_that_was_over_is_unexplained(executed):
    executed.push("y", 10, status="duplicate", holder="x")
    assert explanations(executed) == [None]


@pytest.mark.parametrize(
    ("began", "expected"),
    [
        (RELEASED - 1, "the store failed the release, until 17.0 at the latest"),
        (RELEASED + 1, None),
    ],
)
def test_failed_release_explains_a_blocked_push(release_failed, began, expected):
    release_failed.push("y", began, status="duplicate", holder="x")
    assert explanations(release_failed) == [expected]


@pytest.mark.parametrize(("began", "is_explained"), [(155, True), (170, False)])
def test_dropped_release_explains_pushes_until_the_ttl_ends(release_failed, began, is_explained):
    """No TTL is longer than that of an attempt: 164 s, set before the ACK."""
    release_failed.end("w", 5)
    release_failed.push("y", began, status="duplicate", holder="x")
    [why] = explanations(release_failed)
    assert bool(why) is is_explained


@pytest.mark.parametrize("mono", [0.05, 1.01, 30])
def test_earlier_store_error_explains_no_blocked_push(executed, mono):
    executed.event("store_error", "x", mono, detail=f"{FETCH_ERROR}: unavailable")
    executed.push("y", 10, status="duplicate", holder="x")
    assert explanations(executed) == [None]


def test_worker_killed_after_its_ack_explains_no_blocked_push(executed):
    executed.end("w", 2.5)
    executed.push("y", 10, status="duplicate", holder="x")
    assert explanations(executed) == [None]


@pytest.mark.parametrize(
    ("began", "confirmed", "expected"),
    [
        (6, False, "it was pushed again"),
        (6, True, None),
        (5.1 + LEASE + 2, False, None),
        (4, False, None),
    ],
    ids=["leased", "held", "after the lease", "before it"],
)
def test_second_push_of_an_ended_job_leases_its_lock(executed, began, confirmed, expected):
    executed.push("x", 5, status="unknown", jid="x2")
    duplicate = {"status": "duplicate", "holder": "x", "confirmed": confirmed}
    executed.push("y", began, **duplicate)
    assert explanations(executed) == [expected]


@pytest.mark.parametrize(
    ("killed", "key", "confirmed", "expected"),
    [
        (4, REPLACE_KEY, False, "its producer was killed"),
        (4, REPLACE_KEY, True, None),
        (4, "k", False, None),
        (5 - LEASE - 2, REPLACE_KEY, False, None),
    ],
    ids=["leased", "held", "not replaceable", "long after the kill"],
)
def test_duplicate_of_a_job_nobody_pushed_needs_a_kill(scenario, killed, key, confirmed, expected):
    scenario.end("another", killed)
    scenario.push("y", 5, status="duplicate", holder="nobody", key=key, confirmed=confirmed)
    assert explanations(scenario) == [expected]


@pytest.mark.parametrize(("ended", "expected"), [(7, []), (5, [None])])
def test_duplicate_may_name_the_jid_of_a_copy(scenario, ended, expected):
    """x was pushed again under another jid, in one batch with y."""
    scenario.push("x", 0, status="unknown", job="x")
    scenario.push("x", 1, job="x", jid="x2")
    scenario.run("x", 2, jid="x2", takes=ended - 2)
    scenario.push("y", 6, status="duplicate", holder="x2")
    assert explanations(scenario) == expected


def test_duplicate_of_a_job_with_another_key_is_unexplained(scenario):
    scenario.push("x", 0)
    scenario.push("y", 0.5, status="duplicate", holder="x", key="another")
    assert explanations(scenario) == [None]


def test_duplicate_of_a_requeued_job_is_correct(scenario):
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.report("requeue", "x", 2)
    scenario.push("y", 10, status="duplicate", holder="x")
    assert explanations(scenario) == []
    scenario.run("x", 12, jid="copy", parent="x")
    assert explanations(scenario) == []
