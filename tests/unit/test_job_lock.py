"""The lock of one fetched job if the store refuses a write for good, or fails at a mere read."""

from __future__ import annotations

import pytest

from faktory_unique import ReportStatus, StoreError, StoreUnavailable
from faktory_unique.events import Hooks
from faktory_unique.locks.stamp import Stamp
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.unique.context import UniqueContext
from faktory_unique.unique.job_lock import JobLock
from faktory_unique.unique.push_history import PushHistory
from tests.patience import wait_for
from tests.unit.push_helpers import Clock

KEY = "unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw"
JOB = {"jid": "jid-00000001", "jobtype": "Email", "reserve_for": 90, "retry": 3}


class FailingStore(MemoryStore):
    """A store that is away, or refuses each command as Redis refuses another type."""

    error = None

    def run(self, transitions):
        if self.error is StoreError:
            error = StoreError("refused: WRONGTYPE")
            error.refused = tuple(transitions)
            raise error
        if self.error:
            raise StoreUnavailable("away")
        return super().run(transitions)


@pytest.fixture
def store():
    return FailingStore(Clock())


@pytest.fixture
def events():
    return []


@pytest.fixture
def context(store, events):
    clock = Clock()
    deferred = DeferredWrites(store, clock, sleep=lambda _seconds: None)
    yield UniqueContext(store, deferred, PushHistory(), Hooks([events.append]), clock)
    store.error = None
    deferred.close()


def job_lock(context, **stamp):
    fields = {"until": "success", "ttl": 600, **stamp}
    return JobLock(context, JOB, Stamp(key=KEY, owner="jid-00000001", **fields))


def details(events):
    return [event.detail for event in events if event.name == "store_error"]


def test_refused_write_at_fetch_is_reported_and_the_job_runs(context, store, events):
    store.error = StoreError
    assert job_lock(context).on_fetch(runs=True) is None
    [detail] = details(events)
    assert detail.startswith("FETCH: refused: WRONGTYPE; ")
    assert len(context.deferred) == 0


def test_refused_writes_after_a_report_are_not_deferred(context, store, events):
    """Neither the lock nor the run lock: each write would be refused again and again."""
    lock = job_lock(context, exclusive=True)
    assert lock.on_fetch(runs=True) is None
    store.error = StoreError
    lock.on_ack(ReportStatus.ACCEPTED)
    run_lock, own = details(events)
    assert run_lock.startswith("run lock: refused: WRONGTYPE; ")
    assert own.startswith("ACK: refused: WRONGTYPE; ")
    assert len(context.deferred) == 0


def test_deferred_writes_that_are_refused_later_are_reported(context, store, events):
    lock = job_lock(context, exclusive=True)
    assert lock.on_fetch(runs=True) is None
    store.error = StoreUnavailable
    lock.on_ack(ReportStatus.ACCEPTED)
    assert len(context.deferred) == 2
    store.error = StoreError
    context.deferred.flush()
    wait_for(lambda: len(context.deferred) == 0)
    wait_for(lambda: sum("WRONGTYPE" in detail for detail in details(events)) == 2)


def test_job_runs_if_it_cannot_be_read_whether_it_was_replaced(context, store, events):
    """Only a stamp of another program has both: our policies refuse the two together."""
    store.error = StoreUnavailable
    lock = job_lock(context, until="expiry", replaceable=True)
    assert lock.on_fetch(runs=True) is None
    assert details(events) == ["FETCH: away; the job runs"]
