"""A worker keeps nothing of a job that has ended: it runs for months, and its memory must not grow.

The whole `Unique` of a worker is searched for the jids of its jobs, so that any list counts.
"""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType

import pytest

from faktory_unique import Drop, Middleware, Policy, Requeue, Unique
from faktory_unique.locks.lifecycle import release_transition


class DropAll(Middleware):
    def fetch(self, job, call_next):
        return Drop("not wanted any more")


class RaiseAtAck(Middleware):
    def ack(self, job, call_next):
        raise SystemExit


def texts(root, *outside):
    """Return all texts that an object refers to, directly or through others."""
    found, seen, waiting = set(), {id(each) for each in outside}, [root]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, type | ModuleType | FunctionType):
            seen.add(id(each))
            found |= {each} if isinstance(each, str) else set()
            waiting += gc.get_referents(each)
    return found


def fetch_blocked(fake, worker, result):
    """Fetch an equal job while the first one runs. Return the first and the blocked job."""
    running = fake.fetch(worker)
    fake.store.run([release_transition(result.key, result.jid)])
    fake.push(fake.unique(exclusive=True))
    blocked = fake.fetch(worker)
    assert blocked.step == Requeue(5)
    return running, blocked


def end_blocked(fake, worker, result):
    running, blocked = fetch_blocked(fake, worker, result)
    fake.handle(blocked)
    fake.ack(running)
    return running, blocked


def end_superseded(fake, worker, _result):
    fake.push(fake.unique(exclusive=True, on_conflict="replace"), queue="new")
    superseded = fake.fetch(worker)
    assert not superseded.runs
    fake.handle(superseded)
    return (superseded,)


def end_while_store_is_away(fake, worker, _result):
    fetched = fake.fetch(worker)
    fake.store.away = True
    fake.ack(fetched)
    fake.store.away = False
    worker.close()
    return (fetched,)


def end_fetched_while_store_is_away(fake, worker, _result):
    fake.store.away = True
    fetched = fake.fetch(worker)
    assert fetched.step == Requeue(10)
    fake.handle(fetched)
    fake.store.away = False
    worker.close()
    return (fetched,)


def ending(end, *middleware):
    """Return a function that fetches a job through middleware and ends it."""

    def fetch_and_end(fake, worker, _result):
        fetched = fake.fetch(worker, *middleware)
        end(fake, fetched)
        return (fetched,)

    return fetch_and_end


ENDS = {
    "ack": ending(lambda fake, fetched: fake.ack(fetched)),
    "fail": ending(lambda fake, fetched: fake.fail(fetched)),
    "requeue": ending(lambda fake, fetched: fake.requeue(fetched, 5)),
    "drop": ending(lambda fake, fetched: fake.handle(fetched), DropAll()),
    "report raises": ending(lambda fake, fetched: fake.ack(fetched), RaiseAtAck()),
    "blocked": end_blocked,
    "superseded": end_superseded,
    "store away at its end": end_while_store_is_away,
    "store away at FETCH": end_fetched_while_store_is_away,
}


@pytest.mark.parametrize("until", ["success", "start"])
@pytest.mark.parametrize("end", ENDS)
def test_worker_forgets_a_job_that_has_ended(fake, until, end):
    worker = Unique(fake.store, default=Policy())
    result = fake.push(fake.unique(until=until, exclusive=True, on_conflict="replace"))
    ended = ENDS[end](fake, worker, result)
    jids = {fetched.job["jid"] for fetched in ended}
    assert len(jids) == len(ended)
    assert not [text for text in texts(worker, fake.store) if any(jid in text for jid in jids)]


def test_search_finds_a_job_that_is_running(fake):
    """The test above must be able to fail."""
    worker = Unique(fake.store, default=Policy())
    result = fake.push(fake.unique(exclusive=True))
    fake.fetch(worker)
    assert any(result.jid in text for text in texts(worker, fake.store))
