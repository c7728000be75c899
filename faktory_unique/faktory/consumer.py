"""pyfaktory's Consumer with middleware, whose reports can be trusted and which stops when told."""

from __future__ import annotations

import inspect
import logging
import multiprocessing
import threading
import time
from typing import TYPE_CHECKING, Self

from pebble import ProcessPool

from faktory_unique._pyfaktory import State, StockConsumer
from faktory_unique.chain import checked, overrides
from faktory_unique.errors import FaktoryError, LoginRefused, NotSent
from faktory_unique.validate import is_queue_name

from .client import Client
from .handling import End, Handling, Perform
from .perform import job_error, perform
from .process import called_on_signals, refuse_unpicklable
from .reservation import Reservation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from multiprocessing.context import BaseContext

    from faktory_unique.chain import JobError, Middleware

    from .handling import Settlement

log = logging.getLogger("faktory_unique")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

# How soon the run loop notices that it was told to stop or be quiet, or that a slot is free.
_TICK = 0.1


class Consumer(StockConsumer):
    """pyfaktory's Consumer whose jobs go through a chain of middleware.

    Args:
        client: a `Client` whose role is "consumer" or "both".
        queues: queues to fetch from.
        priority: "strict" (in the order given), "uniform" or "weighted".
        weights: for "weighted", one for each queue.
        concurrency: jobs run at the same time, each in a process.
        grace_period: seconds that jobs have to end when the consumer is told to stop.
        sentry_capture_exception: whether a handler's exception is reported to Sentry, from the
            process that it ran in.
        context: a multiprocessing context; by default the platform's.
        middleware: the chain, the first outermost.

    Raises:
        TypeError: client or middleware are of another kind, or a middleware with a `perform`
            cannot be pickled to the process that runs the handler.
    """

    client: Client

    def __init__(
        self,
        client: Client,
        queues: Iterable[str] = ("default",),
        priority: str = "uniform",
        weights: list[float] | None = None,
        concurrency: int = 4,
        grace_period: float = 25,
        sentry_capture_exception: bool = False,
        context: BaseContext | None = None,
        *,
        middleware: Iterable[Middleware] = (),
    ) -> None:
        if not isinstance(client, Client):
            raise TypeError(
                f"{client!r} is not faktory_unique's Client; make one with the same arguments, "
                "or use Consumer.wrap"
            )
        super().__init__(
            client,
            _checked_queues(queues),
            priority,
            weights,
            concurrency,
            sentry_capture_exception=sentry_capture_exception,
            context=context or multiprocessing,  # type: ignore[arg-type]  # as in pyfaktory
        )
        self.grace_period = grace_period  # type: ignore[assignment]  # fractions are welcome
        self.middleware = checked(middleware)
        self.performing = tuple(m for m in self.middleware if overrides(m, "perform"))
        for each in self.performing:
            self._check_sent(each, f"{each!r}", "its perform runs in the pool's process")
        self.handling = Handling(self.middleware, self.job_handlers)
        self._slots = threading.Semaphore(self.concurrency)
        self._stopping = threading.Event()
        self._giving_up = threading.Event()

    @classmethod
    def wrap(cls, consumer: StockConsumer, middleware: Iterable[Middleware] = ()) -> Self:
        """A consumer with middleware that does the work of a stock one: its queues and handlers.

        It has connections of its own, opened now; end them with `consumer.client.disconnect()`.

        Raises:
            NotSent: no connection could be made.
        """
        if not isinstance(consumer, StockConsumer):
            raise TypeError(f"wrap takes a pyfaktory Consumer, not {type(consumer).__name__}")
        client = Client.like(consumer.client, role="consumer")
        wrapping = cls(
            client,
            consumer.queues,
            middleware=middleware,
            priority=consumer.priority,
            weights=getattr(consumer, "weights", None),
            concurrency=consumer.concurrency,
            grace_period=consumer.grace_period,
            sentry_capture_exception=consumer.sentry_capture_exception,
            context=consumer.context,
        )
        wrapping.job_handlers.update(consumer.job_handlers)
        client.connect()
        return wrapping

    def register(self, name: str, fn: Callable[..., object], bind: bool = False) -> None:
        """Registers the handler of a jobtype; with `bind` the jid comes before its args.

        Raises:
            TypeError: the handler cannot be called, is a coroutine function, which nobody would
                await, or cannot be sent to the process that would run it.
        """
        given: object = fn  # by a caller that need not be type-checked
        if not callable(given) or inspect.iscoroutinefunction(fn):
            raise TypeError(
                f"the handler of {name!r}, {fn!r}, is no plain function; wrap a coroutine "
                "function in one that calls asyncio.run"
            )
        self._check_sent(fn, f"the handler of {name!r}", "use a function of a module")
        super().register(name, fn, bind)

    def run(self) -> None:
        """Fetches and works jobs until SIGTERM, Ctrl-C, `stop`, or the server's terminate.

        Then the FETCH in flight is awaited, and jobs have `grace_period` seconds to end. A job that
        takes longer is ended with its process and not reported: its reservation expires, and the
        server runs it again. A lost connection is reopened. Signals are heard in the main thread
        only.

        Raises:
            LoginRefused: the server does not let this client in.
            NotSent: the client is not connected.
        """
        if self.client.state is State.DISCONNECTED:
            raise NotSent("the client is not connected; call connect(), or use it in a with block")
        self._slots = threading.Semaphore(self.concurrency)
        with called_on_signals(self.stop):
            try:
                self._start_pool()
                self._work()
            finally:
                self._finish()

    def stop(self) -> None:
        """Tells `run` to return once the jobs in flight have ended; from any thread.

        A second call gives up on those jobs, like a second signal. Where nothing runs yet, the
        next `run` returns at once.
        """
        if self._stopping.is_set():
            self._giving_up.set()
        self._stopping.set()

    def _check_sent(self, sent: object, name: str, hint: str) -> None:
        """Refuses what the process that runs the handler cannot be sent."""
        refuse_unpicklable(sent, name, hint)

    def _start_pool(self) -> None:
        """Makes a new pool where the old one has ended, or broke by a process that died idle."""
        if not self.pool.active:
            self.pool = ProcessPool(max_workers=self.concurrency, context=self.context)

    def _work(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set() and self.client.state is not State.TERMINATING:
            if self.client.state is State.QUIET:
                self._stopping.wait(_TICK)
                continue
            if not self._slots.acquire(timeout=_TICK):
                continue
            since = time.monotonic(), self.client.now()
            try:
                job = self.client._fetch(self.get_queues())  # noqa: SLF001  # the superclass's name
            except LoginRefused:
                self._slots.release()
                raise
            except FaktoryError as exc:
                self._slots.release()
                log.warning("FETCH failed, again in %.1f s: %s", pause, exc)
                self._stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            if job is None:
                self._slots.release()
            else:
                self._begin(Reservation(self.client, job, since, self._giving_up))

    def _begin(self, reservation: Reservation) -> None:
        """Runs a fetched job, or does with it what the middleware decides."""
        step = self.handling.begin(reservation.job)
        if isinstance(step, Perform):
            try:
                self._schedule(reservation, step)
            except BaseException as exc:  # noqa: BLE001  # the pool's; it costs that job alone
                step = self.handling.not_begun(reservation.job, exc)
            else:
                return
        # In a thread: a report may be repeated for long, and the run loop must see a stop.
        threading.Thread(
            target=self._settle, args=[reservation, step], name="faktory-report", daemon=True
        ).start()

    def _schedule(self, reservation: Reservation, step: Perform) -> None:
        self._start_pool()
        future = self.pool.schedule(
            perform,
            args=[self.performing, step.handler, reservation.job],
            kwargs={"bind": step.bind, "tell_sentry": self.sentry_capture_exception},
        )
        future.add_done_callback(lambda done: self._ended(reservation, done))

    def _ended(self, reservation: Reservation, future: Future[JobError | None]) -> None:
        """Called by the pool when a handler has returned or its process is gone."""
        try:
            error = future.result()
        except BaseException as exc:  # noqa: BLE001  # the process died, or args did not pickle
            if self._giving_up.is_set():  # this shutdown ended it: the reservation expires instead
                self._slots.release()
                return
            error = job_error(exc)
        self._settle(reservation, End(error))

    def _settle(self, reservation: Reservation, settlement: Settlement) -> None:
        """Reports a job, and its slot is free."""
        self.handling.settle(reservation, settlement)
        self._slots.release()

    def _finish(self) -> None:
        """Gives the jobs in flight their grace, then ends their processes."""
        deadline = time.monotonic() + self.grace_period
        in_flight = self.concurrency
        while in_flight and time.monotonic() < deadline and not self._giving_up.is_set():
            in_flight -= self._slots.acquire(timeout=_TICK)
        if in_flight:
            log.warning("%d jobs have not ended in time; the server runs them again", in_flight)
        self._giving_up.set()
        self.pool.stop()
        self.pool.join()
        # Here and not when run begins: a stop that comes before it must not be lost.
        self._stopping.clear()
        self._giving_up.clear()


def _checked_queues(queues: Iterable[str]) -> list[str]:
    if isinstance(queues, str):
        raise TypeError(f"queues is a list of names: pass [{queues!r}]")
    names = list(queues)
    wrong = [name for name in names if not is_queue_name(name)]
    if wrong or not names:
        raise ValueError(
            f"queues: {wrong or 'none'}; name at least one, of letters, digits and ._-"
        )
    return names
