"""The run lock of one fetched job, on a memory store; tests/cells has what it is good for."""

from __future__ import annotations

import re
import time

import pytest

from faktory_unique import StoreUnavailable
from faktory_unique.events import Hooks
from faktory_unique.locks.replies import runner
from faktory_unique.locks.stamp import Stamp
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.unique.context import UniqueContext
from faktory_unique.unique.push_history import PushHistory
from faktory_unique.unique.run_lock import RunLock
from tests.unit.push_helpers import Clock

KEY = "{unique:1:Email:x}:run"
STAMP = Stamp("unique:1:Email:x", "jid-00000001", "success", 600, exclusive=True)
JOB = {"jid": "jid-00000002", "jobtype": "Email", "reserve_for": 90}


class Away(MemoryStore):
    away = False

    def run(self, transitions):
        if self.away:
            raise StoreUnavailable("away")
        return super().run(transitions)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return Away(clock)


@pytest.fixture
def context(store, clock):
    kept = DeferredWrites(store, clock, sleep=lambda _seconds: None)
    yield UniqueContext(store, kept, PushHistory(), Hooks([]), clock)
    store.away = False
    kept.close()


def of(context, jid="jid-00000002", on_error=lambda _told: None):
    """Made anew at each step of a job, as `Unique` does."""
    return RunLock(context, {**JOB, "jid": jid}, STAMP, on_error)


def begun(context, **job):
    """The token of a job that has begun to run."""
    transition = of(context, **job).acquire_transition()
    assert context.store.run([transition]) == [None]
    return transition.value


def test_its_token_tells_the_job_and_is_of_this_attempt_alone(context):
    first, second = of(context).acquire_transition(), of(context).acquire_transition()
    assert re.fullmatch("jid-00000002:[0-9a-f]{16}", first.value)
    assert first.value != second.value
    assert (first.key, first.expected, first.ttl) == (KEY, (None,), 30)


@pytest.mark.parametrize("jid", ["jid-00000002", "a:b:c-jid"])
def test_the_job_that_runs_can_be_read_off_it(context, jid):
    assert runner(begun(context, jid=jid)) == jid


def test_it_is_held_by_the_token_that_was_taken(context, store):
    token = begun(context)
    assert store.run([of(context).hold_transition()]) == [token]
    assert store.ttl(KEY) == 90 + 30


def test_its_end_frees_it_and_is_done_once(context, store):
    begun(context)
    of(context).release()
    assert store.values() == {}
    begun(context, jid="other-jid")
    of(context).release()
    assert len(store.values()) == 1


def test_a_job_that_has_none_frees_nothing(context, store):
    begun(context, jid="other-jid")
    of(context).release()
    of(context).release_later()
    assert len(store.values()) == 1


def test_what_another_has_is_not_freed_at_the_end(context, store):
    token = begun(context, jid="other-jid")
    lost = of(context)
    assert store.run([lost.acquire_transition()]) == [token]
    lost.discard()
    lost.discard()
    lost.release()
    assert store.values() == {KEY: token}
    assert len(context.deferred) == 0


def freed(store):
    deadline = time.monotonic() + 5
    while store.values():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_with_the_store_away_its_end_is_made_later(context, store):
    begun(context)
    store.away, told = True, []
    of(context, on_error=told.append).release()
    assert told == ["run lock: away; released once the store is back"]
    assert len(context.deferred) == 1
    store.away = False
    assert freed(store)


def test_given_up_it_is_freed_later_where_it_had_been_taken(context, store):
    token = begun(context)
    store.away = True
    of(context).release_later()
    assert store.values() == {KEY: token}
    store.away = False
    assert freed(store)


@pytest.mark.parametrize("end", ["release", "release_later"])
@pytest.mark.parametrize(("after", "freed"), [(119, True), (120, False)])
def test_it_is_owed_for_as_long_as_it_can_stand(
    context, store, clock, monkeypatch, end, after, freed
):
    monkeypatch.setattr(context.deferred, "flush_in_background", lambda: None)
    begun(context)
    store.run([of(context).hold_transition()._replace(ttl=1_000)])
    store.away = True
    getattr(of(context), end)()
    clock.now += after
    store.away = False
    context.deferred.flush()
    assert (store.values() == {}) is freed
