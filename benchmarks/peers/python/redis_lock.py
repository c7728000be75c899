"""python-redis-lock: its `Lock`, created, acquired without waiting, and released."""

from __future__ import annotations

import sys

import redis
from redis_lock import Lock

from .harness import LEASE, TASK, Round, arguments, serve


def main(url: str) -> None:
    """Run the operations that are requested on stdin."""
    client = redis.Redis.from_url(url)

    def take_release(count: int) -> float:
        names = [f"{TASK}:{n}:{kind}" for n, kind in arguments(count)]
        keys = [f"lock:{name}" for name in names]
        with Round(url, keys) as timed:
            for name in names:
                lock = Lock(client, name, expire=LEASE)
                lock.acquire(blocking=False)
                lock.release()
        return timed.seconds

    serve(take_release)


if __name__ == "__main__":
    main(*sys.argv[1:])
