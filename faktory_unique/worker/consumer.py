"""pyfaktory's Consumer with middleware, whose reports can be trusted and which stops when told."""

from __future__ import annotations

import atexit
import inspect
import logging
import multiprocessing
import threading
import time
from typing import TYPE_CHECKING, Self

from faktory_unique._pyfaktory import State, StockConsumer
from faktory_unique.client.client import FETCH_TIMEOUT, Client
from faktory_unique.errors import AuthenticationFailed, CommandNotSent, CommandRefused, FaktoryError
from faktory_unique.locks.job_validation import validated_queues
from faktory_unique.middleware import overrides, validated_chain

from .consumer_run import REQUEUE_SECONDS, TICK, ConsumerRun
from .processor import JobProcessor
from .signals import called_on_signals, refuse_unpicklable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.context import BaseContext

    from faktory_unique.middleware import Middleware

log = logging.getLogger("faktory_unique")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

# Told by the server to end, or disconnected by whoever made the client.
_OVER = {State.TERMINATING, State.DISCONNECTED}


class Consumer(StockConsumer):
    """pyfaktory's Consumer whose jobs go through a chain of middleware.

    Handlers run in processes, one for each job that runs at a time; whatever ends one costs that
    job alone. `run` can be called again.

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
        ValueError: the client's role is "producer"; middleware stands twice; a queue has no name
            that one can have.
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
        if client.role == "producer":
            raise ValueError(f'{client!r} is a producer\'s; make a Client(role="consumer")')
        super().__init__(
            client,
            validated_queues(queues),
            priority,
            weights,
            concurrency,
            sentry_capture_exception=sentry_capture_exception,
            context=context or multiprocessing,  # type: ignore[arg-type]  # as in pyfaktory
        )
        self.grace_period = grace_period  # type: ignore[assignment]  # fractions are welcome
        self.middleware = validated_chain(middleware)
        self.performing = tuple(m for m in self.middleware if overrides(m, "perform"))
        for each in self.performing:
            self._check_sent(each, f"{each!r}", "its perform runs in the handler's process")
        self.handling = JobProcessor(self.middleware, self.job_handlers)
        self._ended = threading.Event()
        self._stops = 0
        self._stopped_at = 0.0
        self._shift: ConsumerRun | None = None

    @classmethod
    def wrap(cls, consumer: StockConsumer, middleware: Iterable[Middleware] = ()) -> Self:
        """A consumer with middleware that does the work of a stock one: its queues and handlers.

        It has connections of its own, opened now; end them with `consumer.client.disconnect()`.

        Raises:
            CommandNotSent: no connection could be made.
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

        Then the FETCH in flight is awaited, and jobs have `grace_period` seconds to end. One that
        takes longer is put back, once its process is ended: it runs again, and no retry is spent.
        A lost connection is reopened. Signals are heard in the main thread only.

        Raises:
            AuthenticationFailed: the server does not let this client in.
            CommandNotSent: the client is not connected.
        """
        if self.client.state is State.DISCONNECTED:
            raise CommandNotSent(
                "the client is not connected; call connect(), or use it in a with block"
            )
        shift = self._shift = self._new_shift()
        self._ended.clear()
        atexit.register(self._end_with_the_process)
        with called_on_signals(self.stop):
            try:
                shift.start()
                log.info(
                    "consumer fetches from %s, %d jobs at a time",
                    ", ".join(self.queues),
                    self.concurrency,
                )
                self._fetch_on(shift)
            finally:
                self._finish(shift)
                atexit.unregister(self._end_with_the_process)
                self._ended.set()

    def stop(self) -> None:
        """Tells `run` to return once the jobs in flight have ended; from any thread.

        A second call ends their grace period, like a second signal. Where nothing runs yet, the
        next `run` returns at once.
        """
        # Plain numbers, and no Event: a signal that lands within an Event's own lock, and sets it,
        # waits for itself.
        if not self._stops:
            self._stopped_at = time.monotonic()
        self._stops += 1

    def _end_with_the_process(self) -> None:
        """Of a consumer in a daemon thread, when the main thread has ended without a stop."""
        self.stop()
        self.stop()
        self._ended.wait(REQUEUE_SECONDS + FETCH_TIMEOUT)

    def _check_sent(self, sent: object, name: str, hint: str) -> None:
        """Refuses what the process that runs the handler cannot be sent."""
        refuse_unpicklable(sent, name, hint)

    def _new_shift(self) -> ConsumerRun:
        return ConsumerRun(self)

    def _fetch_on(self, shift: ConsumerRun) -> None:
        pause = _FIRST_PAUSE
        while not self._stops and self.client.state not in _OVER:
            if self.client.state is State.QUIET:
                time.sleep(TICK)
                continue
            if not shift.acquire_slot():
                continue
            since = time.monotonic(), self.client.now()
            try:
                job = self.client._fetch(self.get_queues())  # noqa: SLF001  # the superclass's name
            except AuthenticationFailed:
                shift.release_slot()
                raise
            except FaktoryError as exc:
                shift.release_slot()
                said = "Faktory said: " if isinstance(exc, CommandRefused) else ""
                log.warning("FETCH failed, again in %.1f s: %s%s", pause, said, exc)
                self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            if job is None:
                shift.release_slot()
            else:
                shift.begin(job, since)

    def _sleep(self, seconds: float) -> None:
        """Waits, but not once told to stop."""
        deadline = time.monotonic() + seconds
        while not self._stops and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, TICK))

    def _finish(self, shift: ConsumerRun) -> None:
        # From the stop on, and not from the end of the FETCH that was in flight then.
        since = time.monotonic() - self._stopped_at if self._stops else 0.0
        shift.end(max(0.0, self.grace_period - since), lambda: self._stops > 1)
        # Here and not when run begins: a stop that comes before it must not be lost.
        self._stops = 0
