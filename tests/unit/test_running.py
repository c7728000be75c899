"""The run lock of one fetched job, on a memory store; tests/cells has what it is good for."""

from __future__ import annotations

import re
import time

import pytest

from faktory_unique import StoreUnavailable
from faktory_unique.events import Hooks
from faktory_unique.locks.stamp import Stamp
from faktory_unique.stores.deferred import Kept
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.unique.context import Parts
from faktory_unique.unique.push_history import Pushes
from faktory_unique.unique.run_lock import RunLock, runner
from tests.unit.pushing import Clock

KEY = "{unique:1:Email:x}:run"
STAMP = Stamp("unique:1:Email:x", "jid-00000001", "success", 600, exclusive=True)
JOB = {"jid": "jid-00000002", "jobtype": "Email", "reserve_for": 90}


class Away(MemoryStore):
    away = False

    def run(self, changes):
        if self.away:
            raise StoreUnavailable("away")
        return super().run(changes)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return Away(clock)


@pytest.fixture
def parts(store, clock):
    kept = Kept(store, clock, sleep=lambda _seconds: None)
    yield Parts(store, kept, Pushes(), Hooks([]), clock)
    store.away = False
    kept.give_up()


def of(parts, jid="jid-00000002", tell=lambda _told: None):
    """Made anew at each step of a job, as `Unique` does."""
    return RunLock(parts, {**JOB, "jid": jid}, STAMP, tell)


def begun(parts, **job):
    """The token of a job that has begun to run."""
    change = of(parts, **job).begin()
    assert parts.store.run([change]) == [None]
    return change.value


def test_its_token_tells_the_job_and_is_of_this_attempt_alone(parts):
    first, second = of(parts).begin(), of(parts).begin()
    assert re.fullmatch("jid-00000002:[0-9a-f]{16}", first.value)
    assert first.value != second.value
    assert (first.key, first.expected, first.ttl) == (KEY, (None,), 30)


@pytest.mark.parametrize("jid", ["jid-00000002", "a:b:c-jid"])
def test_the_job_that_runs_can_be_read_off_it(parts, jid):
    assert runner(begun(parts, jid=jid)) == jid


def test_it_is_held_by_the_token_that_was_taken(parts, store):
    token = begun(parts)
    assert store.run([of(parts).hold()]) == [token]
    assert store.ttl(KEY) == 90 + 30


def test_its_end_frees_it_and_is_done_once(parts, store):
    begun(parts)
    of(parts).end()
    assert store.values() == {}
    begun(parts, jid="other-jid")
    of(parts).end()
    assert len(store.values()) == 1


def test_a_job_that_has_none_frees_nothing(parts, store):
    begun(parts, jid="other-jid")
    of(parts).end()
    of(parts).give_up()
    assert len(store.values()) == 1


def test_what_another_has_is_not_freed_at_the_end(parts, store):
    token = begun(parts, jid="other-jid")
    lost = of(parts)
    assert store.run([lost.begin()]) == [token]
    lost.lost()
    lost.lost()
    lost.end()
    assert store.values() == {KEY: token}
    assert len(parts.kept) == 0


def freed(store):
    deadline = time.monotonic() + 5
    while store.values():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_with_the_store_away_its_end_is_made_later(parts, store):
    begun(parts)
    store.away, told = True, []
    of(parts, tell=told.append).end()
    assert told == ["run lock: away; freed when it is back"]
    assert len(parts.kept) == 1
    store.away = False
    assert freed(store)


def test_given_up_it_is_freed_later_where_it_had_been_taken(parts, store):
    token = begun(parts)
    store.away = True
    of(parts).give_up()
    assert store.values() == {KEY: token}
    store.away = False
    assert freed(store)


@pytest.mark.parametrize("end", ["end", "give_up"])
@pytest.mark.parametrize(("after", "freed"), [(119, True), (120, False)])
def test_it_is_owed_for_as_long_as_it_can_stand(
    parts, store, clock, monkeypatch, end, after, freed
):
    monkeypatch.setattr(parts.kept, "retry_in_background", lambda: None)
    begun(parts)
    store.run([of(parts).hold()._replace(ttl=1_000)])
    store.away = True
    getattr(of(parts), end)()
    clock.now += after
    store.away = False
    parts.kept.retry()
    assert (store.values() == {}) is freed
