"""Worker process that is measured: `python -m benchmarks.worker SIDE FAKTORY REDIS`.

It runs the jobs of the queue with the name of its side, with default settings, until SIGTERM.
Sides: `releasing` is stock pyfaktory that deletes a lock after ACK, `stock` is pyfaktory alone,
`plain` is this library without a middleware, and `unique` with `Unique`.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import redis
from pyfaktory.client import Client as StockClient  # before ours, so that it is unchanged
from pyfaktory.consumer import Consumer as StockConsumer

from faktory_unique import Client, Consumer, Middleware, Policy, Unique

WORKER_ID = "worker-of-a-benchmark"


def nap(seconds: float, path: str) -> None:
    """Sleep, then write the time of the return to a file."""
    time.sleep(seconds)
    Path(path).write_text(str(time.time()), encoding="ascii")


def nothing(*_args: object) -> None:
    """Do nothing."""


class ReleasingClient(StockClient):
    """A stock client that deletes the lock of a job once its ACK was answered."""

    def __init__(self, url: str, worker_id: str, locks: redis.Redis) -> None:
        super().__init__(url, role="consumer", worker_id=worker_id)
        self._locks = locks

    def _ack(self, jid: str) -> bool:
        acknowledged: bool = super()._ack(jid)
        self._locks.delete(jid)
        return acknowledged


def run_ours(side: str, faktory_url: str, redis_url: str) -> None:
    """Run jobs with this library's classes."""
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


def run_stock(side: str, faktory_url: str, redis_url: str) -> None:
    """Run jobs with pyfaktory's classes."""
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
    except SystemExit:  # a stock consumer always ends so
        os._exit(0)  # instead of waiting for its next heartbeat


if __name__ == "__main__":
    run = run_stock if sys.argv[1] in {"stock", "releasing"} else run_ours
    run(*sys.argv[1:])
