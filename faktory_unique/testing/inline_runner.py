"""Work done here: a fake's jobs through a consumer's whole chain, in this very process.

FETCH, the fetch middleware, perform, ACK or FAIL and what the middleware does around them happen as
in a worker, without its processes and threads.
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

from .go.shapes import STRING
from .lock_warnings import warn_of_a_lock_left_behind
from .perform import work
from .server.schemas import JOB, decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from faktory_unique.client.client import Client
    from faktory_unique.middleware import Payload

    from .lock_view import Locks
    from .lock_warnings import Strays
    from .perform import JobRun
    from .server.core import Core

_MOST_DRAINED = 10_000


class Here:
    """Works the jobs of one fake in the thread that asks.

    Args:
        core: the fake.
        locks: those of its store.
        strays: looks at what is pushed.
        connect: makes a client of it.
    """

    def __init__(
        self, core: Core, locks: Locks, strays: Strays, connect: Callable[[], Client]
    ) -> None:
        self._core = core
        self._strays = strays
        self._locks = locks
        self._connect = connect
        self._own_client: Client | None = None
        self._giving_up = threading.Event()
        self._inline: _Inline | None = None

    def close(self) -> None:
        """Nothing is worked any more, and no report repeated."""
        self._core.closed = True
        self._giving_up.set()

    def refuse_closed(self) -> None:
        """Raises RuntimeError once the fake is closed: nothing could be reported to it."""
        if self._core.closed:
            raise RuntimeError("this fake Faktory is closed; use it within its block")

    def perform_one(self, consumer: Consumer, *, reraise: bool) -> JobRun:
        """Works the oldest job of the consumer's queues; LookupError where there is none."""
        self._check(consumer)
        done = self._perform_next(consumer, reraise=reraise)
        if done is None:
            manager = self._core.manager
            raise LookupError(
                f"nothing waits in the queues {', '.join(consumer.queues)}; there are "
                f"{sum(len(queue) for _, queue in manager.queues)} jobs in others, "
                f"{len(manager.retries)} in retries, {len(manager.scheduled)} scheduled"
            )
        return done

    def drain(self, consumer: Consumer, *, reraise: bool) -> list[JobRun]:
        """Works jobs until the consumer's queues are empty."""
        self._check(consumer)
        done: list[JobRun] = []
        while (performed := self._perform_next(consumer, reraise=reraise)) is not None:
            done.append(performed)
            if len(done) >= _MOST_DRAINED:
                raise RuntimeError(
                    f"{_MOST_DRAINED} jobs were worked and more are waiting; does "
                    f"{performed.job['jobtype']} push itself? perform_one works a single job"
                )
        return done

    @contextmanager
    def inline(self, consumer: Consumer, *, reraise: bool) -> Iterator[None]:
        """Works each job as it is pushed or falls due, for the length of the block."""
        self._check(consumer)
        outer = self._inline
        self._inline = inline = _Inline(consumer, [])
        try:
            yield
        except BaseException as exc:  # of the block, and a failed handler is often why
            if inline.raised:
                exc.add_note(f"a handler failed in this inline block: {inline.raised[0]!r}")
            raise
        finally:
            self._inline = outer
        if inline.raised and reraise:
            first, *others = inline.raised
            if others:
                first.add_note(f"{len(others)} more jobs failed in this inline block")
            raise first

    def _check(self, consumer: object) -> None:
        self.refuse_closed()
        if not isinstance(consumer, Consumer):
            raise TypeError(
                f"{consumer!r} is not faktory_unique's Consumer; use Consumer.wrap, or "
                "faktory.consumer() with handlers registered"
            )

    def pushed(self, jobs: Sequence[Payload]) -> None:
        """Called when a client of this process has pushed jobs, and is free again."""
        self._strays.look_at(jobs)
        inline = self._inline
        if inline is None:
            return
        jids = [job["jid"] for job in jobs]
        if threading.get_ident() in inline.settling:  # a put-back's copy: the job comes first
            inline.copies.extend(jids)
            return
        for jid in jids:
            self._work_pushed(inline, jid)

    def pushed_from_afar(self, jobs: Sequence[Payload]) -> None:
        """Called when a client beyond a socket has pushed jobs and has its answer."""
        try:
            self.pushed(jobs)
        except BaseException as exc:  # noqa: BLE001  # not this thread's to bear
            if self._inline is not None:
                self._inline.raised.append(exc)

    def advanced(self) -> None:
        """Called when time has passed: inline, what has fallen due runs."""
        inline = self._inline
        if inline is not None:
            while (fetched := self._fetch(inline.consumer)) is not None:
                self._work_inline(inline, fetched)

    def _work_pushed(self, inline: _Inline, jid: str) -> None:
        if (fetched := self._take(inline.consumer.queues, jid)) is not None:
            self._work_inline(inline, fetched)

    def _work_inline(self, inline: _Inline, fetched: _Fetched) -> None:
        thread = threading.get_ident()
        try:
            _, raised = self._work(inline.consumer, fetched, lambda: inline.settling.add(thread))
        finally:
            inline.settling.discard(thread)
        if raised is not None:
            inline.raised.append(raised)
        if thread not in inline.chasing:  # the outermost works them all: they do not nest
            inline.chasing.add(thread)
            try:
                while inline.copies:
                    self._work_pushed(inline, inline.copies.popleft())
            finally:
                inline.chasing.discard(thread)

    def _perform_next(self, consumer: Consumer, *, reraise: bool) -> JobRun | None:
        fetched = self._fetch(consumer)
        if fetched is None:
            return None
        performed, raised = self._work(consumer, fetched, lambda: None)
        if reraise and raised is not None:
            raise raised
        if reraise and performed.error is not None:
            error = performed.error
            raise RuntimeError(f"{performed.job['jobtype']}: {error.errtype}: {error.message}")
        return performed

    def _fetch(self, consumer: Consumer) -> _Fetched | None:
        """Reserves the oldest job of the consumer's queues; FETCH, but that it does not wait."""
        manager = self._core.manager
        with self._core.lock:
            self._core.catch_up()
            since = self._since()
            text = manager.fetch("", manager.queues.active(consumer.get_queues()))
        return None if text is None else _Fetched(json.loads(text), since)

    def _take(self, names: Sequence[str], jid: str) -> _Fetched | None:
        """Reserves a job by its jid, if it waits in one of the queues."""
        manager = self._core.manager
        written = encoded(jid, STRING)

        def is_it(text: str) -> bool:
            # Decoded, since args may hold it too; not all, since there may be thousands.
            return written in text and decoded(text, JOB)["jid"] == jid

        with self._core.lock:
            since = self._since()
            payload = manager.queues.take(manager.queues.active(names), is_it)
            text = None if payload is None else manager.reserve("", payload)
        return None if text is None else _Fetched(json.loads(text), since)

    def _since(self) -> tuple[float, float]:
        return time.monotonic(), self._core.clock()

    @property
    def _client(self) -> Client:
        # A producer's: it needs no heartbeats, and the server takes every verb from it.
        if self._own_client is None:
            self._own_client = self._connect()
        return self._own_client

    def _work(
        self, consumer: Consumer, fetched: _Fetched, settling: Callable[[], None]
    ) -> tuple[JobRun, BaseException | None]:
        reservation = Reservation(self._client, fetched.job, fetched.since, self._giving_up)
        performed, raised = work(consumer, reservation, settling)
        if performed and performed.answer is ReportStatus.ACCEPTED:
            warn_of_a_lock_left_behind(fetched.job, self._locks)
        return performed, raised


@dataclass(frozen=True, slots=True)
class _Fetched:
    job: Payload
    since: tuple[float, float]  # as Reservation has it


@dataclass(slots=True)
class _Inline:
    consumer: Consumer
    raised: list[BaseException]
    copies: deque[str] = field(default_factory=deque)  # jids of what was put back, due at once
    settling: set[int] = field(default_factory=set)  # threads whose job is being reported
    chasing: set[int] = field(default_factory=set)  # threads that work copies already
