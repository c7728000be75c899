"""`ConsumerRun`: one run of a consumer, with threads and slots for its jobs, and its shutdown."""

from __future__ import annotations

import sys
import threading
import time
from contextvars import Context
from queue import SimpleQueue
from typing import TYPE_CHECKING

from faktory_unique._util import log
from faktory_unique.middleware import Requeue

from .child_process import NotStarted, ProcessEnded
from .handler_call import HandlerCall, job_error
from .reservation import Reservation

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.client.client import Client
    from faktory_unique.middleware import Payload

    from .handler_call import JobResult
    from .process_pool import ProcessPool
    from .processor import JobProcessor


# The longest time after which the consumer notices a stop or a free slot.
TICK_SECONDS = 0.1

# Time to requeue the jobs that did not end in time. With a grace period of 25 s that is within the
# 30 s that Kubernetes and others leave a process between SIGTERM and SIGKILL.
_REQUEUE_SECONDS = 3.0

# Time for one more try of the reports that have failed until then.
_LAST_REPORT_SECONDS = 0.5

# The longest time from the end of the grace period to the end of a program: requeues, last reports,
# the end of the processes, and `Client.disconnect`.
STOP_SECONDS = 5.0

# The delay of a job that is requeued because there was no process or thread for it.
_NO_PROCESS_DELAY_SECONDS = 10.0


class ConsumerRun:
    """One run of a consumer. A thread that outlives its run does not touch the next run.

    Args:
        client: the client that reports the jobs.
        processor: starts and finishes the jobs.
        pool: the processes that run the handlers.
        concurrency: the number of jobs in flight at the same time.

    Attributes:
        shuts_down: whether no more jobs are to be fetched.
    """

    def __init__(
        self, client: Client, processor: JobProcessor, pool: ProcessPool, concurrency: int
    ) -> None:
        self.pool = pool
        self.shuts_down = False
        self._is_fetching = False  # whether the thread that fetches has a slot
        self._client = client
        self._processor = processor
        self._concurrency = concurrency
        self._slots = threading.Semaphore(concurrency)
        self._shutting_down = threading.Event()
        self._idle_threads = threading.Semaphore(0)  # those that wait for a job, or are about to
        self._submitted: SimpleQueue[Reservation | None] = SimpleQueue()

    @staticmethod
    def check_platform() -> None:
        """Check that handlers can run here.

        Raises:
            NotImplementedError: this is Windows.
        """
        if sys.platform == "win32":
            raise NotImplementedError(
                "Consumer does not run on Windows, which cannot wait for the pipes and ends of the "
                "handlers' processes together; run the worker in WSL or a Linux container. Client "
                "and Producer work here, and LocalConsumer for tests"
            )

    def start(self) -> None:
        """Start the processes, so that no job waits for a start."""
        self.pool.start()

    def fetch(self, fetch_jobs: Callable[[], None], is_over: Callable[[], bool]) -> None:
        """Run the loop that fetches jobs in another thread, and wait until it is over.

        Its FETCH may still be in flight: a server that hangs must not delay the shutdown.

        Raises:
            BaseException: the exception that has ended the loop.
        """
        raised: list[BaseException] = []

        def run() -> None:
            try:
                fetch_jobs()
            except BaseException as exc:  # noqa: BLE001  # raised below
                raised.append(exc)

        thread = threading.Thread(target=run, name="faktory-fetch", daemon=True)
        thread.start()
        while thread.is_alive() and not is_over():
            thread.join(TICK_SECONDS)
        if raised:
            raise raised[0]

    def acquire_slot(self) -> bool:
        """Acquire a slot for a job to fetch. Return False if none was free for `TICK_SECONDS`."""
        self._is_fetching = self._slots.acquire(timeout=TICK_SECONDS)
        return self._is_fetching

    def release_slot(self) -> None:
        """Release the acquired slot: no job was fetched."""
        self._is_fetching = False
        self._slots.release()

    def submit(self, job: Payload, since: tuple[float, float]) -> None:
        """Process a fetched job in the acquired slot, which is released afterwards.

        Args:
            job: the payload as fetched.
            since: the time just before FETCH was sent; see `Reservation`.
        """
        self._is_fetching = False
        reservation = Reservation(self._client, job, since, self._shutting_down)
        if self._shutting_down.is_set():  # it came too late, and is only requeued
            self._process(reservation)
        else:
            self._dispatch(reservation)

    def _dispatch(self, reservation: Reservation) -> None:
        """Pass a job to another thread, so that the thread of `run` notices a stop meanwhile.

        An idle thread receives it if there is one. To start a thread takes longer than anything
        else that a consumer does for a short job.
        """
        if self._idle_threads.acquire(blocking=False):
            self._submitted.put(reservation)
            return
        thread = threading.Thread(
            target=self._process_jobs, args=[reservation], name="faktory-job", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as exc:
            self._processor.finish(reservation, _log_shortage("thread", reservation.job, exc))
            self._slots.release()

    def _process_jobs(self, reservation: Reservation | None) -> None:
        """Process one job after another in this thread, until None is submitted."""
        while reservation is not None:
            # Each job starts with empty context variables. A `threading.local` keeps its values.
            Context().run(self._process, reservation)
            reservation = self._submitted.get()

    def _process(self, reservation: Reservation) -> None:
        """Start, perform and finish a job. Then release its slot."""
        try:
            result = self._processor.start(reservation.job)
            if isinstance(result, HandlerCall):
                result = self._perform(result)
            self._processor.finish(reservation, result)
            self._idle_threads.release()  # before the slot, or the next job starts another thread
        finally:
            self._slots.release()

    def _perform(self, call: HandlerCall) -> JobResult:
        """Run a job's handler in a process. Return the job's result."""
        try:
            return self.pool.perform(call)
        except (ProcessEnded, NotStarted) as exc:
            if self.pool.killed:  # by a shutdown: the job has not failed
                return Requeue(0, "the consumer stopped before it ended")
            if isinstance(exc, NotStarted):  # the machine is short of memory: no failure either
                return _log_shortage("process", call.job, exc)
            return job_error(exc)
        except BaseException as exc:  # noqa: BLE001  # a job that cannot be pickled: it alone fails
            return self._processor.log_start_failure(call.job, exc)

    def shut_down(self, grace: float, is_grace_over: Callable[[], bool]) -> None:
        """Wait for the jobs in flight. After the grace period, kill their processes; requeue them.

        A FETCH in flight counts as a job until it is answered.

        Args:
            grace: seconds for the jobs to end.
            is_grace_over: returns whether the grace period has been ended early.
        """
        self.shuts_down = True
        in_flight = self._await_jobs(self._concurrency, 0)
        if in_flight > self._is_fetching:
            jobs = in_flight - self._is_fetching
            log.info("consumer stopping: in_flight=%d grace=%.1fs", jobs, grace)
        in_flight = self._await_jobs(in_flight, grace, is_grace_over)
        killed = self.pool.kill()
        if killed:
            log.warning("jobs not ended within the grace period, will be requeued: jobs=%d", killed)
        in_flight = self._await_jobs(in_flight, _REQUEUE_SECONDS)
        self._shutting_down.set()
        in_flight = self._await_jobs(in_flight, _LAST_REPORT_SECONDS)
        if in_flight > self._is_fetching:
            jobs = in_flight - self._is_fetching
            log.warning("jobs not reported, their reservations will expire: jobs=%d", jobs)
        if self._is_fetching:
            log.warning("FETCH not answered: if it gets a job, its reservation will expire")
        for _ in range(self._concurrency):
            self._submitted.put(None)
        self.pool.close()

    def _await_jobs(
        self, in_flight: int, seconds: float, is_grace_over: Callable[[], bool] = lambda: False
    ) -> int:
        """Acquire the slots of jobs in flight as they end, for some seconds at most.

        Returns:
            The number of jobs that are still in flight.
        """
        deadline = time.monotonic() + seconds
        while in_flight:
            left = 0.0 if is_grace_over() else deadline - time.monotonic()
            if self._slots.acquire(timeout=min(max(left, 0), TICK_SECONDS)):
                in_flight -= 1
            elif left <= 0:
                break
        return in_flight


def _log_shortage(resource: str, job: Payload, exc: Exception) -> Requeue:
    """Log that no process or thread could be started for a job. Return the job's result."""
    log.warning(
        'no %s available, job will be requeued: jobtype=%s jid=%s delay=%.1fs error="%s"',
        resource,
        job["jobtype"],
        job["jid"],
        _NO_PROCESS_DELAY_SECONDS,
        exc,
    )
    return Requeue(_NO_PROCESS_DELAY_SECONDS, f"no {resource} available")
