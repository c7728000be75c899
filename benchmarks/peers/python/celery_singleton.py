"""celery-singleton: its backend's `lock` and `unlock`, which Singleton calls around a task.

The keys are made before the clock starts.
"""

from __future__ import annotations

import sys

from celery_singleton.backends import RedisBackend
from celery_singleton.util import generate_lock

from .harness import LEASE, OWNER, TASK, Round, arguments, serve


def main(url: str) -> None:
    """Run the operations that are requested on stdin."""
    backend = RedisBackend(url)

    def take_release(count: int) -> float:
        keys = [generate_lock(TASK, args) for args in arguments(count)]
        with Round(url, keys) as timed:
            for key in keys:
                backend.lock(key, OWNER, expiry=LEASE)
                backend.unlock(key)
        return timed.seconds

    serve(take_release)


if __name__ == "__main__":
    main(*sys.argv[1:])
