"""A worker whose locks' end is measured: `python -m benchmarks.worker ours|theirs FAKTORY REDIS`.

It works the jobs of that jobtype on the queue of that name, until SIGTERM; with default settings
otherwise, on either side.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import redis
from pyfaktory.client import Client as StockClient  # before ours, so that it is as it comes
from pyfaktory.consumer import Consumer as StockConsumer

from faktory_unique import Client, Consumer, Policy, Unique

WORKER_ID = "worker-of-a-benchmark"


def nap(seconds: float, path: str) -> None:
    """Sleep, then leave in a file when this returned."""
    time.sleep(seconds)
    Path(path).write_text(str(time.time()), encoding="ascii")


class ReleasingClient(StockClient):
    """Stock, but for a lock that is released as one would by hand: once ACK was answered."""

    def __init__(self, url: str, locks: redis.Redis) -> None:
        super().__init__(url, role="consumer", worker_id=WORKER_ID)
        self._locks = locks

    def _ack(self, jid: str) -> bool:
        answer: bool = super()._ack(jid)
        self._locks.delete(jid)
        return answer


def ours(faktory_url: str, redis_url: str) -> None:
    """Work with this library's classes."""
    with (
        Client(faktory_url, role="consumer", worker_id=WORKER_ID) as client,
        Unique(redis_url, default=Policy()) as unique,
    ):
        consumer = Consumer(client, ["ours"], middleware=[unique])
        consumer.register("ours", nap)
        consumer.run()


def theirs(faktory_url: str, redis_url: str) -> None:
    """Work with pyfaktory's."""
    client = ReleasingClient(faktory_url, redis.Redis.from_url(redis_url))
    client.connect()
    consumer = StockConsumer(client, ["theirs"])
    consumer.register("theirs", nap)
    try:
        consumer.run()
    except SystemExit:  # as it always ends
        os._exit(0)  # rather than wait for its next heartbeat


if __name__ == "__main__":
    {"ours": ours, "theirs": theirs}[sys.argv[1]](*sys.argv[2:])
