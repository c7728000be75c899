"""Brings in pyfaktory without what importing it does to the process.

`import pyfaktory` decorates a method with `pebble.sighandler`, which replaces the process's SIGTERM
handler and raises ValueError off the main thread (pyfaktory 0.2.13, consumer.py). For the length of
this import the decorator is one that leaves the method alone. A pyfaktory that the program had
already imported is taken as it is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

import pebble

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., object])


def _no_sighandler(_signals: object) -> Callable[[F], F]:
    return lambda function: function


_sighandler = pebble.sighandler
if "pyfaktory" not in sys.modules:
    pebble.sighandler = _no_sighandler  # type: ignore[assignment]  # for the import below alone
try:
    from pyfaktory.client import Client as StockClient
    from pyfaktory.consumer import Consumer as StockConsumer
    from pyfaktory.models import Cmd, Job, MutateOperation, Target
    from pyfaktory.producer import Producer as StockProducer
    from pyfaktory.util.enums import State
    from pyfaktory.util.exceptions import FaktroyWorkProtocolError as StockProtocolError
finally:
    pebble.sighandler = _sighandler

__all__ = [
    "Cmd",
    "Job",
    "MutateOperation",
    "State",
    "StockClient",
    "StockConsumer",
    "StockProducer",
    "StockProtocolError",
    "Target",
]
