"""The run lock of one fetched job, on a memory store; tests/cells has its effect on jobs."""

from __future__ import annotations

import re

import pytest

from faktory_unique import EventName, Requeue, StoreUnavailable
from faktory_unique.events import Hooks
from faktory_unique.locks.replies import Meaning
from faktory_unique.locks.stamp import Stamp
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.unique.context import UniqueContext
from faktory_unique.unique.push_history import PushHistory
from faktory_unique.unique.run_lock import RunLock, jid_in_token, meaning_of_run_lock
from tests.patience import wait_for
from tests.unit.push_helpers import Clock

KEY = "{unique:1:Email:x}:run"
STAMP = Stamp("unique:1:Email:x", "jid-00000001", "success", 600, exclusive=True)
JOB = {"jid": "jid-00000002", "jobtype": "Email", "reserve_for": 90}


class AwayStore(MemoryStore):
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
    return AwayStore(clock)


@pytest.fixture
def context(store, clock):
    deferred = DeferredWrites(store, clock, sleep=lambda _seconds: None)
    yield UniqueContext(store, deferred, PushHistory(), Hooks([]), clock)
    store.away = False
    deferred.close()


def run_lock(context, jid="jid-00000002", on_error=lambda _error: None):
    """Return the run lock of a job, a new object at each step, as in `Unique`."""
    return RunLock(context, {**JOB, "jid": jid}, STAMP, on_error)


def acquire(context, **job):
    """Acquire the run lock for a job. Return its token."""
    transition = run_lock(context, **job).prepare_acquire()
    assert context.store.run([transition]) == [None]
    return transition.value


def test_token_has_the_jid_and_is_new_for_each_attempt(context):
    first, second = run_lock(context).prepare_acquire(), run_lock(context).prepare_acquire()
    assert re.fullmatch("jid-00000002:[0-9a-f]{16}", first.value)
    assert first.value != second.value
    assert (first.key, first.expected, first.ttl) == (KEY, (None,), 30)


@pytest.mark.parametrize("jid", ["jid-00000002", "a:b:c-jid"])
def test_jid_in_a_token_is_the_running_jid(context, jid):
    assert jid_in_token(acquire(context, jid=jid)) == jid


def test_hold_uses_the_acquired_token(context, store):
    token = acquire(context)
    assert store.run([run_lock(context).hold_transition()]) == [token]
    assert store.ttl(KEY) == 90 + 30


def test_release_removes_the_run_lock_once(context, store):
    acquire(context)
    run_lock(context).release()
    assert store.values() == {}
    acquire(context, jid="other-jid")
    run_lock(context).release()
    assert len(store.values()) == 1


def test_job_without_a_run_lock_releases_nothing(context, store):
    acquire(context, jid="other-jid")
    run_lock(context).release()
    run_lock(context).defer_release()
    assert len(store.values()) == 1


def test_run_lock_with_a_forgotten_token_releases_nothing(context, store):
    token = acquire(context, jid="other-jid")
    blocked = run_lock(context)
    assert store.run([blocked.prepare_acquire()]) == [token]
    blocked.forget_token()
    blocked.forget_token()
    blocked.release()
    assert store.values() == {KEY: token}
    assert len(context.deferred) == 0


def released_in_time(store):
    return wait_for(lambda: not store.values())


def test_release_while_the_store_is_away_is_deferred(context, store):
    acquire(context)
    store.away, errors = True, []
    run_lock(context, on_error=errors.append).release()
    assert errors == ["run lock: away; released once the store is back"]
    assert len(context.deferred) == 1
    store.away = False
    assert released_in_time(store)


def test_deferred_release_removes_an_acquired_run_lock(context, store):
    token = acquire(context)
    store.away = True
    run_lock(context).defer_release()
    assert store.values() == {KEY: token}
    store.away = False
    assert released_in_time(store)


@pytest.mark.parametrize("end", ["release", "defer_release"])
@pytest.mark.parametrize(("after", "released"), [(119, True), (120, False)])
def test_release_is_deferred_for_as_long_as_the_lock_can_last(
    context, store, clock, monkeypatch, end, after, released
):
    monkeypatch.setattr(context.deferred, "flush_in_background", lambda: None)
    acquire(context)
    store.run([run_lock(context).hold_transition()._replace(ttl=1_000)])
    store.away = True
    getattr(run_lock(context), end)()
    clock.now += after
    store.away = False
    context.deferred.flush()
    assert (store.values() == {}) is released


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        ("a:b-jid:0123456789abcdef", "a:b-jid runs"),
        (None, "the run lock lapsed before it was held"),
    ],
)
def test_taken_run_lock_requeues_for_five_seconds(token, detail):
    assert meaning_of_run_lock(token) == Meaning(EventName.RUN_BLOCKED, detail, Requeue(5))
