"""What all pushes and all jobs of one `Unique` share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.events import Hooks
    from faktory_unique.stores.base import Store
    from faktory_unique.stores.deferred import DeferredWrites

    from .push_history import PushHistory


@dataclass(frozen=True, slots=True)
class UniqueContext:
    """What all pushes and all jobs of one `Unique` share.

    Attributes:
        store: where the locks are.
        kept: the changes that the store still owes.
        pushes: the jids that are being pushed, or must not be sent again.
        hooks: who is told of events.
        clock: seconds from any start, by which leases run.
        runs: the tokens of the run locks that jobs of this process hold, by their attempt.
    """

    store: Store
    deferred: DeferredWrites
    pushes: PushHistory
    hooks: Hooks
    clock: Callable[[], float]
    runs: dict[tuple[object, ...], str] = field(default_factory=dict)
