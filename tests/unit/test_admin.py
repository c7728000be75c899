"""Looking at locks and freeing them by hand, in memory and on a Redis."""

from __future__ import annotations

import math

import pytest
import redis

from faktory_unique import InvalidJob, Lock, Policy, StoreUnavailable, Unique
from faktory_unique.locks.keys import run_key, tombstone_key
from faktory_unique.locks.transition import Transition
from tests.unit.push_helpers import Faktory, job

POLICIES = {
    "Email": Policy(ttl=600),
    "Billing": Policy(ttl=600),
    "Billing::Invoice": Policy(ttl=600, per_queue=True),
    "Letter": Policy(ttl=600, scope="{mail}"),
    "Postcard": Policy(ttl=600, scope="{mail}"),
}


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def where(request):
    return "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")


@pytest.fixture
def seen():
    return []


@pytest.fixture
def unique(where, seen):
    with Unique(where, POLICIES, hooks=[seen.append]) as unique:
        yield unique


@pytest.fixture
def push(unique):
    def push(n=1, **fields):
        [result] = unique.push([job(n, **fields)], Faktory())
        assert result
        return result

    return push


def owners(locks):
    return sorted(lock.owner for lock in locks)


class TestHolder:
    def test_it_is_the_lock_of_the_work(self, unique, push):
        result = push(1)
        lock = unique.holder("Email", [1])
        assert lock == Lock(result.key, "Email", result.jid, False, lock.ttl)
        assert 598 < lock.ttl <= 600

    def test_there_is_none_where_nothing_is_locked(self, unique, push):
        push(1)
        assert unique.holder("Email", [2]) is None
        assert unique.holder("Billing", (1,)) is None

    def test_a_lease_is_told_as_one(self, unique, push):
        result = push(1)
        unique._context.store.run([Transition(result.key, (result.jid,), f"{result.jid}?", 30)])
        lock = unique.holder("Email", (1,))
        assert (lock.owner, lock.leased) == (result.jid, True)

    def test_what_its_key_is_made_from_is_as_the_job_has_it(self, unique, push):
        result = push(1, jobtype="Billing::Invoice", queue="slow")
        assert unique.holder("Billing::Invoice", [1]) is None
        assert unique.holder("Billing::Invoice", [1], queue="slow").owner == result.jid

    def test_so_is_what_it_says_itself(self, unique, push):
        custom = {"unique_for": 600}
        result = push(1, jobtype="Other", custom=custom)
        assert unique.holder("Other", [1], custom=custom).owner == result.jid

    @pytest.mark.parametrize(
        ("jobtype", "args", "custom", "told"),
        [
            ("Other", [1], None, "jobtype: 'Other' is not unique, so there is no lock"),
            ("Email", [float("nan")], None, r"args\[0\]: nan is not JSON"),
            ("Email", "1", None, "args: str is no list"),
            ("Email", 1, None, "args: int is no list"),
            ("Email", [1], {"unique_for": "10m"}, "custom.unique_for: '10m'"),
            ("Email", [1], {"unique_for": False}, "jobtype: 'Email' is not unique"),
            ("Email", [1], "unique_for", "custom: str is no dict"),
            (5, [1], None, "jobtype: 5 is empty or no text"),
        ],
    )
    def test_where_there_can_be_no_key_the_error_says_why(
        self, unique, jobtype, args, custom, told
    ):
        for ask in (unique.holder, unique.release):
            with pytest.raises(InvalidJob, match=told):
                ask(jobtype, args, custom=custom)


def test_a_lock_that_somebody_has_made_last_for_ever_is_seen(redis_url):
    """It keeps pushes away: by hand is how it goes."""
    with Unique(redis_url, default=Policy()) as unique:
        [result] = unique.push([job(1)], Faktory())
        with redis.Redis.from_url(redis_url) as server:
            server.persist(result.key)
        assert unique.holder("Email", [1]).ttl == math.inf
        assert unique.release("Email", [1]).key == result.key


@pytest.mark.parametrize("jobtype", [5, "", b"Email"])
def test_locks_are_those_of_a_jobtype(unique, jobtype):
    with pytest.raises(InvalidJob, match="jobtype: "):
        list(unique.locks(jobtype))


class TestRelease:
    def test_the_lock_is_freed_whoever_has_it(self, unique, push, seen):
        result = push(1)
        lock = unique.release("Email", [1])
        assert (lock.key, lock.owner) == (result.key, result.jid)
        assert unique.holder("Email", [1]) is None
        event = seen[-1]
        assert (event.name, event.key, event.owner, event.jobtype, event.detail) == (
            *("released", result.key, result.jid),
            *("Email", "manually"),
        )

    def test_so_is_a_lease(self, unique, push):
        result = push(1)
        unique._context.store.run([Transition(result.key, (result.jid,), f"{result.jid}?", 30)])
        assert unique.release("Email", [1]).leased
        assert unique.holder("Email", [1]) is None

    def test_where_there_is_none_nothing_is_freed_or_told(self, unique, push, seen):
        push(1)
        seen.clear()
        assert unique.release("Email", [2]) is None
        assert seen == []
        assert unique.holder("Email", [1])

    def test_one_that_has_changed_hands_since_it_was_looked_at_stays(
        self, unique, push, seen, monkeypatch
    ):
        result = push(1)
        stale = unique.holder("Email", [1])
        unique._context.store.run([Transition(result.key, (result.jid,), "other-jid", 500)])
        monkeypatch.setattr(unique, "holder", lambda *_a, **_o: stale)
        seen.clear()
        assert unique.release("Email", [1]) is None
        assert seen == []
        assert owners(unique.locks()) == ["other-jid"]


class TestLocks:
    def test_they_are_all_of_a_jobtype_and_no_others(self, unique, push):
        """Not those of a longer name, nor what stands beside a lock."""
        result = push(1, jobtype="Billing")
        push(2, jobtype="Billing::Invoice")
        push(3)
        beside = [tombstone_key(result.key, "x"), run_key(result.key)]
        unique._context.store.run([Transition(key, (None,), "x", 60) for key in beside])
        assert owners(unique.locks("Billing")) == ["jid-00000001"]
        assert owners(unique.locks("Billing::Invoice")) == ["jid-00000002"]
        assert owners(unique.locks()) == ["jid-00000001", "jid-00000002", "jid-00000003"]
        assert owners(unique.locks("Bill")) == []

    def test_of_a_scope_they_are_those_of_all_that_share_it(self, unique, push):
        push(1, jobtype="Letter")
        push(2, jobtype="Postcard")
        locks = list(unique.locks("Letter"))
        assert owners(locks) == ["jid-00000001", "jid-00000002"]
        assert {lock.name for lock in locks} == {"{mail}"}

    def test_locks_without_a_policy_are_those_of_unique_for(self, unique, push):
        push(1, jobtype="Other", custom={"unique_for": 600})
        assert owners(unique.locks("Other")) == ["jid-00000001"]

    def test_they_are_read_as_they_are_asked_for(self, unique, push):
        push(1)
        locks = unique.locks()
        push(2)
        assert owners(locks) == ["jid-00000001", "jid-00000002"]

    def test_one_that_went_meanwhile_is_left_out(self, unique, push, monkeypatch):
        result = push(1)
        scanned = [[result.key, "unique:1:Email:gone"], [result.key]]
        monkeypatch.setattr(unique._context.store, "scan", lambda _beginning: iter(scanned))
        assert owners(unique.locks()) == ["jid-00000001"] * 2


class TestReleaseJids:
    def test_the_locks_of_these_jobs_are_freed_and_told(self, unique, push, seen):
        for n in range(1, 4):
            push(n)
        push(4, jobtype="Billing")
        seen.clear()
        jids = ["jid-00000001", "jid-00000003", "jid-00000004", "no-such-jid"]
        freed = unique.release_jids("Email", iter(jids))
        assert owners(freed) == ["jid-00000001", "jid-00000003"]
        assert owners(unique.locks()) == ["jid-00000002", "jid-00000004"]
        assert sorted(event.jid for event in seen) == ["jid-00000001", "jid-00000003"]

    def test_a_lock_that_scan_has_shown_twice_is_freed_once(self, unique, push, monkeypatch):
        result = push(1)
        monkeypatch.setattr(
            unique._context.store, "scan", lambda _b: iter([[result.key], [result.key]])
        )
        assert owners(unique.release_jids("Email", {result.jid})) == [result.jid]

    def test_a_text_is_no_list_of_jids(self, unique):
        with pytest.raises(TypeError, match=r"jids is a list: pass \['jid-00000001'\]"):
            unique.release_jids("Email", "jid-00000001")


@pytest.mark.parametrize(
    "ask",
    [
        lambda unique: unique.holder("Email", [1]),
        lambda unique: unique.release("Email", [1]),
        lambda unique: list(unique.locks()),
        lambda unique: unique.release_jids("Email", ["jid-00000001"]),
    ],
    ids=["holder", "release", "locks", "release_jids"],
)
def test_a_store_that_is_away_is_an_error(ask):
    with Unique("redis://127.0.0.1:1/0", POLICIES) as unique, pytest.raises(StoreUnavailable):
        ask(unique)
