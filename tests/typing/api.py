"""The public API as a consumer's type checker sees it; checked by test_api.py, never run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, assert_type

import redis

from faktory_unique import (
    Answer,
    Client,
    Consumer,
    Drop,
    Job,
    JobError,
    Middleware,
    Policy,
    Producer,
    PushedBulk,
    PushOutcomeUnknown,
    PushResult,
    PushStatus,
    PutBack,
    Run,
    Unique,
    current_job,
)

policies = {
    "A": Policy(ttl="1h30m", by=[0, "1.user_id"]),
    "B": Policy(ttl=90, lease=timedelta(seconds=30), per_queue=True),
    "C": Policy(scope="mail", key=lambda args: args[0]),
}
assert_type(policies["A"].ttl, float)

unique = Unique(store="redis://localhost:6379/0", policies=policies, default=Policy())
Unique(store=redis.Redis(), policies={"A": {"ttl": "1h"}}, config="settings.toml")
Unique()


class Mine(Middleware):
    def push(
        self,
        jobs: Sequence[dict[str, Any]],
        call_next: Callable[[Sequence[dict[str, Any]]], list[PushResult]],
    ) -> list[PushResult]:
        return call_next(jobs)

    def fetch(
        self, job: dict[str, Any], call_next: Callable[[dict[str, Any]], Run | PutBack | Drop]
    ) -> Run | PutBack | Drop:
        return PutBack(5) if job["jobtype"] == "A" else call_next(job)

    def fail(
        self,
        job: dict[str, Any],
        error: JobError,
        call_next: Callable[[dict[str, Any], JobError], Answer],
    ) -> Answer:
        return call_next(job, error)


def handler(user_id: int) -> None:
    assert_type(current_job(), dict[str, Any])


with unique, Client("tcp://localhost:7419") as client:
    assert_type(client, Client)
    producer = Producer(client, middleware=[Mine(), unique])
    try:
        result = producer.push(Job(jobtype="A", args=[1]))
    except PushOutcomeUnknown as exc:
        assert_type(exc.results, Sequence[PushResult])
        raise
    assert_type(result, PushResult)
    assert_type(result.status, PushStatus)
    assert_type(result.jid, str)
    bulk = producer.push_bulk([Job(jobtype="A", args=[n]) for n in range(3)])
    assert_type(bulk, PushedBulk)
    assert_type(bulk.duplicates, list[PushResult])
    assert_type(bulk["jid"], str)

with Client(role="consumer", timeout=2.5, labels=["python"]) as client:
    consumer = Consumer(client, queues=["default"], middleware=[unique], concurrency=2)
    consumer.register("A", handler)
    assert_type(consumer.stop(), None)
    consumer.run()
