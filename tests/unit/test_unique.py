"""`Unique` at the worker: which lock an ACK releases, and when it does not."""

from __future__ import annotations

import pytest

from faktory_unique import JobError, Middleware, ReportStatus, Requeue, Run, Unique
from faktory_unique.locks.stamp import Stamp
from faktory_unique.locks.transition import Transition, read_transition
from faktory_unique.stores.memory import MemoryStore

KEY = "unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw"


def stamped(until="success", owner="jid-00000001"):
    return Stamp(KEY, owner, until, 600).stamped_copy({"jid": "jid-00000002", "jobtype": "Email"})


@pytest.fixture
def unique():
    unique = Unique(MemoryStore())
    unique._context.store.run([Transition(KEY, (None,), "jid-00000001", 600)])
    return unique


def value(unique):
    return unique._context.store.run([read_transition(KEY)])[0]


def test_accepted_ack_releases_the_lock_of_the_stamps_owner(unique):
    """The jid is not the owner: a requeued copy has another jid."""
    assert unique.ack(stamped(), lambda _job: ReportStatus.ACCEPTED) is ReportStatus.ACCEPTED
    assert value(unique) is None


def test_lock_is_released_after_the_ack(unique):
    values = []
    unique.ack(stamped(), lambda _job: values.append(value(unique)) or ReportStatus.ACCEPTED)
    assert values == ["jid-00000001"]


@pytest.mark.parametrize("status", [a for a in ReportStatus if a is not ReportStatus.ACCEPTED])
def test_ack_with_another_status_keeps_the_lock(unique, status):
    """The server replies +OK to an ACK that comes too late as well."""
    unique.ack(stamped(), lambda _job: status)
    assert value(unique) == "jid-00000001"


@pytest.mark.parametrize(
    "job", [stamped(owner="other-jid"), stamped(until="start"), {"jid": "jid-00000001"}]
)
def test_ack_keeps_a_lock_that_is_not_the_jobs(unique, job):
    unique.ack(job, lambda _job: ReportStatus.ACCEPTED)
    assert value(unique) == "jid-00000001"


def test_error_during_the_ack_keeps_the_lock(unique):
    def fail(_job):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        unique.ack(stamped(), fail)
    assert value(unique) == "jid-00000001"


def test_store_away_is_not_an_error_of_the_job(caplog):
    with Unique("redis://127.0.0.1:1/0") as unique:
        assert unique.ack(stamped(), lambda _job: ReportStatus.ACCEPTED) is ReportStatus.ACCEPTED
    assert "store_error: jobtype=Email jid=jid-00000002 owner=jid-00000001" in caplog.text
    assert f"dropped lock write, lock stays until its TTL: key={KEY} reason=" in caplog.text


def test_context_manager_leaves_unique_usable(unique):
    with unique as entered:
        assert entered is unique
    assert value(unique) == "jid-00000001"


def test_lapsed_locks_leave_the_memory_store():
    """Also those that were released, or set again, before they lapsed."""
    now = [0.0]
    store = MemoryStore(lambda: now[0])
    store.run([Transition("a", (None,), "x", 10), Transition("b", (None,), "x", 10)])
    store.run([Transition("a", ("x",), "y", 30), Transition("b", ("x",), None, 0)])
    now[0] = 20
    assert store.ttl("a") == 10
    assert store.ttl("b") is None
    now[0] = 30
    store.run([])
    assert store._locks == {}
    assert store._expiries == []


@pytest.mark.parametrize("unstamped", [{"jid": "jid-00000001"}, {"jid": "j", "custom": {"a": 1}}])
def test_job_without_a_stamp_passes_untouched(unique, unstamped):
    error = JobError("E", "why")
    assert unique.fetch(unstamped, lambda _job: Run()) == Run()
    assert (
        unique.fail(unstamped, error, lambda _job, _error: ReportStatus.ACCEPTED)
        is ReportStatus.ACCEPTED
    )
    assert unique.requeue(unstamped, 5, lambda _job, _delay: ReportStatus.LATE) is ReportStatus.LATE
    assert value(unique) == "jid-00000001"


def test_job_requeued_by_another_middleware_is_not_started(unique):
    assert unique.fetch(stamped("start"), lambda _job: Requeue(5)) == Requeue(5)
    assert 590 < unique._context.store.ttl(KEY) <= 600


def test_refused_copy_emits_no_requeued():
    events = []
    unique = Unique(MemoryStore(), hooks=[events.append])
    unique.requeue(stamped(), 5, lambda _job, _delay: ReportStatus.REFUSED)
    assert [event.name for event in events] == []
    unique.requeue(stamped(), 5, lambda _job, _delay: ReportStatus.ACCEPTED)
    assert [event.name for event in events] == ["requeued"]


def test_subclass_may_add_a_middleware_with_a_constructor():
    class Named(Middleware):
        def __init__(self, name="trace"):
            self.name = name

    class UniqueAndNamed(Unique, Named):
        pass

    with UniqueAndNamed(MemoryStore()) as unique:
        assert unique.holder("Email", [], custom={"unique_for": 60}) is None
