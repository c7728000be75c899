"""A Faktory in memory for the tests of those who push and work jobs; docs/testing.md shows how."""

from .clock import Clock
from .fake import FakeFaktory
from .local_consumer import LocalConsumer
from .lock_view import Locks
from .modes import fake, inline
from .perform import Performed
from .waiting import Sizes, clear, running, sizes, wait_for, wait_until_drained

__all__ = [
    "Clock",
    "FakeFaktory",
    "LocalConsumer",
    "Locks",
    "Performed",
    "Sizes",
    "clear",
    "fake",
    "inline",
    "running",
    "sizes",
    "wait_for",
    "wait_until_drained",
]
