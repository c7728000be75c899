"""The public API as a user's type checker sees it. test_api.py checks it; it is never run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal, assert_type

import redis

from faktory_unique import (
    BulkResult,
    Client,
    Consumer,
    Drop,
    DuplicateJob,
    Event,
    EventName,
    Job,
    JobError,
    Lock,
    Middleware,
    Policy,
    Producer,
    PushOutcomeUnknown,
    PushResult,
    PushStatus,
    ReportStatus,
    Requeue,
    Run,
    Unique,
    current_job,
)

policies = {
    "A": Policy(ttl="1h30m", by=[0, "1.user_id"]),
    "B": Policy(ttl=90, lease=timedelta(seconds=30), per_queue=True),
    "C": Policy(scope="mail", key=lambda args: args[0]),
    "D": Policy(until="start", exclusive=True, on_conflict="replace"),
    "E": Policy(on_conflict="raise", enforce=False, renew=False, on_death="keep"),
}
assert_type(policies["A"].ttl, float)
assert_type(policies["D"].exclusive, bool)
assert_type(policies["D"].on_conflict, Literal["skip", "raise", "replace"])

unique = Unique(store="redis://localhost:6379/0", policies=policies, default=Policy())
Unique(store=redis.Redis(), policies={"A": {"ttl": "1h"}}, config="settings.toml")
Unique()


def hook(event: Event) -> None:
    if event.name in {EventName.OBSERVED, EventName.SUPERSEDED, EventName.RUN_BLOCKED}:
        assert_type(event.detail, str)


Unique("memory://", hooks=[hook])


class Custom(Middleware):
    def push(
        self,
        jobs: Sequence[dict[str, Any]],
        call_next: Callable[[Sequence[dict[str, Any]]], list[PushResult]],
    ) -> list[PushResult]:
        return call_next(jobs)

    def fetch(
        self, job: dict[str, Any], call_next: Callable[[dict[str, Any]], Run | Requeue | Drop]
    ) -> Run | Requeue | Drop:
        return Requeue(5) if job["jobtype"] == "A" else call_next(job)

    def fail(
        self,
        job: dict[str, Any],
        error: JobError,
        call_next: Callable[[dict[str, Any], JobError], ReportStatus],
    ) -> ReportStatus:
        return call_next(job, error)


def handler(user_id: int) -> None:
    assert_type(current_job(), dict[str, Any])


with unique, Client("tcp://localhost:7419") as client:
    assert_type(client, Client)
    producer = Producer(client, middleware=[Custom(), unique])
    try:
        result = producer.push(Job(jobtype="A", args=[1]))
    except DuplicateJob as exc:
        assert_type(exc.results[0].jid, str)
        raise
    except PushOutcomeUnknown as exc:
        assert_type(exc.results, Sequence[PushResult])
        raise
    assert_type(result, PushResult)
    assert_type(result.status, PushStatus)
    assert_type(result.jid, str)
    assert_type(result.replaced, str | None)
    producer.push(Job(jobtype="F", args=[1], custom={"unique_for": 600}))
    bulk = producer.push_bulk([Job(jobtype="A", args=[n]) for n in range(3)])
    assert_type(bulk, BulkResult)
    assert_type(bulk.duplicates, list[PushResult])
    assert_type(bulk["jid"], str)

with Client(role="consumer", timeout=2.5, labels=["python"]) as client:
    consumer = Consumer(client, queues=["default"], middleware=[unique], concurrency=2)
    consumer.register("A", handler)
    assert_type(consumer.stop(), None)
    consumer.run()

assert_type(unique.holder("A", [1], queue="slow", custom={"unique_for": 600}), Lock | None)
assert_type(unique.release("A", (1, 2)), Lock | None)
assert_type(unique.locks(), Iterator[Lock])
assert_type(unique.release_jids("A", {"jid-00000001"}), list[Lock])
for lock in unique.locks("A"):
    assert_type((lock.key, lock.name, lock.owner), tuple[str, str, str])
    assert_type((lock.leased, lock.ttl), tuple[bool, float])
