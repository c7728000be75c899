"""What a Faktory has in its storage, read past it: from its own Redis."""

from __future__ import annotations

import json
from typing import NamedTuple

import redis


class Stored(NamedTuple):
    """A job as it lies in the storage.

    Attributes:
        place: the queue's list, or the set: scheduled, retries, dead, working.
        jid: its jid.
        owner: the jid under which its work was first pushed.
        failures: how often it has failed.
        score: in a set, when it is due or expires, in seconds since the epoch; else 0.
    """

    place: str
    jid: str
    owner: str
    failures: int
    score: float


def stored(server):
    """All jobs that the server has."""
    path = str(server._home / server._socket)
    with redis.Redis(unix_socket_path=path, decode_responses=True) as storage:
        jobs = []
        for place in storage.scan_iter():
            kind = storage.type(place)
            if kind == "list":
                jobs += [_read(place, text, 0.0) for text in storage.lrange(place, 0, -1)]
            elif kind == "zset":
                entries = storage.zrange(place, 0, -1, withscores=True)
                jobs += [_read(place, text, score) for text, score in entries]
    return jobs


def _read(place, text, score):
    entry = json.loads(text)
    job = entry.get("job", entry)  # the working set has reservations
    failure = job.get("failure")
    return Stored(
        place,
        job["jid"],
        job["custom"]["unique"]["owner"],
        failure["retry_count"] + 1 if failure else 0,
        score,
    )
