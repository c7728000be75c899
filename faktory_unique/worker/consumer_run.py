"""One run of a consumer: the jobs in flight, the processes they run in, and how all that ends."""

from __future__ import annotations

import logging
import threading
import time
from contextvars import Context
from queue import SimpleQueue
from typing import TYPE_CHECKING

from faktory_unique.middleware import Requeue

from .child import Task
from .perform import job_error
from .process_pool import NotBegun, ProcessEnded, ProcessPool
from .processor import End, Perform, settlement
from .reservation import Reservation

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.middleware import Payload

    from .consumer import Consumer
    from .processor import Settlement

log = logging.getLogger("faktory_unique")

# How soon it is noticed that there is a stop, or that a slot is free.
TICK = 0.1

# Seconds for putting back what has not ended in time. With a grace period of 25 that is within the
# 30 that Kubernetes and others leave a process between SIGTERM and SIGKILL.
REQUEUE_SECONDS = 3.0
_LAST_TRY = 0.5

# Seconds after which a job is tried again for which there was no process.
_NO_PROCESS = 10.0


class ConsumerRun:
    """One run of a consumer, which late threads keep to however long they take.

    Args:
        consumer: whose jobs, handlers and middleware.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._handling = consumer.handling
        self._slots = threading.Semaphore(consumer.concurrency)
        self._giving_up = threading.Event()
        self._idle = threading.Semaphore(0)  # threads that wait for a job, or are about to
        self._coming: SimpleQueue[Reservation | None] = SimpleQueue()
        self.processes = ProcessPool(consumer.context, consumer.concurrency)

    def start(self) -> None:
        """Starts the processes, so that no job waits for one."""
        self.processes.start()

    def acquire_slot(self) -> bool:
        """Waits a moment for a free slot, and takes it."""
        return self._slots.acquire(timeout=TICK)

    def release_slot(self) -> None:
        """Frees a slot that was taken."""
        self._slots.release()

    def begin(self, job: Payload, since: tuple[float, float]) -> None:
        """Has a fetched job handled in the slot that was taken; it is free then."""
        reservation = Reservation(self._consumer.client, job, since, self._giving_up)
        # In another thread: the run loop must see a stop. One whose job is over takes the next, as
        # to start a thread takes longer than anything else that a consumer does for a short job.
        if self._idle.acquire(blocking=False):
            self._coming.put(reservation)
            return
        thread = threading.Thread(
            target=self._handle_on, args=[reservation], name="faktory-job", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as exc:
            log.warning("no thread for jobtype=%s jid=%s: %s", job["jobtype"], job["jid"], exc)
            self._handling.settle(reservation, Requeue(_NO_PROCESS))
            self.release_slot()

    def _handle_on(self, reservation: Reservation | None) -> None:
        """The life of a thread: one job after the other, until it is dismissed."""
        while reservation is not None:
            # No context variable of a job is left for the next; a `threading.local` is.
            Context().run(self.handle, reservation)
            reservation = self._coming.get()

    def handle(self, reservation: Reservation) -> None:
        """Begins, performs and settles a job; then its slot is free."""
        try:
            step = self._handling.begin(reservation.job)
            if isinstance(step, Perform):
                step = self.perform(reservation.job, step)
            self._handling.settle(reservation, step)
            self._idle.release()  # before there is room, or the next job starts another thread
        finally:
            self.release_slot()

    def perform(self, job: Payload, step: Perform) -> Settlement:
        """Has a job's handler run in a process; what is to be done with the job then."""
        consumer = self._consumer
        tell_sentry = consumer.sentry_capture_exception
        task = Task(consumer.performing, step.handler, job, step.bind, tell_sentry)
        try:
            return settlement(self.processes.perform(task))
        except (ProcessEnded, NotBegun) as exc:
            if self.processes.killed:  # a shutdown's doing is nobody's failure
                return Requeue(0)
            if isinstance(exc, NotBegun):  # nor is a machine's that is short of something
                log.warning("no process for jobtype=%s jid=%s: %s", job["jobtype"], job["jid"], exc)
                return Requeue(_NO_PROCESS)
            return End(job_error(exc))
        except BaseException as exc:  # noqa: BLE001  # it does not pickle: it costs that job alone
            return self._handling.not_begun(job, exc)

    def end(self, grace: float, is_hurried: Callable[[], bool]) -> None:
        """Gives the jobs in flight their grace, then ends their processes and hands them back.

        Args:
            grace: seconds for them to end.
            is_hurried: whether there is no more grace to be had.
        """
        in_flight = self._await_jobs(self._consumer.concurrency, 0)
        if in_flight:
            log.info("consumer stops: jobs in flight, with %.1f s to end: %d", grace, in_flight)
        in_flight = self._await_jobs(in_flight, grace, is_hurried)
        cut_off = self.processes.kill()
        if cut_off:
            log.warning("%d jobs have not ended in time and are put back", cut_off)
        in_flight = self._await_jobs(in_flight, REQUEUE_SECONDS)
        self._giving_up.set()
        in_flight = self._await_jobs(in_flight, _LAST_TRY)
        if in_flight:
            log.warning("%d jobs could not be reported; their reservations expire", in_flight)
        for _ in range(self._consumer.concurrency):
            self._coming.put(None)
        self.processes.close()

    def _await_jobs(
        self, in_flight: int, seconds: float, is_hurried: Callable[[], bool] = lambda: False
    ) -> int:
        """Waits for slots to be free, some seconds at most; how many are not."""
        deadline = time.monotonic() + seconds
        while in_flight:
            left = 0.0 if is_hurried() else deadline - time.monotonic()
            if self._slots.acquire(timeout=min(max(left, 0), TICK)):
                in_flight -= 1
            elif left <= 0:
                break
        return in_flight
