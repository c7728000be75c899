"""`Unique.holder`, `locks`, `release` and `release_jids`, in memory and on Redis."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

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
def store_url(request):
    return "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")


@pytest.fixture
def events():
    return []


@pytest.fixture
def unique(store_url, events):
    with Unique(store_url, POLICIES, hooks=[events.append]) as unique:
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


def test_key_of_another_program_has_no_name(unique):
    """It has the prefix of our keys. `locks` shows it, so that somebody can find it."""
    unique._context.store.run([Transition("unique:1:x", (None,), "mine", 60)])
    [lock] = unique.locks()
    assert (lock.key, lock.name, lock.owner) == ("unique:1:x", "", "mine")


class TestHolder:
    def test_holder_is_the_lock_of_the_work(self, unique, push):
        result = push(1)
        lock = unique.holder("Email", [1])
        assert lock == Lock(result.key, "Email", result.jid, False, lock.ttl, result.jid)
        assert 598 < lock.ttl <= 600

    def test_holder_of_unlocked_work_is_none(self, unique, push):
        push(1)
        assert unique.holder("Email", [2]) is None
        assert unique.holder("Billing", (1,)) is None

    def test_holder_of_a_lease_is_leased(self, unique, push):
        result = push(1)
        unique._context.store.run([Transition(result.key, (result.jid,), f"{result.jid}?", 30)])
        lock = unique.holder("Email", (1,))
        assert (lock.owner, lock.leased) == (result.jid, True)

    def test_holder_needs_the_queue_of_a_per_queue_policy(self, unique, push):
        result = push(1, jobtype="Billing::Invoice", queue="slow")
        assert unique.holder("Billing::Invoice", [1]) is None
        assert unique.holder("Billing::Invoice", [1], queue="slow").owner == result.jid

    def test_holder_uses_the_custom_of_the_job(self, unique, push):
        custom = {"unique_for": 600}
        result = push(1, jobtype="Other", custom=custom)
        assert unique.holder("Other", [1], custom=custom).owner == result.jid

    @pytest.mark.parametrize(
        ("jobtype", "args", "custom", "message"),
        [
            ("Other", [1], None, "jobtype: 'Other' is not unique, so there is no lock"),
            ("Email", [float("nan")], None, r"args\[0\]: nan is not JSON"),
            ("Email", "1", None, "args: str is not a list"),
            ("Email", 1, None, "args: int is not a list"),
            ("Email", [1], {"unique_for": "10m"}, "custom.unique_for: '10m'"),
            ("Email", [1], {"unique_for": False}, "jobtype: 'Email' is not unique"),
            ("Email", [1], "unique_for", "custom: str is not a dict"),
            (5, [1], None, "jobtype: 5 is not Unicode text of 1 to 512 bytes"),
        ],
    )
    def test_work_without_a_key_is_an_error_that_says_why(
        self, unique, jobtype, args, custom, message
    ):
        for call in (unique.holder, unique.release):
            with pytest.raises(InvalidJob, match=message):
                call(jobtype, args, custom=custom)


def test_lock_without_ttl_is_shown_as_infinite_and_released(redis_url):
    """Pushes stay duplicates until somebody releases it manually."""
    with Unique(redis_url, default=Policy()) as unique:
        [result] = unique.push([job(1)], Faktory())
        with redis.Redis.from_url(redis_url) as server:
            server.persist(result.key)
        assert unique.holder("Email", [1]).ttl == math.inf
        assert unique.release("Email", [1]).key == result.key


@pytest.mark.parametrize("jobtype", [5, "", b"Email"])
def test_invalid_jobtype_is_refused(unique, jobtype):
    with pytest.raises(InvalidJob, match="jobtype: "):
        list(unique.locks(jobtype))


class TestRelease:
    def test_release_removes_the_lock_of_any_owner(self, unique, push, events):
        result = push(1)
        lock = unique.release("Email", [1])
        assert (lock.key, lock.owner) == (result.key, result.jid)
        assert unique.holder("Email", [1]) is None
        event = events[-1]
        assert (event.name, event.key, event.owner, event.jobtype, event.detail) == (
            *("released", result.key, result.jid),
            *("Email", "manually"),
        )

    def test_release_removes_a_lease(self, unique, push):
        result = push(1)
        unique._context.store.run([Transition(result.key, (result.jid,), f"{result.jid}?", 30)])
        assert unique.release("Email", [1]).leased
        assert unique.holder("Email", [1]) is None

    def test_release_needs_the_queue_of_a_per_queue_policy(self, unique, push):
        result = push(1, jobtype="Billing::Invoice", queue="slow")
        assert unique.release("Billing::Invoice", [1]) is None
        assert unique.release("Billing::Invoice", [1], queue="slow").owner == result.jid
        assert list(unique.locks()) == []

    def test_release_of_unlocked_work_emits_nothing(self, unique, push, events):
        push(1)
        events.clear()
        assert unique.release("Email", [2]) is None
        assert events == []
        assert unique.holder("Email", [1])

    def test_release_leaves_a_lock_whose_owner_changed(self, unique, push, events, monkeypatch):
        result = push(1)
        stale = [(result.jid, 500.0), None]
        unique._context.store.run([Transition(result.key, (result.jid,), "other-jid", 500)])
        monkeypatch.setattr(unique._context.store, "read", lambda _keys: stale)
        events.clear()
        assert unique.release("Email", [1]) is None
        assert events == []
        monkeypatch.undo()
        assert owners(unique.locks()) == ["other-jid"]


class TestRunLocks:
    """The run lock of an exclusive job, whose value is a token: the jid and an attempt."""

    TOKEN = "the:jid:0123456789abcdef"

    @pytest.fixture
    def running(self, unique, push):
        result = push(1)
        other = push(2, jobtype="Billing")
        keys = [run_key(result.key), run_key(other.key)]
        unique._context.store.run([Transition(key, (None,), self.TOKEN, 60) for key in keys])
        return result

    def test_locks_shows_run_locks_with_their_job(self, unique, running):
        [lock, run_lock] = unique.locks("Email")
        assert (lock.owner, lock.is_run_lock) == (running.jid, False)
        assert (run_lock.key, run_lock.name) == (run_key(running.key), "Email")
        assert (run_lock.owner, run_lock.is_run_lock, run_lock.leased) == ("the:jid", True, False)
        assert len(list(unique.locks())) == 4

    def test_holder_is_the_run_lock_if_no_other_is_left(self, unique, running):
        assert unique.holder("Email", [1]).owner == running.jid
        unique._context.store.run([Transition(running.key, (running.jid,), None, 0)])
        assert unique.holder("Email", [1]).is_run_lock

    def test_release_removes_both(self, unique, running, events):
        assert unique.release("Email", [1]).owner == running.jid
        assert list(unique.locks("Email")) == []
        assert [event.key for event in events[-2:]] == [running.key, run_key(running.key)]
        assert len(list(unique.locks("Billing"))) == 2

    def test_release_of_a_run_lock_compares_its_token(self, unique, running, monkeypatch):
        stale = [None, ("the:jid:fedcba9876543210", 60.0)]
        monkeypatch.setattr(unique._context.store, "read", lambda _keys: stale)
        assert unique.release("Email", [1]) is None
        monkeypatch.undo()
        assert len(list(unique.locks("Email"))) == 2

    def test_release_jids_releases_run_locks_as_well(self, unique, running):
        [released] = unique.release_jids("Email", ["the:jid"])
        assert released.is_run_lock


def test_command_of_the_page_deletes_every_key(redis_url):
    """docs/rollout.md: run locks and tombstones have keys of another form."""
    page = (Path(__file__).parents[2] / "docs" / "rollout.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^```sh\n(for pattern.*?)^```", page, re.DOTALL | re.MULTILINE)
    command = command.replace("redis-cli", f"redis-cli -u {redis_url}")
    with Unique(redis_url, POLICIES) as unique, redis.Redis.from_url(redis_url) as server:
        for n in range(3):
            [result] = unique.push([job(n, jobtype="Letter")], Faktory())
            server.set(run_key(result.key), "x")
            server.set(tombstone_key(result.key, "a jid"), "x")
        server.set("unique", "not ours")
        subprocess.run(["bash", "-c", command], check=True, timeout=60)
        assert server.keys() == [b"unique"]


class TestLocks:
    def test_locks_of_a_jobtype_are_its_own_only(self, unique, push):
        """Locks of a longer name are not included, nor are tombstones."""
        result = push(1, jobtype="Billing")
        push(2, jobtype="Billing::Invoice")
        push(3)
        tombstone = tombstone_key(result.key, "x")
        unique._context.store.run([Transition(tombstone, (None,), "x", 60)])
        assert owners(unique.locks("Billing")) == ["jid-00000001"]
        assert owners(unique.locks("Billing::Invoice")) == ["jid-00000002"]
        assert owners(unique.locks()) == ["jid-00000001", "jid-00000002", "jid-00000003"]
        assert owners(unique.locks("Bill")) == []

    def test_locks_of_a_scope_include_every_jobtype_that_shares_it(self, unique, push):
        push(1, jobtype="Letter")
        push(2, jobtype="Postcard")
        locks = list(unique.locks("Letter"))
        assert owners(locks) == ["jid-00000001", "jid-00000002"]
        assert {lock.name for lock in locks} == {"{mail}"}

    def test_locks_without_a_policy_are_those_of_unique_for(self, unique, push):
        push(1, jobtype="Other", custom={"unique_for": 600})
        assert owners(unique.locks("Other")) == ["jid-00000001"]

    def test_locks_are_read_lazily(self, unique, push):
        push(1)
        locks = unique.locks()
        push(2)
        assert owners(locks) == ["jid-00000001", "jid-00000002"]

    def test_lock_that_vanished_during_the_scan_is_left_out(self, unique, push, monkeypatch):
        result = push(1)
        scanned = [[result.key, "unique:1:Email:gone"], [result.key]]
        monkeypatch.setattr(
            unique._context.store, "scan", lambda start: iter(scanned if start[0] == "u" else [])
        )
        assert owners(unique.locks()) == ["jid-00000001"] * 2


class TestReleaseJids:
    def test_release_jids_releases_these_locks_and_emits_events(self, unique, push, events):
        for n in range(1, 4):
            push(n)
        push(4, jobtype="Billing")
        events.clear()
        jids = ["jid-00000001", "jid-00000003", "jid-00000004", "no-such-jid"]
        released = unique.release_jids("Email", iter(jids))
        assert owners(released) == ["jid-00000001", "jid-00000003"]
        assert owners(unique.locks()) == ["jid-00000002", "jid-00000004"]
        assert sorted(event.jid for event in events) == ["jid-00000001", "jid-00000003"]

    def test_lock_that_scan_returns_twice_is_released_once(self, unique, push, monkeypatch):
        result = push(1)
        monkeypatch.setattr(
            unique._context.store, "scan", lambda _b: iter([[result.key], [result.key]])
        )
        assert owners(unique.release_jids("Email", {result.jid})) == [result.jid]

    @pytest.mark.parametrize("jids", ["jid-00000001", b"jid-00000001"])
    def test_jids_given_as_a_string_are_refused(self, unique, jids):
        with pytest.raises(TypeError, match=r"jids is a list: pass \[b?'jid-00000001'\]"):
            unique.release_jids("Email", jids)

    def test_release_jids_needs_a_jobtype(self, unique, push):
        """Without one, `locks` lists the locks of all jobtypes. They must not be released."""
        result = push(1)
        with pytest.raises(InvalidJob, match="jobtype: "):
            unique.release_jids(None, [result.jid])
        assert owners(unique.locks()) == [result.jid]


@pytest.mark.parametrize(
    "call",
    [
        lambda unique: unique.holder("Email", [1]),
        lambda unique: unique.release("Email", [1]),
        lambda unique: list(unique.locks()),
        lambda unique: unique.release_jids("Email", ["jid-00000001"]),
    ],
    ids=["holder", "release", "locks", "release_jids"],
)
def test_store_away_is_an_error(call):
    with Unique("redis://127.0.0.1:1/0", POLICIES) as unique, pytest.raises(StoreUnavailable):
        call(unique)
