"""Changes that may take a lock, sent so that one which comes late takes none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faktory_unique.locks.transition import Transition

    from .base import Store


def run_in_two_steps(store: Store, transitions: Sequence[Transition]) -> list[str | None]:
    """Makes changes; an absent lock is taken only once it is known to be absent.

    What a store is sent may be carried out when its sender has given up, and its job is done, and
    its lock freed: then it must not make one. So the step that can take a lock is sent after an
    answer, and by itself.

    Returns:
        The value found under each key.

    Raises:
        StoreError: as `Store.run`; a change of which a step was made can be made again.
    """
    found = store.run([transition.without_acquire() for transition in transitions])
    left = {
        i: rest
        for i, transition in enumerate(transitions)
        if (rest := transition.acquire_remainder(found[i])) is not None
    }
    if left:
        for i, value in zip(left, store.run(list(left.values())), strict=True):
            found[i] = value
    return found
