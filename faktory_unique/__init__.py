"""Unique jobs for open-source Faktory: no job lost to a lock, no lock that outlives its job."""

from ._pyfaktory import Job
from .by_hand import Lock
from .chain import (
    Answer,
    Drop,
    JobError,
    Middleware,
    PushResult,
    PushStatus,
    PutBack,
    RetryLater,
    Run,
)
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
from .faktory.client import Client
from .faktory.consumer import Consumer
from .faktory.perform import current_job
from .faktory.producer import Producer, PushedBulk
from .policy import Policy
from .unique import Unique

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
