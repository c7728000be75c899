"""`PendingPush`: a batch in two steps, send and receive; `InnermostPush`: the end of a chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faktory_unique.middleware import Payload
    from faktory_unique.results import PushResult


class PendingPush(Protocol):
    """A batch that is encoded but not sent yet. Call `send` once, then `receive` once."""

    def send(self) -> None:
        """Send the batch without waiting for the reply."""
        ...

    def receive(self) -> list[PushResult]:
        """Wait for the reply. Return a result for each job, in order."""
        ...


@dataclass(frozen=True, slots=True)
class InnermostPush:
    """The last `call_next` of a push chain. It can be split into `send` and `receive`.

    The innermost middleware may do other work between the two steps, while Faktory handles the
    batch. Any middleware can also call it like an ordinary `call_next`.

    Attributes:
        begin: encodes a batch and returns it, ready to be sent. Raises `InvalidJob` if a job
            cannot be encoded.
    """

    begin: Callable[[Sequence[Payload]], PendingPush]

    def __call__(self, jobs: Sequence[Payload]) -> list[PushResult]:
        """Push payloads. Return a result for each, in order."""
        pending = self.begin(jobs)
        pending.send()
        return pending.receive()
