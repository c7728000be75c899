"""What is measured against peers: a lock taken and released, and unique jobs pushed in bulk."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from benchmarks.ground import BATCH, JOB, LEASE, OWNER
from benchmarks.measure import Row
from faktory_unique import Client, Job, Policy, Producer, Unique
from faktory_unique.locks.lifecycle import acquire_transition, release_transition

from .process import PROGRAMS, Peer, missing

if TYPE_CHECKING:
    from collections.abc import Generator

    from benchmarks.ground import Ground
    from scripts.servers import FaktoryServer

ONE_BY_ONE = 1000
IN_BULK = 3 * BATCH


def left_out() -> list[str]:
    """A line for each peer that cannot be measured here."""
    reasons = ((program.name, missing(program)) for program in PROGRAMS)
    return [f"vs {name}: left out, {reason}" for name, reason in reasons if reason]


def peer_rows(ground: Ground, faktory: FaktoryServer | None) -> Generator[Row, None, None]:
    """A row for each peer that is installed, which runs until the next row is asked for.

    Without a Faktory there are none of pushes. Close the generator: that ends the peer.
    """
    for program in PROGRAMS:
        if missing(program):
            continue
        ground.free(0)  # of what a peer before it left
        if program.operation == "take_release":
            with Peer(program, ground.url) as peer:
                yield _take_and_release(ground, peer)
        elif faktory is not None:
            with (
                Peer(program, ground.url) as peer,
                Unique(ground.url, default=Policy()) as unique,
                Client(faktory.url) as client,
            ):
                yield _bulk(ground, faktory, peer, Producer(client, [unique]))


def _take_and_release(ground: Ground, peer: Peer) -> Row:
    store = ground.store

    def ours(count: int) -> None:
        for key in ground.keys(count):
            store.run([acquire_transition(key, OWNER, LEASE)])
            store.run([release_transition(key, OWNER)])

    def after(count: int) -> None:  # not is_free: what peers leave besides locks is their own
        if left := ground.admin.exists(*ground.keys(count)):
            raise RuntimeError(f"{left} locks are in Redis after a round")

    name = f"take + release vs {peer.program.name}"
    return Row(name, 2.4, ONE_BY_ONE, ours, peer.seconds, ground.free, after)


def _bulk(ground: Ground, faktory: FaktoryServer, peer: Peer, producer: Producer) -> Row:
    pushed = 0

    def ours(count: int) -> None:
        nonlocal pushed
        for start in range(0, count, BATCH):
            producer.push_bulk([_job(n) for n in range(start, start + BATCH)])
        pushed = count

    def before(count: int) -> None:
        nonlocal pushed
        pushed = 0
        ground.free(count)
        faktory.ask("FLUSH")

    def after(_: int) -> None:  # theirs went to Redis, and its program looked for them there
        (said,) = faktory.ask("INFO")
        found = json.loads(said)["faktory"]["queues"].get("default", 0)
        if found != pushed:
            raise RuntimeError(f"{found} jobs are in the queue after a round instead of {pushed}")

    name = f"unique push_bulk({BATCH}) vs {peer.program.name}"
    return Row(name, 1.2, IN_BULK, ours, peer.seconds, before, after)


def _job(n: int) -> Job:
    return Job(jid=uuid.uuid4().hex, jobtype=JOB["jobtype"], args=[n, "welcome"])
