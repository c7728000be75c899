"""What Go's standard library refuses, in Go's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .shapes import Value


class GoError(ValueError):
    """Its text is the text of Go's error, which Faktory passes on to its clients."""


class GoTypeError(GoError):
    """The first JSON value that did not fit its Go type. Go reads on, and so there is a result.

    Attributes:
        decoded: what the target holds afterwards, as `decode` would have returned it.
    """

    def __init__(self, text: str, decoded: Value) -> None:
        super().__init__(text)
        self.decoded = decoded
