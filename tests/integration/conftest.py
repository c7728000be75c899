"""Fixtures: producers, workers and their handlers' notes, on the real servers."""

from __future__ import annotations

import contextlib
import multiprocessing
from pathlib import Path

import pytest
import redis

from faktory_unique import Client, Consumer, Job, Policy, Producer, Unique
from faktory_unique.testing import running_consumer
from tests.integration import handlers

# A fork of this process would inherit locks that its other threads hold.
SPAWN = multiprocessing.get_context("spawn")

HANDLERS = (
    *("note", "note_slowly", "note_without_sigterm", "note_current", "note_pid", "retry_once"),
    *("fail", "fail_unpicklably", "leave", "die", "die_well", "crash"),
)


@pytest.fixture
def unique(redis_url):
    with Unique(store=redis_url, policies={"Unique*": Policy(ttl=600, lease=30)}) as opened:
        yield opened


@pytest.fixture
def client(faktory_url):
    with Client(faktory_url) as connected:
        yield connected


@pytest.fixture
def producer(client, unique):
    return Producer(client, middleware=[unique])


@pytest.fixture
def locks(redis_url):
    """Call it for the locks that exist: key → value."""
    server = redis.Redis.from_url(redis_url, decode_responses=True)
    yield lambda: {key: server.get(key) for key in server.keys("*")}
    server.close()


@pytest.fixture
def lock_ttl(redis_url):
    server = redis.Redis.from_url(redis_url)
    yield server.ttl
    server.close()


@pytest.fixture
def sizes(faktory_server):
    """Call it for a number of jobs: `sizes("enqueued")`, "scheduled", "retries", "dead"."""

    def size(name):
        with Client(faktory_server.url) as client:
            info = client.info()["faktory"]
        return info["total_enqueued"] if name == "enqueued" else info["sets"][name]

    return size


@pytest.fixture
def working(faktory_url):
    """`with working(unique, …):` runs a consumer with the test handlers during the block."""

    @contextlib.contextmanager
    def work(*middleware, **options):
        with Client(faktory_url, role="consumer", worker_id="test-worker-1") as client:
            options = {
                "concurrency": 2,
                "grace_period": 5,
                "context": SPAWN,
                **options,
            }
            consumer = Consumer(client, middleware=middleware, **options)
            for name in HANDLERS:
                consumer.register(f"Unique.{name}", getattr(handlers, name))
            consumer.register("Unique.note_jid", handlers.note_jid, bind=True)
            with running_consumer(consumer):
                yield consumer

    return work


@pytest.fixture
def notes(tmp_path):
    """A file to which handlers append lines; call it for the lines."""

    class Notes:
        path = str(tmp_path / "notes")

        def __call__(self):
            try:
                return Path(self.path).read_text(encoding="utf-8").split()
            except FileNotFoundError:
                return []

    return Notes()


@pytest.fixture
def note_job(notes):
    """Call it for a unique job that notes a line."""
    return lambda text="ran", **fields: Job(
        jobtype="Unique.note", args=[notes.path, text], **fields
    )
