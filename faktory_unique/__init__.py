"""Unique jobs for open-source Faktory: no job lost to a lock, no lock that outlives its job."""

from ._pyfaktory import Job
from .client.client import Client
from .client.producer import Producer, PushedBulk
from .errors import (
    FaktoryUniqueError,
    InvalidJob,
    InvalidSettings,
    LoginRefused,
    NotSent,
    NotUnique,
    OutcomeUnknown,
    PushNotSent,
    PushOutcomeUnknown,
    PushRefused,
    Refused,
    StoreError,
    StoreUnavailable,
)
from .events import Event, EventName
from .middleware import Answer, Drop, JobError, Middleware, PutBack, RetryLater, Run
from .policy.policy import Policy
from .results import PushResult, PushStatus
from .unique.admin import Lock
from .unique.middleware import Unique
from .worker.consumer import Consumer
from .worker.perform import current_job

__all__ = [
    "Answer",
    "Client",
    "Consumer",
    "Drop",
    "Event",
    "EventName",
    "FaktoryUniqueError",
    "InvalidJob",
    "InvalidSettings",
    "Job",
    "JobError",
    "Lock",
    "LoginRefused",
    "Middleware",
    "NotSent",
    "NotUnique",
    "OutcomeUnknown",
    "Policy",
    "Producer",
    "PushNotSent",
    "PushOutcomeUnknown",
    "PushRefused",
    "PushResult",
    "PushStatus",
    "PushedBulk",
    "PutBack",
    "Refused",
    "RetryLater",
    "Run",
    "StoreError",
    "StoreUnavailable",
    "Unique",
    "current_job",
]
