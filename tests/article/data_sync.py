"""The article's DataSync: a handler that calls a service which fails in several ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from faktory_unique import Job, Middleware, Requeue

RETRY_DELAY = 60


class ServiceUnavailable(Exception):
    """The service is down, and may work again later."""


class InvalidDataError(Exception):
    """The service never accepts this entity."""


@dataclass
class SyncService:
    """A service that keeps the synced entities, or raises `failing` while that is set."""

    failing: Exception | None = None
    synced: list = field(default_factory=list)

    def sync(self, entity_type, entity_id):
        if self.failing is not None:
            raise self.failing
        self.synced.append((entity_type, entity_id))


@dataclass
class DataSync:
    """The handler. If the service is down, it pushes a copy of its job, due in `RETRY_DELAY` s.

    DataSync is not unique. The lock of a unique job is held while its handler runs, so the copy
    would be a duplicate of the running job.
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
    """Return the job, with the queue and the retries of the article."""
    fields = {"queue": "sync", "retry": 5, "backtrace": 10, **fields}
    return Job(jobtype="DataSync", args=[entity_type, entity_id], **fields)


class WaitForService(Middleware):
    """A middleware that requeues jobs without running them while the service is down."""

    def __init__(self, service):
        self._service = service

    def fetch(self, job, call_next):
        if isinstance(self._service.failing, ServiceUnavailable):
            return Requeue(RETRY_DELAY)
        return call_next(job)
