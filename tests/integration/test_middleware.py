"""Users' middleware outside and inside `Unique`: push, fetch, perform, ack, fail, requeue."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from faktory_unique import Client, Consumer, Drop, Job, Middleware, Producer, Requeue
from tests.integration import handlers


class Record(Middleware):
    """Records each verb on the way in and out, with the lock's value at that time."""

    def __init__(self, name, calls, locks):
        self.name, self.calls, self.locks = name, calls, locks

    def record(self, step):
        self.calls.append((self.name, step, next(iter(self.locks().values()), None)))

    def push(self, jobs, call_next):
        self.record("push")
        results = call_next(jobs)
        self.record("pushed")
        return results

    def fetch(self, job, call_next):
        self.record("fetch")
        return call_next(job)

    def ack(self, job, call_next):
        self.record("ack")
        status = call_next(job)
        self.record("acked")
        return status

    def fail(self, job, error, call_next):
        self.record(f"fail {error.errtype}")
        status = call_next(job, error)
        self.record("failed")
        return status


class Trace(Middleware):
    """Runs in the handler's process, and so must pickle."""

    def __init__(self, path):
        self.path = path

    def perform(self, job, call_next):
        handlers.note(self.path, "before")
        result = call_next(job)
        handlers.note(self.path, "after")
        return result


def test_chain_calls_the_first_middleware_outermost(
    client, unique, note_job, working, wait_for, locks
):
    calls = []
    outer, inner = Record("outer", calls, locks), Record("inner", calls, locks)
    jid = Producer(client, middleware=[outer, unique, inner]).push(note_job()).jid
    assert calls == [
        ("outer", "push", None),
        ("inner", "push", f"{jid}?"),
        ("inner", "pushed", f"{jid}?"),
        ("outer", "pushed", jid),
    ]
    calls.clear()
    with working(outer, unique, inner):
        wait_for(lambda: len(calls) == 6)
    assert calls == [
        ("outer", "fetch", jid),
        ("inner", "fetch", jid),
        ("outer", "ack", jid),
        ("inner", "ack", jid),
        ("inner", "acked", jid),
        ("outer", "acked", None),
    ]


def test_failed_job_goes_through_fail(producer, unique, working, wait_for, locks):
    calls = []
    producer.push(Job(jobtype="Unique.fail", args=["boom"]))
    with working(Record("mine", calls, locks), unique):
        wait_for(lambda: len(calls) == 3)
    assert [step for _, step, _ in calls] == ["fetch", "fail ValueError", "failed"]


def test_perform_runs_around_the_handler_in_its_process(
    producer, unique, note_job, working, wait_for, notes
):
    producer.push(note_job())
    with working(unique, Trace(notes.path)):
        wait_for(lambda: len(notes()) == 3)
    assert notes() == ["before", "ran", "after"]


def test_handler_can_read_its_job(producer, unique, working, wait_for, notes):
    producer.push(
        Job(jobtype="Unique.note_current", args=[notes.path], custom={"trace": "trace-7"})
    )
    with working(unique):
        wait_for(notes)
    assert notes() == ["trace-7"]


def test_dropped_job_is_acknowledged_and_its_lock_released(
    producer, unique, note_job, working, wait_for, locks, notes, sizes
):
    class DropAll(Middleware):
        def fetch(self, job, call_next):
            return Drop("not wanted any more")

    producer.push(note_job())
    with working(unique, DropAll()):
        wait_for(lambda: not locks())
    assert notes() == []
    assert sizes("enqueued") == sizes("working") == sizes("retries") == 0


def test_requeued_job_runs_later_and_keeps_its_lock(
    producer, unique, note_job, working, wait_for, locks, notes, sizes
):
    class RequeueOnce(Middleware):
        seen = ()

        def fetch(self, job, call_next):
            self.seen = (*self.seen, job)
            return Requeue(1) if len(self.seen) == 1 else call_next(job)

    requeuing = RequeueOnce()
    first = producer.push(note_job(custom={"mine": 1}))
    with working(unique, requeuing):
        wait_for(lambda: sizes("scheduled") == 1)
        assert locks() == {first.key: first.jid}
        assert not producer.push(note_job())
        wait_for(lambda: not locks())
    original, copy = requeuing.seen
    assert copy["jid"] != original["jid"] == first.jid
    assert copy["custom"] == original["custom"]
    assert notes() == ["ran"]


@pytest.mark.parametrize("decision", [None, "run", RuntimeError("no")])
def test_invalid_fetch_decision_fails_only_that_job(
    producer, unique, note_job, working, wait_for, sizes, notes, decision
):
    class Nonsense(Middleware):
        def fetch(self, job, call_next):
            if job["args"][1] != "bad":
                return call_next(job)
            if isinstance(decision, Exception):
                raise decision
            return decision

    producer.push_bulk([note_job("bad"), note_job("good")])
    with working(unique, Nonsense()):
        wait_for(lambda: sizes("retries") == 1 and notes() == ["good"])


class ExitWhenPickled(Middleware):
    """It can be pickled when the consumer is made, and not for a job."""

    def __init__(self):
        self.pickled = 0

    def perform(self, job, call_next):
        return call_next(job)

    def __reduce__(self):
        self.pickled += 1
        if self.pickled > 1:
            raise SystemExit("no more")
        return ExitWhenPickled, ()


def test_job_that_cannot_be_sent_to_its_process_fails(
    producer, unique, note_job, working, wait_for, sizes
):
    """It must not wait for the end of its reservation, whatever its pickling raised."""
    producer.push(note_job())
    with working(unique, ExitWhenPickled(), concurrency=1):
        wait_for(lambda: sizes("retries") == 1)
    assert sizes("working") == 0


def test_ack_middleware_that_raises_affects_only_its_job(
    producer, unique, note_job, working, wait_for, notes, caplog
):
    class Raise(Middleware):
        def ack(self, job, call_next):
            if job["args"][1] == "bad":
                raise RuntimeError("no")
            return call_next(job)

    producer.push_bulk([note_job("bad"), note_job("good")])
    with working(unique, Raise()):
        wait_for(lambda: sorted(notes()) == ["bad", "good"])
    assert "a middleware raised an exception" in caplog.text


def test_middleware_class_instead_of_instance_is_refused(client):
    with pytest.raises(TypeError, match=r"pass Middleware\(\)"):
        Producer(client, middleware=[Middleware])


def test_perform_that_cannot_be_pickled_is_refused(faktory_url):
    class Local(Middleware):
        def perform(self, job, call_next):
            return call_next(job)

    client = Client(faktory_url, role="consumer", worker_id="test-worker-5")
    with pytest.raises(TypeError, match="cannot be pickled"):
        Consumer(client, middleware=[Local()])


SEEN_BEFORE = ContextVar("SEEN_BEFORE", default=None)


class Leave(Middleware):
    """Leaves a context variable set, as a tracer does if its end is cut off."""

    def __init__(self):
        self.found = []
        self.threads = set()

    def fetch(self, job, call_next):
        self.found.append(SEEN_BEFORE.get())
        self.threads.add(threading.get_ident())
        SEEN_BEFORE.set(job["jid"])
        return call_next(job)


def test_jobs_of_one_slot_share_a_thread_but_no_context(
    producer, unique, note_job, working, wait_for, notes
):
    leave = Leave()
    with working(unique, leave, concurrency=1):
        for n in range(3):
            producer.push(note_job(str(n)))
        wait_for(lambda: len(notes()) == 3)
    assert leave.found == [None, None, None]
    assert len(leave.threads) == 1
