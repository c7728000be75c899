"""`UniqueContext`: the store, deferred writes, hooks and memory that one `Unique` shares."""

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
    """State shared by all pushes and all fetched jobs of one `Unique`.

    Attributes:
        store: where the locks are.
        deferred: writes that wait until the store is back.
        pushes: the jids that are being pushed, or must not be sent again.
        hooks: where events are emitted.
        clock: seconds from any start, by which leases run.
        run_tokens: the tokens of the run locks that jobs of this process have, by attempt.
    """

    store: Store
    deferred: DeferredWrites
    pushes: PushHistory
    hooks: Hooks
    clock: Callable[[], float]
    run_tokens: dict[tuple[object, ...], str] = field(default_factory=dict)
