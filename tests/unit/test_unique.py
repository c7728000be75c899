"""`Unique.ack`: what is freed, and when not."""

from __future__ import annotations

import pytest

from faktory_unique import JobError, ReportStatus, Requeue, Run, Unique
from faktory_unique.locks.stamp import Stamp
from faktory_unique.locks.transition import Transition, read_transition
from faktory_unique.stores.memory import MemoryStore

KEY = "unique:1:Email:x"


def stamped(until="success", owner="jid-00000001"):
    return Stamp(KEY, owner, until, 600).written_on({"jid": "jid-00000002", "jobtype": "Email"})


@pytest.fixture
def unique():
    unique = Unique(MemoryStore())
    unique._context.store.run([Transition(KEY, (None,), "jid-00000001", 600)])
    return unique


def value(unique):
    return unique._context.store.run([read_transition(KEY)])[0]


def test_an_accepted_ack_frees_the_lock_of_the_stamps_owner(unique):
    """Not of the jid: a put-back copy has another."""
    assert unique.ack(stamped(), lambda _job: ReportStatus.ACCEPTED) is ReportStatus.ACCEPTED
    assert value(unique) is None


def test_the_lock_is_freed_after_the_ack_and_not_before(unique):
    seen = []
    unique.ack(stamped(), lambda _job: seen.append(value(unique)) or ReportStatus.ACCEPTED)
    assert seen == ["jid-00000001"]


@pytest.mark.parametrize("answer", [a for a in ReportStatus if a is not ReportStatus.ACCEPTED])
def test_any_other_answer_keeps_it(unique, answer):
    """The server says +OK to an ACK that comes too late, too."""
    unique.ack(stamped(), lambda _job: answer)
    assert value(unique) == "jid-00000001"


@pytest.mark.parametrize(
    "job", [stamped(owner="other-jid"), stamped(until="start"), {"jid": "jid-00000001"}]
)
def test_a_lock_that_is_not_the_jobs_to_free_is_kept(unique, job):
    unique.ack(job, lambda _job: ReportStatus.ACCEPTED)
    assert value(unique) == "jid-00000001"


def test_an_error_on_the_way_keeps_it(unique):
    def err(_job):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        unique.ack(stamped(), err)
    assert value(unique) == "jid-00000001"


def test_a_store_that_is_away_is_no_error_of_the_job(caplog):
    with Unique("redis://127.0.0.1:1/0") as unique:
        assert unique.ack(stamped(), lambda _job: ReportStatus.ACCEPTED) is ReportStatus.ACCEPTED
    assert "store_error: jobtype=Email jid=jid-00000002 owner=jid-00000001" in caplog.text
    assert f"dropped lock write, lock stays until its TTL: key={KEY} reason=" in caplog.text


def test_it_is_a_context_manager_and_may_be_used_again(unique):
    with unique as entered:
        assert entered is unique
    assert value(unique) == "jid-00000001"


def test_locks_that_nobody_asks_for_leave_the_memory_store_too():
    """Also those that were freed, or set anew, before they lapsed."""
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
def test_a_job_without_a_stamp_passes_untouched(unique, unstamped):
    error = JobError("E", "why")
    assert unique.fetch(unstamped, lambda _job: Run()) == Run()
    assert (
        unique.fail(unstamped, error, lambda _job, _error: ReportStatus.ACCEPTED)
        is ReportStatus.ACCEPTED
    )
    assert unique.requeue(unstamped, 5, lambda _job, _delay: ReportStatus.LATE) is ReportStatus.LATE
    assert value(unique) == "jid-00000001"


def test_a_job_that_another_middleware_puts_back_is_not_begun(unique):
    assert unique.fetch(stamped("start"), lambda _job: Requeue(5)) == Requeue(5)
    assert unique._context.store.ttl(KEY) > 590


def test_a_refused_copy_is_no_requeue():
    seen = []
    unique = Unique(MemoryStore(), hooks=[seen.append])
    unique.requeue(stamped(), 5, lambda _job, _delay: ReportStatus.REFUSED)
    assert [event.name for event in seen] == []
    unique.requeue(stamped(), 5, lambda _job, _delay: ReportStatus.ACCEPTED)
    assert [event.name for event in seen] == ["requeued"]
