"""Send transitions in two steps, so that a command carried out too late acquires no lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faktory_unique.locks.transition import Transition

    from .base import Store


def run_in_two_steps(store: Store, transitions: Sequence[Transition]) -> list[str | None]:
    """Apply transitions; acquire an absent lock only once the store has said that it is absent.

    A store may carry out a command after its sender gave up waiting. By then the job may be done
    and its lock released, so the command must not acquire the lock again. The first step therefore
    acquires nothing. The step that can acquire is sent by itself, right after a reply.

    Returns:
        The value found under each key, in order.

    Raises:
        StoreError: as `Store.run`. It is safe to apply a transition again if one of its steps was
            carried out.
    """
    found = store.run([transition.without_acquire() for transition in transitions])
    remainders = {
        i: remainder
        for i, transition in enumerate(transitions)
        if (remainder := transition.acquire_remainder(found[i])) is not None
    }
    if remainders:
        for i, value in zip(remainders, store.run(list(remainders.values())), strict=True):
            found[i] = value
    return found
