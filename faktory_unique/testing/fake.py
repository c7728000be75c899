"""`FakeFaktory`: a Faktory in memory that behaves like the real one."""

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
from .inline_runner import Here
from .inspection import Looking
from .local_consumer import LocalConsumer
from .lock_view import Locks
from .lock_warnings import Strays
from .server.core import Core
from .server.memory_stream import MemoryStream
from .server.tcp import HOST, Listener

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import timedelta

    from faktory_unique.locks.transition import Transition
    from faktory_unique.middleware import Middleware
    from faktory_unique.worker.consumer import Consumer

    from .perform import JobRun

_numbers = itertools.count(1)


class _Local:
    """What a client of this process finds at the fake's address; see `in_process.LocalServer`."""

    def __init__(self, core: Core, here: Here) -> None:
        self._core = core
        self._here = here

    def connect(self) -> MemoryStream:
        return MemoryStream(self._core, self._here.pushed)

    def now(self) -> float:
        return self._core.clock()


class FakeStore(MemoryStore):
    """Locks that lapse by a fake's clock; `Unique` on it reckons by that clock, too."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.now = clock
        self.asked_for: set[str] = set()  # the keys of all locks that it was ever to change

    def run(self, transitions: Sequence[Transition]) -> list[str | None]:
        """Carries out each change; see `Store.run`."""
        self.asked_for.update(transition.key for transition in transitions)
        return super().run(transitions)


class FakeFaktory(Looking):
    """A Faktory 1.10 in this process's memory, speaking the protocol's text.

    Our `Client` reaches it by its `url` without a socket; for anything else it listens on a free
    loopback port from `listen`, or entering a `with` block, until `close`, or leaving it.
    Safe over threads. docs/testing.md says in what it differs from the server.

    Args:
        clock: its time, and that of the locks in its store; by default one that runs with the wall
            clock and can be advanced.
        password: what clients must know; by default nothing.
        seed: of the random part of the backoff after a failure.

    Attributes:
        clock: its time.
        store: a store for `Unique`, whose locks lapse by the same clock.
        locks: those locks: a live mapping of key to `Lock`.
    """

    def __init__(
        self, clock: Clock | None = None, *, password: str = "", seed: int | None = None
    ) -> None:
        if not isinstance(clock, Clock | None):
            raise TypeError(f"{clock!r} is no Clock; pass Clock({clock!r})")
        self.clock = clock if clock is not None else Clock()
        self.store = FakeStore(self.clock)
        self.locks = Locks(self.store)
        self._core = Core(self.clock, password, seed)
        self._name = f"fake-{next(_numbers)}"
        self._strays = Strays(self.store_url, self.store.asked_for)
        self._here = Here(self._core, self.locks, self._strays, self.client)
        self._local = _Local(self._core, self._here)
        self._address = f"{self._name}.invalid", 7419  # a name that nobody can have
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

    # ---- reaching it ------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Its address: for clients of this process alone, until it listens."""
        host, port = self._address
        password = quote(self._core.password, safe="")
        return f"tcp://{f':{password}@' if password else ''}{host}:{port}"

    @property
    def store_url(self) -> str:
        """The address of its store, for `Unique` in this process."""
        return f"memory://{self._name}"

    def listen(self) -> str:
        """Listens on a free loopback port, if it does not yet; its address."""
        self._here.refuse_closed()
        if self._listener is None:
            self._listener = Listener(self._core, self._here.pushed_from_afar)
            self._address = HOST, self._listener.port
            in_process.register(*self._address, self._local)
        return self.url

    def close(self) -> None:
        """Ends all connections. What it holds can still be looked at."""
        self._here.close()
        for client in self._clients:
            client.disconnect()
        for session in list(self._core.sessions):
            session.close()
        if self._listener is not None:
            self._listener.close()
        in_process.unregister(self._local)
        self._strays.warn()

    def client(self, role: str = "producer", **options: Any) -> Client:  # noqa: ANN401  # Client's
        """A connected client of this process, disconnected by `close`; options are Client's."""
        self._here.refuse_closed()
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
        """A consumer on this fake whose handlers run in this process: any callable will do."""
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
        """Lets time pass: what falls due meanwhile is promoted, expires, is retried, lapses.

        Workers that are connected count as heard of all the while. The server looks for what is
        due every 5 s, and for expired reservations every 15.

        Args:
            seconds: added to the others; or a duration as `Policy` takes it: "1h30m", a timedelta.
            minutes: likewise added.
            hours: likewise.
            days: likewise.
        """
        self._core.advance(parse_duration(seconds) + 60 * (minutes + 60 * (hours + 24 * days)))
        self._here.advanced()

    # ---- working ----------------------------------------------------------------------------

    def perform_one(self, consumer: Consumer, *, reraise: bool = False) -> JobRun:
        """Has the oldest job worked by a consumer's chain and handlers, here and now.

        Args:
            consumer: its handlers, middleware and queues count, wherever its client leads.
            reraise: whether what the handler raised is raised here, once Faktory has its FAIL.

        Raises:
            LookupError: nothing waits in the consumer's queues.
        """
        return self._here.perform_one(consumer, reraise=reraise)

    def drain(self, consumer: Consumer, *, reraise: bool = False) -> list[JobRun]:
        """Has jobs worked until the consumer's queues are empty; see `perform_one`.

        Raises:
            RuntimeError: ten thousand jobs were worked, and there are more.
        """
        return self._here.drain(consumer, reraise=reraise)

    @contextmanager
    def inline(self, consumer: Consumer, *, reraise: bool = False) -> Iterator[Self]:
        """Within the block each job runs as it is pushed, or falls due; see `testing.inline`."""
        with self._here.inline(consumer, reraise=reraise):
            yield self

    def clear(self) -> None:
        """Forgets all: jobs, queues, reservations, counts, and the locks of its store."""
        with self._core.lock:
            self._core.manager.reset()
        self.store.clear()
