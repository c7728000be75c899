"""Rows of single lock operations: faktory_unique against redis-py and the standard library.

Loops and calls are written out on both sides, so that neither pays for a layer of the benchmark.
"""

from __future__ import annotations

import csv
import json
import subprocess
from functools import partial
from hashlib import md5
from typing import TYPE_CHECKING

from redis.lock import Lock

from faktory_unique.locks.keys import lock_key
from faktory_unique.locks.lifecycle import acquire_transition, release_transition
from faktory_unique.locks.transition import leased

from .measurement import Row
from .redis_setup import BATCH, JOB, LEASE, MOST_LOCKS, OWNER, POLICY

if TYPE_CHECKING:
    from .redis_setup import RedisSetup


def lock_rows(setup: RedisSetup) -> list[Row]:
    """Return all rows, in the order of the table."""
    return [
        _key(),
        _take(setup),
        _take_by_benchmark(setup),
        _take_and_release(setup),
        _bulk(setup),
        _bulk_by_benchmark(setup),
        _release(setup),
    ]


def redis_benchmark(url: str, pipelined: str, count: int) -> float:
    """Return the seconds that redis-benchmark needs to acquire this many locks, all free before."""
    key = f"unique:1:SendMail:{'x' * 10}__rand_int__"
    command = ("SET", key, leased(OWNER), "NX", "GET", "EX", str(LEASE))
    options = ("-n", str(count), "-c", "1", "-P", pipelined, "-r", str(10**9), "--csv")
    process = subprocess.run(
        ["redis-benchmark", "-u", url, *options, *command],
        capture_output=True,
        text=True,
        check=True,
    )
    *_, last = csv.reader(process.stdout.splitlines())
    return count / float(last[1])


def _acquire_each(setup: RedisSetup, count: int) -> None:
    store = setup.store
    for key in setup.keys(count):
        store.run([acquire_transition(key, OWNER, LEASE)])


def _acquire_batches(setup: RedisSetup, count: int) -> None:
    store = setup.store
    for batch in setup.batches(count):
        store.run([acquire_transition(key, OWNER, LEASE) for key in batch])


def _key() -> Row:
    def ours(count: int) -> None:
        for _ in range(count):
            lock_key(POLICY, JOB)

    def theirs(count: int) -> None:
        for _ in range(count):
            text = json.dumps(JOB["args"], sort_keys=True)
            f"unique:{JOB['jobtype']}:{md5(text.encode()).hexdigest()}"

    return Row("key derivation vs json.dumps(sort_keys=True) + md5", 2, 20_000, ours, theirs)


def _take(setup: RedisSetup) -> Row:
    client, ours = setup.client, partial(_acquire_each, setup)

    def theirs(count: int) -> None:
        for key in setup.keys(count):
            client.set(key, OWNER, nx=True, ex=LEASE)

    name = "take one lock vs redis-py set(nx=True, ex=…)"
    return Row(name, 2.2, 1000, ours, theirs, setup.clear, setup.check_count)


def _take_by_benchmark(setup: RedisSetup) -> Row:
    ours, theirs = partial(_acquire_each, setup), partial(redis_benchmark, setup.url, "1")
    name = "take one lock vs redis-benchmark -c 1 of the same command"
    return Row(name, 0.85, MOST_LOCKS, ours, theirs, setup.clear)


def _take_and_release(setup: RedisSetup) -> Row:
    store, client = setup.store, setup.client

    def ours(count: int) -> None:
        for key in setup.keys(count):
            store.run([acquire_transition(key, OWNER, LEASE)])
            store.run([release_transition(key, OWNER)])

    def theirs(count: int) -> None:
        for key in setup.keys(count):
            lock = client.lock(key, timeout=LEASE)
            lock.acquire(blocking=False)
            lock.release()

    name = "take + release vs redis-py Lock"
    return Row(name, 2.4, 500, ours, theirs, setup.clear, setup.check_empty)


def _bulk(setup: RedisSetup) -> Row:
    client, ours = setup.client, partial(_acquire_batches, setup)

    def theirs(count: int) -> None:
        for batch in setup.batches(count):
            with client.pipeline(transaction=False) as pipe:
                for key in batch:
                    pipe.set(key, OWNER, nx=True, get=True, ex=LEASE)
                pipe.execute()

    name = f"take {BATCH} in bulk vs redis-py pipeline of the same commands"
    return Row(name, 3.2, MOST_LOCKS, ours, theirs, setup.clear, setup.check_count)


def _bulk_by_benchmark(setup: RedisSetup) -> Row:
    ours, theirs = partial(_acquire_batches, setup), partial(redis_benchmark, setup.url, str(BATCH))
    name = f"take {BATCH} in bulk vs redis-benchmark -c 1 -P {BATCH}"
    return Row(name, 0.7, MOST_LOCKS, ours, theirs, setup.clear)


def _release(setup: RedisSetup) -> Row:
    store, client = setup.store, setup.client
    script = client.register_script(Lock.LUA_RELEASE_SCRIPT)

    def ours(count: int) -> None:
        for key in setup.keys(count):
            store.run([release_transition(key, OWNER)])

    def theirs(count: int) -> None:
        for key in setup.keys(count):
            script(keys=[key], args=[OWNER])

    name = "release one lock vs redis-py's compare-and-delete script"
    return Row(name, None, 1000, ours, theirs, setup.fill, setup.check_empty)
