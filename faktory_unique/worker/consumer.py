"""`Consumer`: registers handlers, fetches jobs, and stops by a signal, a call or the server."""

from __future__ import annotations

import atexit
import inspect
import multiprocessing
import pickle
import threading
import time
from typing import TYPE_CHECKING, ClassVar, Self

from faktory_unique._pyfaktory import State, StockConsumer
from faktory_unique._util import log
from faktory_unique.client.client import Client
from faktory_unique.errors import CommandNotSent
from faktory_unique.locks.job_validation import validated_queues
from faktory_unique.middleware import overrides, validated_chain

from .consumer_run import STOP_SECONDS, ConsumerRun
from .fetcher import Fetcher
from .process_pool import ProcessPool
from .processor import JobProcessor
from .signals import on_stop_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.context import BaseContext

    from faktory_unique.middleware import Middleware


class Consumer(StockConsumer):
    """pyfaktory's Consumer with a chain of middleware.

    Handlers run in child processes, one for each job that runs at a time. If a process
    dies, only its job fails. `run` can be called again.

    Args:
        client: a `Client` whose role is "consumer" or "both".
        queues: queues to fetch from.
        priority: "strict" (in the order given), "uniform" or "weighted".
        weights: for "weighted", one for each queue.
        concurrency: jobs run at the same time, each in a process.
        grace_period: seconds that jobs have to end when the consumer is stopped.
        sentry_capture_exception: whether handlers' exceptions are reported to Sentry, from the
            process in which they were raised.
        context: a multiprocessing context; by default the platform's.
        middleware: the chain, the first outermost.

    Raises:
        NotImplementedError: this is Windows.
        TypeError: client or middleware are of another type, or a middleware with a `perform`
            cannot be pickled for the process that runs the handler.
        ValueError: the client's role is "producer"; a middleware is listed twice; two middlewares
            own locks; a queue cannot have this name.
    """

    client: Client
    _run_class: ClassVar[type[ConsumerRun]] = ConsumerRun

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
        self._run_class.check_platform()
        if not isinstance(client, Client):
            raise TypeError(
                f"{client!r} is not faktory_unique's Client; make one with the same arguments, "
                "or use Consumer.wrap"
            )
        if client.role == "producer":
            raise ValueError(f'{client!r} has the role "producer"; make a Client(role="consumer")')
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
        for each in self.middleware:
            if overrides(each, "perform"):
                self._check_picklable(
                    each, f"{each!r}", "its perform runs in the handler's process"
                )
        # Read for each job, as in pyfaktory: it is a public attribute.
        self._processor = JobProcessor(
            self.middleware, self.job_handlers, lambda: self.sentry_capture_exception
        )
        self._current_run: ConsumerRun | None = None
        self._run_ended = threading.Event()
        self._stop_calls = 0
        self._stopped_at = 0.0

    @classmethod
    def wrap(cls, consumer: StockConsumer, middleware: Iterable[Middleware] = ()) -> Self:
        """Return a consumer with middleware, and with the queues and handlers of a stock one.

        It has connections of its own, which are opened now. Close them with
        `consumer.client.disconnect()`.

        Raises:
            CommandNotSent: no connection could be made.
            TypeError: the consumer or a middleware is of another type.
        """
        if not isinstance(consumer, StockConsumer):
            raise TypeError(f"wrap takes a pyfaktory Consumer, not {type(consumer).__name__}")
        client = Client.like(consumer.client, role="consumer")
        wrapper = cls(
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
        wrapper.job_handlers.update(consumer.job_handlers)
        client.connect()
        return wrapper

    def register(self, name: str, fn: Callable[..., object], bind: bool = False) -> None:
        """Register `fn` as the handler of jobtype `name`. With `bind` it gets the jid first.

        Raises:
            TypeError: the handler cannot be called, is a coroutine function, which nothing would
                await, or cannot be pickled for the process that would run it.
        """
        handler: object = fn  # from a caller that need not be type-checked
        if not callable(handler) or inspect.iscoroutinefunction(fn):
            raise TypeError(
                f"the handler of {name!r}, {fn!r}, is not a plain function; wrap a coroutine "
                "function in one that calls asyncio.run"
            )
        self._check_picklable(fn, f"the handler of {name!r}", "use a function of a module")
        super().register(name, fn, bind)

    def run(self) -> None:
        """Fetch and process jobs until SIGTERM, Ctrl-C, `stop`, or the server's terminate.

        Then the FETCH in flight and the jobs have `grace_period` seconds to end. The process of a
        job that takes longer is killed, and the job is requeued: it runs again, and no retry is
        spent. `run` returns at most 5 s after the grace period, whatever Faktory does. A lost
        connection is reopened. A signal stops a run in the main thread only.

        Raises:
            AuthenticationFailed: the password is wrong or missing.
            CommandNotSent: the client is not connected.
        """
        if self.client.state is State.DISCONNECTED:
            raise CommandNotSent(
                "the client is not connected; call connect(), or use it in a with block"
            )
        pool = ProcessPool(self.context, self.concurrency)
        run = self._run_class(self.client, self._processor, pool, self.concurrency)
        self._current_run = run
        self._run_ended.clear()
        atexit.register(self._stop_at_exit)
        with on_stop_signals(self.stop):
            try:
                run.start()
                queues = ",".join(self.queues)
                log.info(
                    "consumer started: queues=%s concurrency=%d faktory=%s",
                    queues,
                    self.concurrency,
                    f"{self.client.host}:{self.client.port}",
                )
                for each in self.middleware:
                    each.on_consumer_start()
                fetcher = Fetcher(self.client, run, self.get_queues, self._is_stopped)
                run.fetch(fetcher.fetch_jobs, fetcher.is_over)
            finally:
                self._shut_down(run)
                atexit.unregister(self._stop_at_exit)
                self._run_ended.set()

    def stop(self) -> None:
        """Make `run` return after the jobs in flight have ended. Call it from any thread.

        A second call ends the grace period, like a second signal. If `run` is called later, it
        returns at once.
        """
        # Plain numbers instead of an Event: a signal handler that interrupts a method of the Event
        # and then sets it waits for a mutex that its own thread holds.
        if not self._stop_calls:
            self._stopped_at = time.monotonic()
        self._stop_calls += 1

    def _stop_at_exit(self) -> None:
        """End a run in a daemon thread at once: the main thread has ended without `stop`."""
        self.stop()
        self.stop()
        self._run_ended.wait(STOP_SECONDS)

    def _is_stopped(self) -> bool:
        return self._stop_calls > 0

    def _check_picklable(self, value: object, name: str, hint: str) -> None:
        """Check now, and not when a job arrives, that a value can be sent to a child process.

        Raises:
            TypeError: the value cannot be pickled. The message begins with name, ends with hint.
        """
        try:
            pickle.dumps(value)
        except Exception as exc:
            raise TypeError(f"{name} cannot be pickled: {exc}; {hint}") from exc

    def _shut_down(self, run: ConsumerRun) -> None:
        elapsed = time.monotonic() - self._stopped_at if self._stop_calls else 0.0
        run.shut_down(max(0.0, self.grace_period - elapsed), lambda: self._stop_calls > 1)
        # Reset here and not at the start of `run`: a `stop` that was called before must count.
        self._stop_calls = 0
