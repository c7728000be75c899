"""Import pyfaktory without its side effect: replacing the process's SIGTERM handler.

`import pyfaktory` decorates a method with `pebble.sighandler`, which replaces the process's SIGTERM
handler and raises ValueError outside the main thread (pyfaktory 0.2.13, consumer.py). During this
import the decorator does nothing. If the program has already imported pyfaktory, that import
stays as it is.
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
    pebble.sighandler = _no_sighandler  # type: ignore[assignment]  # during the import below
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
