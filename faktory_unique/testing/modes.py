"""The modes of a test: pushes captured, or run inline."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from faktory_unique._environment import overridden

from .fake import FakeFaktory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faktory_unique.worker.consumer import Consumer

    from .clock import Clock


@contextmanager
def fake(clock: Clock | None = None, *, seed: int | None = None) -> Iterator[FakeFaktory]:
    """Captures pushes: within the block, clients without a URL of their own reach a fake.

    `FAKTORY_URL` names the fake, which listens, and `FAKTORY_UNIQUE_STORE` its store. Both are
    read when a `Client` or a `Unique` is made. Blocks nest, and leave the variables as they were;
    those of other threads do not see each other.

    Args:
        clock: see `FakeFaktory`.
        seed: see `FakeFaktory`.
    """
    with FakeFaktory(clock, seed=seed) as faktory:
        variables = {"FAKTORY_URL": faktory.url, "FAKTORY_UNIQUE_STORE": faktory.store_url}
        with overridden(variables):
            yield faktory


@contextmanager
def inline(
    consumer: Consumer,
    clock: Clock | None = None,
    *,
    seed: int | None = None,
    reraise: bool = False,
) -> Iterator[FakeFaktory]:
    """Runs each job at push, through the consumer's whole chain, in this process; else as `fake`.

    A push returns when its job was worked and acknowledged or failed. As with a real worker, a job
    that fails waits for its retry, and one that is scheduled for its time: both run inline when
    the clock is advanced. Jobs of a stock client run in a thread of the fake.

    Args:
        consumer: its handlers, middleware and queues count, wherever its client leads.
        clock: see `FakeFaktory`.
        seed: see `FakeFaktory`.
        reraise: whether the first exception of a handler is raised at the end of the block.
    """
    with fake(clock, seed=seed) as faktory, faktory.inline(consumer, reraise=reraise):
        yield faktory
