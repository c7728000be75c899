"""Faktory's storage: the jobs that a server has, read directly from its own Redis."""

from __future__ import annotations

import json
from typing import NamedTuple

import redis


class StoredJob(NamedTuple):
    """A job in the storage.

    Attributes:
        place: the queue's list, or the set: scheduled, retries, dead, working.
        jid: its jid.
        owner: the jid under which it was first pushed.
        failures: the number of its failures.
        score: in a set, when it is due or expires, in seconds since the epoch; else 0.
    """

    place: str
    jid: str
    owner: str
    failures: int
    score: float


def stored_jobs(server):
    """Return all jobs of a `FaktoryServer`."""
    path = str(server.storage_socket)
    with redis.Redis(unix_socket_path=path, decode_responses=True) as storage:
        jobs = []
        for place in storage.scan_iter():
            kind = storage.type(place)
            if kind == "list":
                jobs += [_parse(place, text, 0.0) for text in storage.lrange(place, 0, -1)]
            elif kind == "zset":
                members = storage.zrange(place, 0, -1, withscores=True)
                jobs += [_parse(place, text, score) for text, score in members]
    return jobs


def _parse(place, text, score):
    member = json.loads(text)
    job = member.get("job", member)  # the working set has reservations
    failure = job.get("failure")
    return StoredJob(
        place,
        job["jid"],
        job["custom"]["unique"]["owner"],
        failure["retry_count"] + 1 if failure else 0,
        score,
    )
