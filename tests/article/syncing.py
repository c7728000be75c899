"""The article's DataSync: a worker that talks to a service which fails in several ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from faktory_unique import Job, Middleware, Requeue

RETRY_DELAY = 60


class ServiceUnavailable(Exception):
    """The service is down: later it may well work."""


class InvalidDataError(Exception):
    """The service does not take this entity, and never will."""


@dataclass
class SyncService:
    """Keeps what was synced; raises `failing` instead while that is set."""

    failing: Exception | None = None
    synced: list = field(default_factory=list)

    def sync(self, entity_type, entity_id):
        if self.failing is not None:
            raise self.failing
        self.synced.append((entity_type, entity_id))


@dataclass
class DataSync:
    """The handler. Where the service is down it pushes itself anew, due in `RETRY_DELAY` seconds.

    DataSync is not unique. The lock of a unique job is held while its handler runs, and such a copy
    would be a duplicate of the very job that pushes it.
    """

    service: SyncService
    producer: object
    error_log: list = field(default_factory=list)

    def __call__(self, entity_type, entity_id):
        try:
            self.service.sync(entity_type, entity_id)
        except ServiceUnavailable:
            due = datetime.fromtimestamp(self.producer.client.now() + RETRY_DELAY, UTC)
            self.producer.push(data_sync(entity_type, entity_id, at=due.isoformat()))
        except InvalidDataError as exc:
            self.error_log.append((entity_type, entity_id, str(exc)))


def data_sync(entity_type, entity_id, **fields):
    """The job, in the queue and with the retries that the article gives it."""
    fields = {"queue": "sync", "retry": 5, "backtrace": 10, **fields}
    return Job(jobtype="DataSync", args=[entity_type, entity_id], **fields)


class WaitForService(Middleware):
    """Puts jobs back, unrun, while the service is known to be down."""

    def __init__(self, service):
        self._service = service

    def fetch(self, job, call_next):
        if isinstance(self._service.failing, ServiceUnavailable):
            return Requeue(RETRY_DELAY)
        return call_next(job)
