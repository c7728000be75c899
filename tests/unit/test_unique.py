"""`Unique.ack`: what is freed, and when not."""

from __future__ import annotations

import pytest

from faktory_unique import Answer, JobError, PutBack, Run, Unique
from faktory_unique.locks.stamp import Stamp
from faktory_unique.locks.transition import Change, look
from faktory_unique.stores.memory import MemoryStore

KEY = "unique:1:Email:x"


def stamped(until="success", owner="jid-00000001"):
    return Stamp(KEY, owner, until, 600).written_on({"jid": "jid-00000002", "jobtype": "Email"})


@pytest.fixture
def unique():
    unique = Unique(MemoryStore())
    unique.store.run([Change(KEY, (None,), "jid-00000001", 600)])
    return unique


def value(unique):
    return unique.store.run([look(KEY)])[0]


def test_an_accepted_ack_frees_the_lock_of_the_stamps_owner(unique):
    """Not of the jid: a put-back copy has another."""
    assert unique.ack(stamped(), lambda _job: Answer.ACCEPTED) is Answer.ACCEPTED
    assert value(unique) is None


def test_the_lock_is_freed_after_the_ack_and_not_before(unique):
    seen = []
    unique.ack(stamped(), lambda _job: seen.append(value(unique)) or Answer.ACCEPTED)
    assert seen == ["jid-00000001"]


@pytest.mark.parametrize("answer", [a for a in Answer if a is not Answer.ACCEPTED])
def test_any_other_answer_keeps_it(unique, answer):
    """The server says +OK to an ACK that comes too late, too."""
    unique.ack(stamped(), lambda _job: answer)
    assert value(unique) == "jid-00000001"


@pytest.mark.parametrize(
    "job", [stamped(owner="other-jid"), stamped(until="start"), {"jid": "jid-00000001"}]
)
def test_a_lock_that_is_not_the_jobs_to_free_is_kept(unique, job):
    unique.ack(job, lambda _job: Answer.ACCEPTED)
    assert value(unique) == "jid-00000001"


def test_an_error_on_the_way_keeps_it(unique):
    def err(_job):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        unique.ack(stamped(), err)
    assert value(unique) == "jid-00000001"


def test_a_store_that_is_away_is_no_error_of_the_job(caplog):
    with Unique("redis://127.0.0.1:1/0") as unique:
        assert unique.ack(stamped(), lambda _job: Answer.ACCEPTED) is Answer.ACCEPTED
    assert "store_error: jobtype=Email jid=jid-00000002 owner=jid-00000001" in caplog.text
    assert f"lock is left to its TTL: the store is still away: key={KEY}" in caplog.text


def test_it_is_a_context_manager_and_may_be_used_again(unique):
    with unique as entered:
        assert entered is unique
    assert value(unique) == "jid-00000001"


def test_locks_that_nobody_asks_for_leave_the_memory_store_too():
    """Also those that were freed, or set anew, before they lapsed."""
    now = [0.0]
    store = MemoryStore(lambda: now[0])
    store.run([Change("a", (None,), "x", 10), Change("b", (None,), "x", 10)])
    store.run([Change("a", ("x",), "y", 30), Change("b", ("x",), None, 0)])
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
    assert unique.fail(unstamped, error, lambda _job, _error: Answer.ACCEPTED) is Answer.ACCEPTED
    assert unique.put_back(unstamped, 5, lambda _job, _delay: Answer.LATE) is Answer.LATE
    assert value(unique) == "jid-00000001"


def test_a_job_that_another_middleware_puts_back_is_not_begun(unique):
    assert unique.fetch(stamped("start"), lambda _job: PutBack(5)) == PutBack(5)
    assert unique.store.ttl(KEY) > 590


def test_a_refused_copy_is_no_put_back():
    seen = []
    unique = Unique(MemoryStore(), hooks=[seen.append])
    unique.put_back(stamped(), 5, lambda _job, _delay: Answer.REFUSED)
    assert [event.name for event in seen] == []
    unique.put_back(stamped(), 5, lambda _job, _delay: Answer.ACCEPTED)
    assert [event.name for event in seen] == ["put_back"]
