"""The push that stands innermost in a chain, cut in steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .chain import Payload, PushResult


@dataclass(frozen=True, slots=True)
class InnermostPush:
    """What stands innermost in a chain of pushes, in three steps.

    A middleware that has no other within it can do other work between them, while Faktory is busy.
    To all others it is a `call_next` like any.

    Attributes:
        write: makes a command of payloads. Raises `InvalidJob`. What it gives sends the command;
            and what that gives waits for the answer, and has a result for each job, in order: to be
            called once, whatever happens in between.
    """

    write: Callable[[Sequence[Payload]], Callable[[], Callable[[], list[PushResult]]]]

    def __call__(self, jobs: Sequence[Payload]) -> list[PushResult]:
        """Pushes payloads; a result for each, in order."""
        return self.write(jobs)()()
