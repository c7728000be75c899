"""Rows against peers: a lock acquired and released, and unique jobs pushed in bulk."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from benchmarks.measurement import Row
from benchmarks.redis_setup import BATCH, JOB, LEASE, OWNER
from faktory_unique import Client, Job, Policy, Producer, Unique
from faktory_unique.locks.lifecycle import acquire_transition, release_transition

from .process import PROGRAMS, Peer, missing

if TYPE_CHECKING:
    from collections.abc import Generator

    from benchmarks.redis_setup import RedisSetup
    from scripts.servers import FaktoryServer

ONE_BY_ONE = 1000
IN_BULK = 3 * BATCH


def left_out() -> list[str]:
    """Return a line for each peer that cannot be measured here."""
    reasons = ((program.name, missing(program)) for program in PROGRAMS)
    return [f"vs {name}: left out, {reason}" for name, reason in reasons if reason]


def peer_rows(setup: RedisSetup, faktory: FaktoryServer | None) -> Generator[Row, None, None]:
    """Yield a row for each installed peer, which runs until the next row is requested.

    Without a Faktory there are no rows of pushes. Closing the generator ends the peer.
    """
    for program in PROGRAMS:
        if missing(program):
            continue
        setup.clear(0)  # the peer before may have left keys
        if program.operation == "take_release":
            with Peer(program, setup.url) as peer:
                yield _take_and_release(setup, peer)
        elif faktory is not None:
            with (
                Peer(program, setup.url) as peer,
                Unique(setup.url, default=Policy()) as unique,
                Client(faktory.url) as client,
            ):
                yield _bulk(setup, faktory, peer, Producer(client, [unique]))


def _take_and_release(setup: RedisSetup, peer: Peer) -> Row:
    store = setup.store

    def ours(count: int) -> None:
        for key in setup.keys(count):
            store.run([acquire_transition(key, OWNER, LEASE)])
            store.run([release_transition(key, OWNER)])

    def after(count: int) -> None:  # not check_empty: peers may leave other keys
        if left := setup.admin.exists(*setup.keys(count)):
            raise RuntimeError(f"{left} locks are in Redis after a round")

    name = f"take + release vs {peer.program.name}"
    return Row(name, 2.4, ONE_BY_ONE, ours, peer.seconds, setup.clear, after)


def _bulk(setup: RedisSetup, faktory: FaktoryServer, peer: Peer, producer: Producer) -> Row:
    pushed = 0

    def ours(count: int) -> None:
        nonlocal pushed
        for start in range(0, count, BATCH):
            producer.push_bulk([_job(n) for n in range(start, start + BATCH)])
        pushed = count

    def before(count: int) -> None:
        nonlocal pushed
        pushed = 0
        setup.clear(count)
        faktory.ask("FLUSH")

    def after(_: int) -> None:  # their jobs are in Redis, where their program checks them
        (state,) = faktory.ask("INFO")
        found = json.loads(state)["faktory"]["queues"].get("default", 0)
        if found != pushed:
            raise RuntimeError(f"{found} jobs are in the queue after a round instead of {pushed}")

    name = f"unique push_bulk({BATCH}) vs {peer.program.name}"
    return Row(name, 1.2, IN_BULK, ours, peer.seconds, before, after)


def _job(n: int) -> Job:
    return Job(jid=uuid.uuid4().hex, jobtype=JOB["jobtype"], args=[n, "welcome"])
