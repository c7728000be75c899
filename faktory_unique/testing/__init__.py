"""The testing kit: a Faktory in memory, helpers for tests on any server; see docs/testing.md."""

from .clock import Clock
from .fake import FakeFaktory
from .job_run import JobRun
from .local_consumer import LocalConsumer
from .lock_view import Locks
from .modes import fake, inline
from .server_helpers import QueueSizes, clear, running_consumer, sizes, wait_for, wait_until_drained

__all__ = [
    "Clock",
    "FakeFaktory",
    "JobRun",
    "LocalConsumer",
    "Locks",
    "QueueSizes",
    "clear",
    "fake",
    "inline",
    "running_consumer",
    "sizes",
    "wait_for",
    "wait_until_drained",
]
