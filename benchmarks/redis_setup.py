"""Redis setup of the rows: clients of both sides, keys to lock, and checks before and after."""

from __future__ import annotations

from typing import Any

import redis

from faktory_unique.locks.keys import lock_key
from faktory_unique.locks.transition import held
from faktory_unique.policy.policy import Policy
from faktory_unique.stores.redis import RedisStore

BATCH = 1000
MOST_LOCKS = 5 * BATCH  # in one round
LEASE = 60
OWNER = "b4a577edbccf1d805744efa9"  # a jid
POLICY = Policy()
JOB: dict[str, Any] = {"jobtype": "SendMail", "args": [42, "welcome"], "queue": "default"}


class RedisSetup:
    """One Redis, with a connection for each side and one for commands that are not timed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = RedisStore(url)
        self.client = redis.Redis.from_url(url)  # default settings
        self.admin = redis.Redis.from_url(url)
        # Each round uses the same keys; the flush before each side makes them fresh.
        self._keys = [lock_key(POLICY, {**JOB, "args": [i, "welcome"]}) for i in range(MOST_LOCKS)]

    def keys(self, count: int) -> list[str]:
        """Return this many different keys, at most MOST_LOCKS."""
        return self._keys[:count]

    def batches(self, count: int) -> list[list[str]]:
        """Return the same keys in lists of BATCH."""
        return [self._keys[start : start + BATCH] for start in range(0, count, BATCH)]

    def clear(self, _: int) -> None:
        """Delete all locks."""
        self.admin.flushdb()

    def fill(self, count: int) -> None:
        """Set this many locks, held by OWNER."""
        self.clear(count)
        with self.admin.pipeline(transaction=False) as pipe:
            for key in self.keys(count):
                pipe.set(key, held(OWNER), ex=LEASE)
            pipe.execute()

    def check_empty(self, _: int) -> None:
        """Raise RuntimeError if a lock is left."""
        self.check_count(0)

    def check_count(self, count: int) -> None:
        """Raise RuntimeError unless this many locks are left."""
        if (found := self.admin.dbsize()) != count:
            raise RuntimeError(f"{found} locks are in Redis after a round instead of {count}")

    def close(self) -> None:
        """Close the connections."""
        self.store.close()
        self.client.close()
        self.admin.close()
