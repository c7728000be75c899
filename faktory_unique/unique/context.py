"""`UniqueContext`: passes the store, hooks and clock of a `Unique` to all its parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faktory_unique._util import FirstTimes

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
        store: the place where the locks live.
        deferred: the lock writes that failed and are retried once the store is back.
        pushes: the jids that are being pushed, or must not be sent again.
        hooks: get each event.
        clock: returns seconds since any start. Leases are measured by it.
        warned: the jobtypes of which a warning has been logged.
        run_tokens: the tokens of the run locks that jobs of this process may have, by attempt.
    """

    store: Store
    deferred: DeferredWrites
    pushes: PushHistory
    hooks: Hooks
    clock: Callable[[], float]
    warned: FirstTimes = field(default_factory=FirstTimes)
    run_tokens: dict[tuple[object, ...], str] = field(default_factory=dict)
