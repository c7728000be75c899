"""The push that stands innermost in a chain, cut in steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .chain import Payload, PushResult

Hear: TypeAlias = "Callable[[], list[PushResult]]"
"""Waits for the answer to what was sent: a result for each job, in order. To be called once."""

Send: TypeAlias = "Callable[[], Hear]"
"""Sends what was written, without waiting for the answer."""


@dataclass(frozen=True, slots=True)
class InnermostPush:
    """What stands innermost in a chain of pushes, in three steps.

    A middleware that has no other within it can do other work between them, while Faktory is busy.
    To all others it is a `call_next` like any.

    Attributes:
        write: makes a command of payloads, which is to be sent. Raises `InvalidJob`.
    """

    write: Callable[[Sequence[Payload]], Send]

    def __call__(self, jobs: Sequence[Payload]) -> list[PushResult]:
        """Pushes payloads; a result for each, in order."""
        return self.write(jobs)()()
