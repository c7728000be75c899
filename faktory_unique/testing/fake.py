"""`FakeFaktory`: a Faktory in memory, with its clock, lock store, address and clients."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from faktory_unique._durations import parse_duration
from faktory_unique.client import in_process
from faktory_unique.client.client import Client
from faktory_unique.stores.memory import MemoryStore, register_store

from .clock import Clock
from .inline_runner import InlineRunner
from .inspection import Inspection
from .local_consumer import LocalConsumer
from .lock_view import Locks
from .lock_warnings import ForeignLockDetector
from .server.core import Core
from .server.memory_stream import MemoryStream
from .server.tcp import HOST, Listener

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import timedelta

    from faktory_unique.locks.transition import Transition
    from faktory_unique.middleware import Middleware
    from faktory_unique.worker.consumer import Consumer

    from .job_run import JobRun

_numbers = itertools.count(1)


class _LocalServer:
    """The fake, as `client.in_process` registers it for clients of this process."""

    def __init__(self, core: Core, runner: InlineRunner) -> None:
        self._core = core
        self._runner = runner

    def connect(self) -> MemoryStream:
        return MemoryStream(self._core, self._runner.on_pushed)

    def now(self) -> float:
        return self._core.clock()


class FakeStore(MemoryStore):
    """A store in memory whose locks lapse by a fake's clock. Its `Unique` uses that clock, too.

    Attributes:
        requested_keys: the keys of all transitions that the store was ever asked to apply.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.now = clock
        self.requested_keys: set[str] = set()

    def run(self, transitions: Sequence[Transition]) -> list[str | None]:
        """Apply each transition; see `Store.run`."""
        self.requested_keys.update(transition.key for transition in transitions)
        return super().run(transitions)


class FakeFaktory(Inspection):
    """A Faktory 1.10 in the memory of this process. It receives and sends the protocol's text.

    Our `Client` reaches it by its `url` without a socket. For other clients it listens on a free
    loopback port, from `listen` to `close`, or during a `with` block. It is thread-safe.
    docs/testing.md lists its differences from the server.

    Args:
        clock: the clock of the fake and its locks; by default one that runs with the wall clock
            and can be advanced.
        password: the password that clients need; empty: none.
        seed: the seed of the random part of the backoff after a failure; None: a random seed.

    Attributes:
        clock: the clock.
        store: a store for `Unique`, with locks that lapse by the same clock.
        locks: a live mapping of key to `Lock`: the locks in `store`.

    Raises:
        TypeError: the clock is not a `Clock`.
    """

    def __init__(
        self, clock: Clock | None = None, *, password: str = "", seed: int | None = None
    ) -> None:
        if not isinstance(clock, Clock | None):
            raise TypeError(f"{clock!r} is not a Clock; pass Clock({clock!r})")
        self.clock = clock if clock is not None else Clock()
        self.store = FakeStore(self.clock)
        self.locks = Locks(self.store)
        super().__init__(Core(self.clock, password, seed))
        self._name = f"fake-{next(_numbers)}"
        self._foreign_locks = ForeignLockDetector(self.store_url, self.store.requested_keys)
        self._runner = InlineRunner(self._core, self.locks, self._foreign_locks, self.client)
        self._local = _LocalServer(self._core, self._runner)
        self._address = f"{self._name}.invalid", 7419  # no host can have this name
        self._listener: Listener | None = None
        self._clients: list[Client] = []
        register_store(self._name, self.store)
        in_process.register(*self._address, self._local)

    def __repr__(self) -> str:
        host, port = self._address
        return f"<FakeFaktory {host}:{port} {self.clock!r}>"

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # ---- connecting -------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The URL of the fake. Until it listens, only clients of this process reach it."""
        host, port = self._address
        password = quote(self._core.password, safe="")
        return f"tcp://{f':{password}@' if password else ''}{host}:{port}"

    @property
    def store_url(self) -> str:
        """The URL of its store, for `Unique` in this process."""
        return f"memory://{self._name}"

    def listen(self) -> str:
        """Listen on a free loopback port, unless the fake already listens. Return its URL.

        Raises:
            RuntimeError: the fake is closed.
        """
        self._runner.require_open()
        if self._listener is None:
            self._listener = Listener(self._core, self._runner.on_pushed_remotely)
            self._address = HOST, self._listener.port
            in_process.register(*self._address, self._local)
        return self.url

    def close(self) -> None:
        """End all connections, and refuse new ones. The jobs and locks can still be inspected."""
        self._runner.close()
        for client in self._clients:
            client.disconnect()
        for connection in list(self._core.connections):
            connection.close()
        if self._listener is not None:
            self._listener.close()
        in_process.unregister(self._local)
        self._foreign_locks.warn()

    def client(self, role: str = "producer", **options: Any) -> Client:  # noqa: ANN401  # Client's
        """Return a connected client of this process; `close` disconnects it.

        Args:
            role: "producer", "consumer" or "both".
            options: other arguments of `Client`.

        Raises:
            RuntimeError: the fake is closed.
        """
        self._runner.require_open()
        client = Client(self.url, role, **options)
        client.connect()
        self._clients.append(client)
        return client

    def consumer(
        self,
        queues: Iterable[str] = ("default",),
        *,
        middleware: Iterable[Middleware] = (),
        **options: Any,  # noqa: ANN401  # Consumer's
    ) -> LocalConsumer:
        """Return a consumer on this fake; its handlers, any callables, run in this process."""
        return LocalConsumer(self.client("consumer"), queues, middleware=middleware, **options)

    # ---- time -------------------------------------------------------------------------------

    def advance(
        self,
        seconds: float | str | timedelta = 0,
        *,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
    ) -> None:
        """Advance the clock by the sum of all arguments, and do everything that becomes due.

        Scheduled jobs and retries are enqueued, reservations expire, locks lapse. The fake looks
        for due jobs every 5 s and for expired reservations every 15 s, as the server does.
        Connected workers count as alive.

        Args:
            seconds: seconds, or a duration as `Policy` takes it: "1h30m", a timedelta.
            minutes: minutes.
            hours: hours.
            days: days.

        Raises:
            ValueError: the sum is negative, or `seconds` is not a duration.
        """
        self._core.advance(parse_duration(seconds) + 60 * (minutes + 60 * (hours + 24 * days)))
        self._runner.on_advanced()

    # ---- running jobs -----------------------------------------------------------------------

    def perform_one(self, consumer: Consumer, *, reraise: bool = False) -> JobRun:
        """Run the oldest job with a consumer's middleware and handler, in this thread.

        Args:
            consumer: its handlers, middleware and queues are used; its client is not.
            reraise: whether to raise the handler's exception after the FAIL was sent.

        Raises:
            LookupError: the consumer's queues are empty.
            TypeError: the consumer is not a `Consumer` of this library.
            RuntimeError: the fake is closed; or, with `reraise`, a job failed without an exception,
                such as one without a handler.
        """
        return self._runner.perform_one(consumer, reraise=reraise)

    def drain(self, consumer: Consumer, *, reraise: bool = False) -> list[JobRun]:
        """Run jobs until the consumer's queues are empty; see `perform_one`.

        Raises:
            RuntimeError: ten thousand jobs were run, and more are waiting.
        """
        return self._runner.drain(consumer, reraise=reraise)

    @contextmanager
    def inline(self, consumer: Consumer, *, reraise: bool = False) -> Iterator[Self]:
        """Run each job when it is pushed or becomes due, during the block; see `testing.inline`."""
        with self._runner.inline(consumer, reraise=reraise):
            yield self

    def clear(self) -> None:
        """Delete all jobs, queues, reservations, counts, and the locks of the store."""
        with self._core.mutex:
            self._core.manager.reset()
        self.store.clear()
