"""Unique jobs for open-source Faktory: no job lost to a lock, no lock that outlives its job."""

from ._pyfaktory import Job
from .client.client import Client
from .client.producer import BulkResult, Producer
from .errors import (
    AuthenticationFailed,
    CommandNotSent,
    CommandOutcomeUnknown,
    CommandRefused,
    DuplicateJob,
    FaktoryUniqueError,
    InvalidJob,
    InvalidSettings,
    PushNotSent,
    PushOutcomeUnknown,
    PushRefused,
    StoreError,
    StoreUnavailable,
)
from .events import Event, EventName
from .middleware import Drop, JobError, Middleware, ReportStatus, Requeue, RetryLater, Run
from .policy.policy import Policy
from .results import PushResult, PushStatus
from .unique.admin import Lock
from .unique.middleware import Unique
from .worker.consumer import Consumer
from .worker.handler_call import current_job

__all__ = [
    "AuthenticationFailed",
    "BulkResult",
    "Client",
    "CommandNotSent",
    "CommandOutcomeUnknown",
    "CommandRefused",
    "Consumer",
    "Drop",
    "DuplicateJob",
    "Event",
    "EventName",
    "FaktoryUniqueError",
    "InvalidJob",
    "InvalidSettings",
    "Job",
    "JobError",
    "Lock",
    "Middleware",
    "Policy",
    "Producer",
    "PushNotSent",
    "PushOutcomeUnknown",
    "PushRefused",
    "PushResult",
    "PushStatus",
    "ReportStatus",
    "Requeue",
    "RetryLater",
    "Run",
    "StoreError",
    "StoreUnavailable",
    "Unique",
    "current_job",
]
