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


if "pyfaktory" in sys.modules:
    import pyfaktory
else:
    _sighandler = pebble.sighandler
    pebble.sighandler = _no_sighandler
    try:
        import pyfaktory
    finally:
        pebble.sighandler = _sighandler

__all__ = ["pyfaktory"]
