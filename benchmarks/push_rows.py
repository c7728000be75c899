"""Rows of pushes to a real Faktory: with a lock, without one, and with redis-py."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from pyfaktory.client import Client as StockClient
from pyfaktory.producer import Producer as StockProducer

from faktory_unique import Client, Job, Policy, Producer, Unique
from faktory_unique.locks.stamp import Stamp

from .measurement import Row
from .redis_setup import BATCH, JOB, LEASE, OWNER, POLICY

if TYPE_CHECKING:
    from scripts.servers import FaktoryServer

    from .redis_setup import RedisSetup

ONE_BY_ONE = 300
IN_BULK = 3 * BATCH


class PushRows:
    """Rows with a producer of each side, on one Faktory."""

    def __init__(self, setup: RedisSetup, faktory: FaktoryServer) -> None:
        self._setup = setup
        self._faktory = faktory
        self._stack = ExitStack()
        unique = self._stack.enter_context(Unique(setup.url, default=Policy()))
        self._ours = Producer(self._stack.enter_context(Client(faktory.url)), [unique])
        self._theirs = StockProducer(self._stack.enter_context(StockClient(faktory.url)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def rows(self) -> list[Row]:
        """Return all rows, in the order of the table."""
        return [self._duplicate(), self._push(), self._bulk(), self._stamped()]

    def _duplicate(self) -> Row:
        def theirs(count: int) -> None:
            for n in range(count):
                self._theirs.push(_job(n))

        def before(count: int) -> None:
            self._clear()
            self._ours.push_bulk([_job(n) for n in range(count)])

        name = "a duplicate refused vs a plain pyfaktory push"
        return Row(name, 2.2, ONE_BY_ONE, self._push_ours, theirs, before)

    def _push(self) -> Row:
        client = self._setup.client

        def theirs(count: int) -> None:
            keys = self._setup.keys(count)
            for n in range(count):
                if client.set(keys[n], "1", nx=True, ex=LEASE):
                    self._theirs.push(_job(n))

        name = "unique push vs the hand-written helper: redis-py set, pyfaktory push"
        return Row(name, 1.0, ONE_BY_ONE, self._push_ours, theirs, self._clear, self._check_queue)

    def _bulk(self) -> Row:
        def ours(count: int) -> None:
            for start in range(0, count, BATCH):
                self._ours.push_bulk([_job(n) for n in range(start, start + BATCH)])

        name = f"unique push_bulk({BATCH}) vs plain pyfaktory push_bulk({BATCH})"
        return Row(name, 0.8, IN_BULK, ours, self._bulk_theirs, self._clear, self._check_queue)

    def _stamped(self) -> Row:
        """Return the row that limits the one before: it has only Faktory's own cost of a stamp."""
        stamp = Stamp(key=self._setup.keys(1)[0], owner=OWNER, until=POLICY.until, ttl=POLICY.ttl)
        custom = stamp.stamped_copy({})["custom"]

        def stamped(count: int) -> None:
            for start in range(0, count, BATCH):
                jobs = [_job(n, custom) for n in range(start, start + BATCH)]
                self._theirs.push_bulk(jobs)

        name = f"pyfaktory push_bulk({BATCH}) of stamped jobs vs of the same without"
        plain = self._bulk_theirs
        return Row(name, None, IN_BULK, stamped, plain, self._clear, self._check_queue)

    def _push_ours(self, count: int) -> None:
        for n in range(count):
            self._ours.push(_job(n))

    def _bulk_theirs(self, count: int) -> None:
        for start in range(0, count, BATCH):
            self._theirs.push_bulk([_job(n) for n in range(start, start + BATCH)])

    def _clear(self, _count: int = 0) -> None:
        self._setup.clear(0)
        self._faktory.ask("FLUSH")

    def _check_queue(self, count: int) -> None:
        found = self._theirs.client.info()["faktory"]["queues"].get("default")
        if found != count:
            raise RuntimeError(f"{found} jobs are in the queue after a round instead of {count}")


def _job(n: int, custom: dict[str, object] | None = None) -> Job:
    args = [n, "welcome"]
    return Job(jid=uuid.uuid4().hex, jobtype=JOB["jobtype"], args=args, custom=custom)
