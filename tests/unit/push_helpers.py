"""What tests of `Unique.push` share: a clock, Faktory's side, a store that fails, a job."""

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
    """The innermost of the chain: notes what arrives, and answers as the test has told it."""

    def __init__(self):
        self.received = []
        self.errors = {}
        self.meanwhile = lambda _jobs: None

    def __call__(self, jobs):
        self.received.append(list(jobs))
        self.meanwhile(jobs)
        return [self.answer(job) for job in jobs]

    def answer(self, job):
        status = self.errors.get(job["jid"], PushStatus.PUSHED)
        return PushResult(
            status=status,
            jid=job["jid"],
            submitted_jid=job["jid"],
            error=None if status is PushStatus.PUSHED else "said Faktory",
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
    """The lock behind a result: its value, and the seconds it has left."""
    return unique._context.store.run([read_transition(result.key)])[0], unique._context.store.ttl(
        result.key
    )
