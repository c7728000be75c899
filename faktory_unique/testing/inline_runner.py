"""`InlineRunner`: runs a fake's jobs in the caller's thread: `perform_one`, `drain`, `inline`.

A job goes through FETCH, the middleware, its handler, and ACK or FAIL, as in a worker, but without
a worker's processes and threads.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faktory_unique.middleware import ReportStatus
from faktory_unique.worker.consumer import Consumer
from faktory_unique.worker.reservation import Reservation

from .job_run import is_for_test_runner, run_job
from .lock_warnings import warn_if_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from faktory_unique.client.client import Client
    from faktory_unique.middleware import Payload

    from .job_run import JobRun
    from .lock_view import Locks
    from .lock_warnings import ForeignLockDetector
    from .server.core import Core

_MAX_DRAINED = 10_000


class InlineRunner:
    """Runs the jobs of one fake.

    Args:
        core: the state of the fake.
        locks: the locks in the fake's store.
        foreign_locks: checks the jobs that are pushed.
        connect: returns a connected client of the fake.
    """

    def __init__(
        self,
        core: Core,
        locks: Locks,
        foreign_locks: ForeignLockDetector,
        connect: Callable[[], Client],
    ) -> None:
        self._core = core
        self._locks = locks
        self._foreign_locks = foreign_locks
        self._connect = connect
        self._own_client: Client | None = None
        self._shutting_down = threading.Event()
        self._block: _InlineBlock | None = None

    def close(self) -> None:
        """Run no more jobs, and do not repeat failed reports."""
        self._core.close()
        self._shutting_down.set()

    def require_open(self) -> None:
        """Check that the fake is open: a closed fake refuses the report of a job.

        Raises:
            RuntimeError: the fake is closed.
        """
        if self._core.closed:
            raise RuntimeError("this fake Faktory is closed; use it within its block")

    def perform_one(self, consumer: Consumer, *, reraise: bool) -> JobRun:
        """Run the oldest job of the consumer's queues.

        Raises:
            LookupError: the queues are empty.
        """
        self._check_usable(consumer)
        job_run = self._perform_next(consumer, reraise=reraise)
        if job_run is None:
            manager = self._core.manager
            raise LookupError(
                f"no job waits in the queues {', '.join(consumer.queues)}; there are "
                f"{sum(len(queue) for _, queue in manager.queues)} jobs in others, "
                f"{len(manager.retries)} in retries, {len(manager.scheduled)} scheduled"
            )
        return job_run

    def drain(self, consumer: Consumer, *, reraise: bool) -> list[JobRun]:
        """Run jobs until the consumer's queues are empty."""
        self._check_usable(consumer)
        job_runs: list[JobRun] = []
        while (job_run := self._perform_next(consumer, reraise=reraise)) is not None:
            job_runs.append(job_run)
            if len(job_runs) >= _MAX_DRAINED:
                raise RuntimeError(
                    f"{_MAX_DRAINED} jobs were run and more are waiting; does "
                    f"{job_run.job['jobtype']} push itself? perform_one runs a single job"
                )
        return job_runs

    @contextmanager
    def inline(self, consumer: Consumer, *, reraise: bool) -> Iterator[None]:
        """Run each job when it is pushed or becomes due, during the block."""
        self._check_usable(consumer)
        outer = self._block
        self._block = block = _InlineBlock(consumer)
        try:
            yield
        except BaseException as exc:  # of the block; often because a handler failed
            if block.raised:
                exc.add_note(f"a handler failed in this inline block: {block.raised[0]!r}")
            raise
        finally:
            self._block = outer
        if raised := [exc for exc in block.raised if reraise or is_for_test_runner(exc)]:
            first, *others = raised
            if others:
                first.add_note(f"{len(others)} more jobs failed in this inline block")
            raise first

    def _check_usable(self, consumer: object) -> None:
        self.require_open()
        if not isinstance(consumer, Consumer):
            raise TypeError(
                f"{consumer!r} is not faktory_unique's Consumer; use Consumer.wrap, or "
                "faktory.consumer() with handlers registered"
            )

    # ---- inline -----------------------------------------------------------------------------

    def on_pushed(self, jobs: Sequence[Payload]) -> None:
        """Check the jobs that a client of this process has pushed. In an inline block, run them.

        The client can send commands again.
        """
        self._foreign_locks.check(jobs)
        block = self._block
        if block is None:
            return
        jids = [job["jid"] for job in jobs]
        if threading.get_ident() in block.reporting:  # a requeued copy: report its job first
            block.requeued.extend(jids)
            return
        for jid in jids:
            self._run_pushed(block, jid)

    def on_pushed_remotely(self, jobs: Sequence[Payload]) -> None:
        """Do `on_pushed` for a client on a socket. The reply has been sent."""
        try:
            self.on_pushed(jobs)
        except BaseException as exc:  # noqa: BLE001  # raised later, by the thread of the block
            if self._block is not None:
                self._block.raised.append(exc)

    def on_advanced(self) -> None:
        """Within an inline block, run the jobs that became due."""
        block = self._block
        if block is not None:
            while (fetched := self._fetch(block.consumer)) is not None:
                self._run_inline(block, fetched)

    def _run_pushed(self, block: _InlineBlock, jid: str) -> None:
        if (fetched := self._fetch_jid(block.consumer.queues, jid)) is not None:
            self._run_inline(block, fetched)

    def _run_inline(self, block: _InlineBlock, fetched: _Fetched) -> None:
        thread = threading.get_ident()
        try:
            _, raised = self._run(block.consumer, fetched, lambda: block.reporting.add(thread))
        finally:
            block.reporting.discard(thread)
        if raised is not None:
            block.raised.append(raised)
        if thread not in block.running_requeued:  # a loop, so that runs do not nest
            block.running_requeued.add(thread)
            try:
                while block.requeued:
                    self._run_pushed(block, block.requeued.popleft())
            finally:
                block.running_requeued.discard(thread)

    # ---- running a job ----------------------------------------------------------------------

    def _perform_next(self, consumer: Consumer, *, reraise: bool) -> JobRun | None:
        fetched = self._fetch(consumer)
        if fetched is None:
            return None
        job_run, raised = self._run(consumer, fetched, lambda: None)
        if reraise and raised is not None:
            raise raised
        if reraise and job_run.error is not None:
            error = job_run.error
            raise RuntimeError(f"{job_run.job['jobtype']}: {error.errtype}: {error.message}")
        return job_run

    def _fetch(self, consumer: Consumer) -> _Fetched | None:
        """Reserve the oldest job of the consumer's queues: a FETCH that does not wait."""
        manager = self._core.manager
        with self._core.mutex:
            self._core.catch_up()
            since = self._fetch_time()
            text = manager.fetch("", manager.queues.active(consumer.get_queues()))
        return None if text is None else _Fetched(json.loads(text), since)

    def _fetch_jid(self, names: Sequence[str], jid: str) -> _Fetched | None:
        """Reserve a job by its jid, if it waits in one of the queues."""
        with self._core.mutex:
            since = self._fetch_time()
            text = self._core.manager.fetch_jid("", names, jid)
        return None if text is None else _Fetched(json.loads(text), since)

    def _fetch_time(self) -> tuple[float, float]:
        return time.monotonic(), self._core.clock()

    @property
    def _client(self) -> Client:
        # A producer's: it needs no heartbeats, and the server accepts every verb from it.
        if self._own_client is None:
            self._own_client = self._connect()
        return self._own_client

    def _run(
        self, consumer: Consumer, fetched: _Fetched, before_report: Callable[[], None]
    ) -> tuple[JobRun, BaseException | None]:
        reservation = Reservation(self._client, fetched.job, fetched.since, self._shutting_down)
        job_run, raised = run_job(consumer, reservation, before_report)
        if job_run and job_run.status is ReportStatus.ACCEPTED:
            warn_if_locked(fetched.job, self._locks)
        return job_run, raised


@dataclass(frozen=True, slots=True)
class _Fetched:
    job: Payload
    since: tuple[float, float]  # see Reservation


@dataclass(slots=True)
class _InlineBlock:
    """An `inline` block.

    Attributes:
        consumer: runs the jobs.
        raised: exceptions of handlers.
        requeued: jids of requeued copies that are due at once.
        reporting: threads that report a job at the moment.
        running_requeued: threads that run requeued copies at the moment.
    """

    consumer: Consumer
    raised: list[BaseException] = field(default_factory=list)
    requeued: deque[str] = field(default_factory=deque)
    reporting: set[int] = field(default_factory=set)
    running_requeued: set[int] = field(default_factory=set)
