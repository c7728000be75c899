"""`fake` and `inline`: capture the pushes of a block of code, or run each job at its push."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from faktory_unique._environment import override
from faktory_unique.client.in_process import ONLY_SERVER

from .fake import FakeFaktory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faktory_unique.worker.consumer import Consumer

    from .clock import Clock


@contextmanager
def fake(
    clock: Clock | None = None, *, seed: int | None = None, allow_real: bool = False
) -> Iterator[FakeFaktory]:
    """Capture pushes: within the block, clients without a URL of their own reach a fake.

    A `Client` with the URL of another server raises RuntimeError when it connects: a test must not
    push to a real server by mistake. pyfaktory's own Client is not checked.

    `FAKTORY_URL` names the fake, which listens, and `FAKTORY_UNIQUE_STORE` names its store. A
    `Client` and a `Unique` read them when they are made. Blocks may be nested. Each
    restores the variables at its end. Blocks in other threads are independent.

    Args:
        clock: see `FakeFaktory`.
        seed: see `FakeFaktory`.
        allow_real: whether clients may connect to other servers.
    """
    with FakeFaktory(clock, seed=seed) as faktory:
        variables = {
            "FAKTORY_URL": faktory.url,
            "FAKTORY_UNIQUE_STORE": faktory.store_url,
            ONLY_SERVER: "" if allow_real else faktory.url.rpartition("/")[2],
        }
        with override(variables):
            yield faktory


@contextmanager
def inline(
    consumer: Consumer,
    clock: Clock | None = None,
    *,
    seed: int | None = None,
    allow_real: bool = False,
    reraise: bool = False,
) -> Iterator[FakeFaktory]:
    """Run each job at its push, through the consumer's whole chain, in this process.

    Everything else is as in `fake`. A push returns when its job was acknowledged or has failed. As
    with a real worker, a failed job waits for its retry, and a scheduled job for its time: both run
    when the clock is advanced. Jobs of a stock client run in a thread of the fake.

    Args:
        consumer: its handlers, middleware and queues are used; its client is not.
        clock: see `FakeFaktory`.
        seed: see `FakeFaktory`.
        allow_real: see `fake`.
        reraise: whether to raise the first exception of a handler at the end of the block.
    """
    with (
        fake(clock, seed=seed, allow_real=allow_real) as faktory,
        faktory.inline(consumer, reraise=reraise),
    ):
        yield faktory
