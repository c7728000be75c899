"""What rows stand on: a Redis, clients of both sides, and keys to lock."""

from __future__ import annotations

from typing import Any

import redis

from faktory_unique.locks.keys import lock_key
from faktory_unique.locks.transition import held
from faktory_unique.policy.policy import Policy
from faktory_unique.stores.redis import RedisStore

BATCH = 1000
MOST = 5 * BATCH  # locks in one round
LEASE = 60
OWNER = "b4a577edbccf1d805744efa9"  # a jid
POLICY = Policy()
JOB: dict[str, Any] = {"jobtype": "SendMail", "args": [42, "welcome"], "queue": "default"}


class Ground:
    """One Redis, with a connection for either side and one for what is not timed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = RedisStore(url)
        self.client = redis.Redis.from_url(url)  # as it comes: nothing is set, nothing turned off
        self.admin = redis.Redis.from_url(url)
        # Always the same ones: it is the flush before each side that makes them fresh.
        self._keys = [lock_key(POLICY, {**JOB, "args": [i, "welcome"]}) for i in range(MOST)]

    def keys(self, count: int) -> list[str]:
        """So many different keys, at most MOST."""
        return self._keys[:count]

    def batches(self, count: int) -> list[list[str]]:
        """The same keys in lists of BATCH."""
        return [self._keys[start : start + BATCH] for start in range(0, count, BATCH)]

    def free(self, _: int) -> None:
        """Leave no lock."""
        self.admin.flushdb()

    def fill(self, count: int) -> None:
        """Leave so many locks, held by OWNER."""
        self.free(count)
        with self.admin.pipeline(transaction=False) as pipe:
            for key in self.keys(count):
                pipe.set(key, held(OWNER), ex=LEASE)
            pipe.execute()

    def is_free(self, _: int) -> None:
        """Make sure that no lock is left."""
        self.is_full(0)

    def is_full(self, count: int) -> None:
        """Make sure that so many locks are left."""
        if (found := self.admin.dbsize()) != count:
            raise RuntimeError(f"{found} locks are in Redis after a round instead of {count}")

    def close(self) -> None:
        """Close the connections."""
        self.store.close()
        self.client.close()
        self.admin.close()
