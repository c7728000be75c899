"""Helpers for tests on any server: `wait_until_drained`, `sizes`, `clear`, `running_consumer`."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from faktory_unique._pyfaktory import Cmd, MutateOperation, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from faktory_unique._pyfaktory import StockClient
    from faktory_unique.worker.consumer import Consumer

T = TypeVar("T")

_POLL_INTERVAL = 0.02  # seconds


def wait_for(condition: Callable[[], T], timeout: float = 10) -> T:
    """Wait until a condition is true.

    Args:
        condition: a callable without arguments, called every 20 ms.
        timeout: seconds.

    Returns:
        The first true value that the condition returned.

    Raises:
        TimeoutError: the condition did not become true. The message has its last value.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() >= deadline:
            name = getattr(condition, "__name__", repr(condition))
            raise TimeoutError(f"waited {timeout:g} s for {name}, which last returned {value!r}")
        time.sleep(_POLL_INTERVAL)
    return value


@dataclass(frozen=True, slots=True)
class QueueSizes:
    """The numbers of jobs on a server, from INFO.

    Attributes:
        queues: jobs that wait, by queue.
        working: jobs that workers have reserved.
        retries: failed jobs that wait for their retry.
        scheduled: jobs that are not due yet.
        dead: jobs without retries left.
    """

    queues: Mapping[str, int]
    working: int
    retries: int
    scheduled: int
    dead: int

    def __str__(self) -> str:
        waiting = [f"{name} {size}" for name, size in self.queues.items() if size]
        sets = [f"{name} {getattr(self, name)}" for name in ("working", *_SETS)]
        return ", ".join([*waiting, *sets])


TimedSet: TypeAlias = Literal["retries", "scheduled", "dead"]
_SETS: tuple[TimedSet, ...] = ("retries", "scheduled", "dead")


def sizes(client: StockClient) -> QueueSizes:
    """Return the numbers of jobs on the server.

    Args:
        client: a connected client, ours or pyfaktory's.
    """
    info = client.info()["faktory"]
    if "sets" in info:
        in_sets = info["sets"]
    else:  # before Faktory 1.9
        names = {"working": "Busy", "retries": "Retries", "scheduled": "Scheduled", "dead": "Dead"}
        in_sets = {name: info["tasks"][task]["size"] for name, task in names.items()}
    return QueueSizes(
        queues=dict(info["queues"]),
        working=in_sets["working"],
        retries=in_sets["retries"],
        scheduled=in_sets["scheduled"],
        dead=in_sets["dead"],
    )


def clear(client: StockClient, *sets: TimedSet) -> None:
    """Delete all jobs of the given sets: retries, scheduled, dead. Without sets, clear all three.

    The locks of these jobs stay until their TTL ends: the server does not report deleted jobs.

    Raises:
        ValueError: there is no such set.
    """
    unknown = set(sets).difference(_SETS)
    if unknown:
        raise ValueError(f"{sorted(unknown)}: no such set; there are {', '.join(_SETS)}")
    for name in sets or _SETS:
        client.mutate(MutateOperation(cmd=Cmd.clear, target=Target(name)))


def wait_until_drained(client: StockClient, queues: Sequence[str], timeout: float = 30) -> None:
    """Wait until the queues are empty and no job is running.

    Jobs that wait for their retry, and scheduled jobs, are ignored.

    Args:
        client: a connected client, ours or pyfaktory's.
        queues: names of the queues.
        timeout: seconds.

    Raises:
        TimeoutError: jobs are left. The message has their numbers.
        TypeError: `queues` is a str.
    """
    if isinstance(queues, str):
        raise TypeError(f"queues is a list of names: pass [{queues!r}]")
    deadline = time.monotonic() + timeout
    idle_in_a_row = 0
    while True:
        counts = sizes(client)
        busy = counts.working or any(counts.queues.get(name) for name in queues)
        # Idle twice: for a moment, a job that has left its queue does not count as reserved yet.
        idle_in_a_row = 0 if busy else idle_in_a_row + 1
        if idle_in_a_row > 1:
            return
        if time.monotonic() >= deadline:
            names = ", ".join(queues)
            raise TimeoutError(
                f"waited {timeout:g} s until {names} are drained; there are: {counts}"
            )
        time.sleep(_POLL_INTERVAL)


@contextmanager
def running_consumer(consumer: Consumer, timeout: float = 30) -> Iterator[Consumer]:
    """Run a consumer in a thread during the block, then stop it.

    Raises:
        TimeoutError: the consumer has not stopped within `timeout` seconds.
        BaseException: the exception that the consumer's `run` has raised.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            consumer.run()
        except BaseException as exc:  # noqa: BLE001  # raised below, in the test's thread
            raised.append(exc)

    thread = threading.Thread(target=run, name="test-consumer", daemon=True)
    thread.start()
    try:
        yield consumer
    finally:
        consumer.stop()
        thread.join(timeout)
    if raised:
        raise raised[0]
    if thread.is_alive():
        raise TimeoutError(f"the consumer has not stopped within {timeout:g} s")
