"""What is measured: faktory_unique against the standard library and redis-py, by hand.

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

from .ground import BATCH, JOB, LEASE, MOST, OWNER, POLICY
from .measure import Row

if TYPE_CHECKING:
    from .ground import Ground


def rows(ground: Ground) -> list[Row]:
    """All rows, in the order of the table."""
    return [
        _key(),
        _take(ground),
        _take_by_benchmark(ground),
        _take_and_release(ground),
        _bulk(ground),
        _bulk_by_benchmark(ground),
        _release(ground),
    ]


def redis_benchmark(url: str, pipelined: str, count: int) -> float:
    """Seconds that redis-benchmark takes for so many takes, of keys that are not there."""
    key = f"unique:1:SendMail:{'x' * 10}__rand_int__"
    command = ("SET", key, leased(OWNER), "NX", "GET", "EX", str(LEASE))
    many = ("-n", str(count), "-c", "1", "-P", pipelined, "-r", str(10**9), "--csv")
    said = subprocess.run(
        ["redis-benchmark", "-u", url, *many, *command], capture_output=True, text=True, check=True
    )
    *_, last = csv.reader(said.stdout.splitlines())
    return count / float(last[1])


def _key() -> Row:
    def ours(count: int) -> None:
        for _ in range(count):
            lock_key(POLICY, JOB)

    def theirs(count: int) -> None:
        for _ in range(count):
            text = json.dumps(JOB["args"], sort_keys=True)
            f"unique:{JOB['jobtype']}:{md5(text.encode()).hexdigest()}"

    return Row("key derivation vs json.dumps(sort_keys=True) + md5", 2, 20_000, ours, theirs)


def _take(ground: Ground) -> Row:
    store, client = ground.store, ground.client

    def ours(count: int) -> None:
        for key in ground.keys(count):
            store.run([acquire_transition(key, OWNER, LEASE)])

    def theirs(count: int) -> None:
        for key in ground.keys(count):
            client.set(key, OWNER, nx=True, ex=LEASE)

    name = "take one lock vs redis-py set(nx=True, ex=…)"
    return Row(name, 2.2, 1000, ours, theirs, ground.free, ground.is_full)


def _take_by_benchmark(ground: Ground) -> Row:
    store = ground.store

    def ours(count: int) -> None:
        for key in ground.keys(count):
            store.run([acquire_transition(key, OWNER, LEASE)])

    name = "take one lock vs redis-benchmark -c 1 of the same command"
    theirs = partial(redis_benchmark, ground.url, "1")
    return Row(name, 0.85, MOST, ours, theirs, ground.free)


def _take_and_release(ground: Ground) -> Row:
    store, client = ground.store, ground.client

    def ours(count: int) -> None:
        for key in ground.keys(count):
            store.run([acquire_transition(key, OWNER, LEASE)])
            store.run([release_transition(key, OWNER)])

    def theirs(count: int) -> None:
        for key in ground.keys(count):
            lock = client.lock(key, timeout=LEASE)
            lock.acquire(blocking=False)
            lock.release()

    name = "take + release vs redis-py Lock"
    return Row(name, 2.4, 500, ours, theirs, ground.free, ground.is_free)


def _bulk(ground: Ground) -> Row:
    store, client = ground.store, ground.client

    def ours(count: int) -> None:
        for batch in ground.batches(count):
            store.run([acquire_transition(key, OWNER, LEASE) for key in batch])

    def theirs(count: int) -> None:
        for batch in ground.batches(count):
            with client.pipeline(transaction=False) as pipe:
                for key in batch:
                    pipe.set(key, OWNER, nx=True, get=True, ex=LEASE)
                pipe.execute()

    name = f"take {BATCH} in bulk vs redis-py pipeline of the same commands"
    return Row(name, 3.2, MOST, ours, theirs, ground.free, ground.is_full)


def _bulk_by_benchmark(ground: Ground) -> Row:
    store = ground.store

    def ours(count: int) -> None:
        for batch in ground.batches(count):
            store.run([acquire_transition(key, OWNER, LEASE) for key in batch])

    name = f"take {BATCH} in bulk vs redis-benchmark -c 1 -P {BATCH}"
    theirs = partial(redis_benchmark, ground.url, str(BATCH))
    return Row(name, 0.7, MOST, ours, theirs, ground.free)


def _release(ground: Ground) -> Row:
    store, client = ground.store, ground.client
    script = client.register_script(Lock.LUA_RELEASE_SCRIPT)

    def ours(count: int) -> None:
        for key in ground.keys(count):
            store.run([release_transition(key, OWNER)])

    def theirs(count: int) -> None:
        for key in ground.keys(count):
            script(keys=[key], args=[OWNER])

    name = "release one lock vs redis-py's compare-and-delete script"
    return Row(name, None, 1000, ours, theirs, ground.fill, ground.is_free)
