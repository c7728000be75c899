"""A worker that is measured: `python -m benchmarks.worker SIDE FAKTORY REDIS`.

It works the jobs of the queue with the name of its side, until SIGTERM; with default settings
otherwise. Sides: `releasing` has stock pyfaktory free a lock by hand; `stock` is pyfaktory as it
comes, `plain` is this library without a middleware, and `unique` with its own.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import redis
from pyfaktory.client import Client as StockClient  # before ours, so that it is as it comes
from pyfaktory.consumer import Consumer as StockConsumer

from faktory_unique import Client, Consumer, Middleware, Policy, Unique

WORKER_ID = "worker-of-a-benchmark"


def nap(seconds: float, path: str) -> None:
    """Sleep, then leave in a file when this returned."""
    time.sleep(seconds)
    Path(path).write_text(str(time.time()), encoding="ascii")


def nothing(*_args: object) -> None:
    """Work that takes no time."""


class ReleasingClient(StockClient):
    """Stock, but for a lock that is released as one would by hand: once ACK was answered."""

    def __init__(self, url: str, worker_id: str, locks: redis.Redis) -> None:
        super().__init__(url, role="consumer", worker_id=worker_id)
        self._locks = locks

    def _ack(self, jid: str) -> bool:
        answer: bool = super()._ack(jid)
        self._locks.delete(jid)
        return answer


def ours(side: str, faktory_url: str, redis_url: str) -> None:
    """Work with this library's classes."""
    with ExitStack() as stack:
        client = Client(faktory_url, role="consumer", worker_id=f"{WORKER_ID}-{side}")
        stack.enter_context(client)
        middleware: list[Middleware] = []
        if side == "unique":
            middleware.append(stack.enter_context(Unique(redis_url, default=Policy())))
        consumer = Consumer(client, [side], middleware=middleware)
        consumer.register("nap", nap)
        consumer.register("nothing", nothing)
        consumer.run()


def theirs(side: str, faktory_url: str, redis_url: str) -> None:
    """Work with pyfaktory's."""
    worker_id = f"{WORKER_ID}-{side}"
    client = (
        ReleasingClient(faktory_url, worker_id, redis.Redis.from_url(redis_url))
        if side == "releasing"
        else StockClient(faktory_url, role="consumer", worker_id=worker_id)
    )
    client.connect()
    consumer = StockConsumer(client, [side])
    consumer.register("nap", nap)
    consumer.register("nothing", nothing)
    try:
        consumer.run()
    except SystemExit:  # as it always ends
        os._exit(0)  # rather than wait for its next heartbeat


if __name__ == "__main__":
    work = theirs if sys.argv[1] in {"stock", "releasing"} else ours
    work(*sys.argv[1:])
