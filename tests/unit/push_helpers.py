"""Helpers for tests of `Unique.push`: a clock, a fake Faktory, a failing store, and a job."""

from __future__ import annotations

from faktory_unique import PushResult, PushStatus, StoreUnavailable
from faktory_unique.locks.transition import read_transition
from faktory_unique.stores.memory import MemoryStore


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Faktory:
    """The innermost part of the chain: it records the jobs, and replies as the test says."""

    def __init__(self):
        self.received = []
        self.errors = {}
        self.meanwhile = lambda _jobs: None

    def __call__(self, jobs):
        self.received.append(list(jobs))
        self.meanwhile(jobs)
        return [self.result(job) for job in jobs]

    def result(self, job):
        status = self.errors.get(job["jid"], PushStatus.PUSHED)
        return PushResult(
            status=status,
            jid=job["jid"],
            submitted_jid=job["jid"],
            error=None if status is PushStatus.PUSHED else "error of Faktory",
        )

    @property
    def jids(self):
        return [job["jid"] for batch in self.received for job in batch]


class FailingStore(MemoryStore):
    """A memory store that fails at the calls that the test names."""

    def __init__(self, fail_at=(), error=StoreUnavailable):
        super().__init__()
        self.calls = 0
        self.fail_at = fail_at
        self.error = error

    def run(self, transitions):
        self.calls += 1
        if self.calls in self.fail_at:
            raise self.error("store is away")
        return super().run(transitions)


def job(n=1, jid=None, **fields):
    return {
        "jid": jid or f"jid-{n:08}",
        "jobtype": "Email",
        "args": [n],
        "queue": "default",
        "reserve_for": 1800,
        "retry": 25,
        **fields,
    }


def lock(unique, result):
    """Return the lock of a result: its value, and the seconds it has left."""
    return unique._context.store.run([read_transition(result.key)])[0], unique._context.store.ttl(
        result.key
    )
