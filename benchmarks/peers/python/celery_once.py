"""celery-once: its backend's `raise_or_lock` and `clear_lock`, which QueueOnce calls around a task.

The keys are made before the clock starts.
"""

from __future__ import annotations

import sys

from celery_once.backends.redis import Redis
from celery_once.helpers import queue_once_key

from .harness import LEASE, TASK, Round, arguments, serve


def main(url: str) -> None:
    """Run the operations that are requested on stdin."""
    backend = Redis({"url": url})

    def take_release(count: int) -> float:
        keys = [queue_once_key(TASK, {"n": n, "kind": kind}) for n, kind in arguments(count)]
        with Round(url, keys) as timed:
            for key in keys:
                backend.raise_or_lock(key, timeout=LEASE)
                backend.clear_lock(key)
        return timed.seconds

    serve(take_release)


if __name__ == "__main__":
    main(*sys.argv[1:])
