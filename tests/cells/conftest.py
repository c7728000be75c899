"""Fixtures for the cells of docs/design.md §5: a worker that does one step at a time.

`harness` runs a test on the fake and on real servers. `fake` runs it on the fake alone, if a cell
takes longer than seconds.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest
import redis

from faktory_unique import (
    Client,
    CommandOutcomeUnknown,
    Job,
    JobError,
    Policy,
    Producer,
    Requeue,
    StoreUnavailable,
    Unique,
)
from faktory_unique.locks.keys import run_key, tombstone_key
from faktory_unique.stores.redis import RedisStore
from faktory_unique.testing import Clock, FakeFaktory
from faktory_unique.worker.handler_call import HandlerCall
from faktory_unique.worker.processor import JobProcessor
from faktory_unique.worker.reservation import Reservation

ERROR = JobError("ValueError", "why")


class FlakyStore:
    """A store that can fail: `away` applies nothing, `mute` applies but does not reply."""

    def __init__(self, store):
        self._store = store
        self.away = self.mute = False
        if hasattr(store, "now"):
            self.now = store.now

    def run(self, transitions):
        if self.away:
            raise StoreUnavailable("store is away")
        found = self._store.run(transitions)
        if self.mute:
            raise StoreUnavailable("no answer in time")
        return found

    def read(self, keys):
        return self._store.read(keys)

    def scan(self, beginning):
        return self._store.scan(beginning)

    def close(self):
        self._store.close()


@dataclass
class Fetched:
    """A fetched job, and what its middleware decided."""

    reservation: Reservation
    step: object

    @property
    def job(self):
        return self.reservation.job

    @property
    def runs(self):
        return isinstance(self.step, HandlerCall)


@dataclass
class Harness:
    """A Faktory, a store, a producer, and a worker that does one step at a time."""

    client: Client
    store: FlakyStore
    value_and_ttl: object
    sizes: object
    emitted: list = field(default_factory=list)

    def unique(self, **policy):
        """Return a `Unique` whose events are recorded in `emitted`."""
        policy = {"ttl": 600, "lease": 40, **policy}
        return Unique(self.store, default=Policy(**policy), hooks=[self.emitted.append])

    def push(self, unique, *middleware, **fields):
        """Push the job, also through other middleware if given. Return its result."""
        fields = {"jobtype": "Cell", "args": [1], "retry": 3, "reserve_for": 60, **fields}
        return Producer(self.client, [unique, *middleware]).push(Job(**fields))

    def fetch(self, unique, *middleware, queue="default"):
        """Return the next job, started as a consumer starts it."""
        since = time.monotonic(), self.client.now()
        job = self.client._fetch([queue])
        assert job is not None
        processor = JobProcessor([unique, *middleware], {"Cell": (print, False)})
        fetched = Fetched(Reservation(self.client, job, since, threading.Event()), None)
        fetched.processor = processor
        fetched.step = processor.start(job)
        return fetched

    def push_and_fetch(self, unique, **fields):
        """Push a job and start it. Return its result and the fetched job."""
        return self.push(unique, **fields), self.fetch(unique)

    def handle(self, fetched):
        """Carry out the decision about a job that is not to run."""
        return fetched.processor.finish(fetched.reservation, fetched.step)

    def ack(self, fetched):
        return fetched.processor.finish(fetched.reservation, None)

    def fail(self, fetched):
        return fetched.processor.finish(fetched.reservation, ERROR)

    def requeue(self, fetched, delay):
        return fetched.processor.finish(fetched.reservation, Requeue(delay))

    def lock(self, result):
        """Return the value of a job's lock; None if it is absent."""
        return self.value_and_ttl(result.key)[0]

    def ttl(self, result):
        """Return the seconds that the lock has left, rounded up."""
        return self.value_and_ttl(result.key)[1]

    def run_lock(self, result):
        """Return the value of the run lock, and the seconds that it has left, rounded up."""
        return self.value_and_ttl(run_key(result.key))

    def tombstone(self, result, owner):
        """Return the successor of a replaced owner, and the seconds left, rounded up."""
        return self.value_and_ttl(tombstone_key(result.key, owner))

    def after_next_run(self, act):
        """Call `act` once, after the next call of the store."""
        run = self.store.run

        def once(transitions):
            self.store.run = run
            found = run(transitions)
            act()
            return found

        self.store.run = once

    def events(self):
        """Return the names of the recorded events, oldest first."""
        return [event.name.value for event in self.emitted]

    def lose(self, monkeypatch, verb, *, arrives):
        """Lose the next command of a verb; or, if it `arrives`, only its reply."""
        commands, lost = self.client._commands, Counter()
        call, send = commands.call, commands.send

        def call_or_lose(command, **options):
            if command.startswith(verb) and not lost[verb]:
                lost[verb] += 1
                if arrives:
                    call(command, **options)
                raise CommandOutcomeUnknown(f"{verb}: lost")
            return call(command, **options)

        def send_or_lose(command):
            is_lost = command.startswith(verb) and not lost[verb]
            return LostReply(call_or_lose, command) if is_lost else send(command)

        monkeypatch.setattr(commands, "call", call_or_lose)
        monkeypatch.setattr(commands, "send", send_or_lose)


@dataclass
class LostReply:
    """The pending reply of a command that is lost."""

    call: object
    command: str

    def receive(self):
        return self.call(self.command)


@pytest.fixture
def fake():
    faktory = FakeFaktory(Clock(1_800_000_000))

    def value_and_ttl(key):
        return faktory.store.values().get(key), faktory.store.ttl(key)

    def sizes():
        return {
            "queued": len(faktory.jobs),
            "scheduled": len(faktory.scheduled),
            "retries": len(faktory.retries),
            "dead": len(faktory.dead),
            "working": len(faktory.working),
        }

    client = faktory.client("both", worker_id="cell-worker")
    harness = Harness(client, FlakyStore(faktory.store), value_and_ttl, sizes)
    harness.advance = faktory.advance
    harness.faktory = faktory
    yield harness
    faktory.close()


@pytest.fixture
def real(faktory_url, redis_url):
    server = redis.Redis.from_url(redis_url, decode_responses=True)
    store = FlakyStore(RedisStore(redis_url))
    with Client(faktory_url, role="both", worker_id="cell-worker") as client:

        def value_and_ttl(key):
            left = server.pttl(key)
            return server.get(key), None if left < 0 else -(-left // 1000)

        def sizes():
            info = client.info()["faktory"]
            sets = {
                name: info["sets"][name] for name in ("scheduled", "retries", "dead", "working")
            }
            return {"queued": info["total_enqueued"], **sets}

        yield Harness(client, store, value_and_ttl, sizes)
    store.close()
    server.close()


@pytest.fixture(
    params=["fake", pytest.param("real", marks=[pytest.mark.faktory, pytest.mark.redis])]
)
def harness(request):
    return request.getfixturevalue(request.param)
