"""Faktory's storage: the jobs that a server has, and each that it stores, read from its Redis."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from typing import NamedTuple

import redis

_STORING = ("LPUSH", "ZADD")
_JID = re.compile(r'"jid":"([^"]+)"')
_OWNER = re.compile(r'"owner":"([^"]+)"')
_TIMEOUT = 10


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


class StorageLog:
    """Journals each job that Faktory stores, in a thread, as its storage reports it (MONITOR).

    Args:
        server: the `FaktoryServer`.
        journal: gets an entry `stored` for each job, with its owner and place.
    """

    def __init__(self, server, journal):
        self._server = server
        self._journal = journal
        self._thread = None

    def follow(self):
        """Follow the storage of the server that has just started, until that storage ends.

        The jobs that it has already are journalled as well.
        """
        self.close()
        storage = _connect(self._server)
        monitor = storage.monitor()
        monitor.__enter__()
        self._thread = threading.Thread(target=self._read, args=(storage, monitor), daemon=True)
        self._thread.start()
        for job in stored_jobs(self._server):
            self._journal.write("stored", jid=job.jid, owner=job.owner, place=job.place)

    def close(self):
        """Wait until all reports of an ended storage are journalled."""
        if self._thread is not None:
            self._thread.join(_TIMEOUT)

    def _read(self, storage, monitor):
        with contextlib.suppress(redis.ConnectionError), storage:  # the storage has ended
            for report in monitor.listen():
                command, place, *_ = [*report["command"].split(maxsplit=2), "", ""]
                jid, owner = (pattern.search(report["command"]) for pattern in (_JID, _OWNER))
                if command.upper() in _STORING and jid and owner:
                    mono = time.monotonic() - time.time() + report["time"]
                    fields = {"jid": jid[1], "owner": owner[1], "place": place}
                    self._journal.write("stored", **fields, mono=mono)


def stored_jobs(server):
    """Return all jobs of a `FaktoryServer`."""
    with _connect(server) as storage:
        jobs = []
        for place in storage.scan_iter():
            kind = storage.type(place)
            if kind == "list":
                jobs += [_parse(place, text, 0.0) for text in storage.lrange(place, 0, -1)]
            elif kind == "zset":
                members = storage.zrange(place, 0, -1, withscores=True)
                jobs += [_parse(place, text, score) for text, score in members]
    return jobs


def waiting_fetches(server):
    """Return how many commands FETCH wait for a job in the storage: they move none now."""
    with _connect(server) as storage:
        return sum("b" in client["flags"] for client in storage.client_list())


def _connect(server):
    return redis.Redis(unix_socket_path=str(server.storage_socket), decode_responses=True)


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
