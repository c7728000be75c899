"""Tests on a server with workers of its own: waiting for what they do, within bounds."""

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

_LOOK = 0.02


def wait_for(condition: Callable[[], T], timeout: float = 10) -> T:
    """Waits until a condition is true; what it answered then.

    Args:
        condition: asked every 20 ms.
        timeout: seconds.

    Raises:
        TimeoutError: it did not become true; the message has what it answered last.
    """
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() >= deadline:
            name = getattr(condition, "__name__", repr(condition))
            raise TimeoutError(f"waited {timeout:g} s for {name}, which last answered {answer!r}")
        time.sleep(_LOOK)
    return answer


@dataclass(frozen=True, slots=True)
class QueueSizes:
    """How many jobs a server has, and where, as INFO tells.

    Attributes:
        queues: waiting, by queue.
        working: reserved by workers.
        retries: failed, waiting for their retry.
        scheduled: not due yet.
        dead: out of retries.
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
    """How many jobs the server has, and where.

    Args:
        client: connected; ours or pyfaktory's.
    """
    told = client.info()["faktory"]
    if "sets" in told:
        in_sets = told["sets"]
    else:  # before Faktory 1.9
        names = {"working": "Busy", "retries": "Retries", "scheduled": "Scheduled", "dead": "Dead"}
        in_sets = {name: told["tasks"][task]["size"] for name, task in names.items()}
    return QueueSizes(
        queues=dict(told["queues"]),
        working=in_sets["working"],
        retries=in_sets["retries"],
        scheduled=in_sets["scheduled"],
        dead=in_sets["dead"],
    )


def clear(client: StockClient, *sets: TimedSet) -> None:
    """Forgets all jobs of retries, scheduled, dead; of all three where none is named.

    Locks of such jobs stay until their TTL: the server tells nobody whom it has forgotten.
    """
    unknown = set(sets).difference(_SETS)
    if unknown:
        raise ValueError(f"{sorted(unknown)}: no such set; there are {', '.join(_SETS)}")
    for name in sets or _SETS:
        client.mutate(MutateOperation(cmd=Cmd.clear, target=Target(name)))


def wait_until_drained(client: StockClient, queues: Sequence[str], timeout: float = 30) -> None:
    """Waits until nothing waits in the queues and nobody works on a job.

    Failed jobs that wait for their retry, and scheduled ones, are not waited for.

    Args:
        client: connected; ours or pyfaktory's.
        queues: their names.
        timeout: seconds.

    Raises:
        TimeoutError: there is something yet; the message says what.
    """
    if isinstance(queues, str):
        raise TypeError(f"queues is a list of names: pass [{queues!r}]")
    deadline = time.monotonic() + timeout
    in_a_row = 0
    while True:
        now = sizes(client)
        busy = now.working or any(now.queues.get(name) for name in queues)
        # Twice: a job that has left its queue is for a moment not yet counted as reserved.
        in_a_row = 0 if busy else in_a_row + 1
        if in_a_row > 1:
            return
        if time.monotonic() >= deadline:
            names = ", ".join(queues)
            raise TimeoutError(f"waited {timeout:g} s until {names} are drained; there are: {now}")
        time.sleep(_LOOK)


@contextmanager
def running_consumer(consumer: Consumer, timeout: float = 30) -> Iterator[Consumer]:
    """Runs a consumer in a thread for the length of the block, then stops it.

    Raises:
        TimeoutError: it has not stopped within `timeout` seconds.
        BaseException: what `run` has raised.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            consumer.run()
        except BaseException as exc:  # noqa: BLE001  # raised below, in the test's own thread
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
