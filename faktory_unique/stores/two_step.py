"""Acquire a lock in two steps (own, then absent), so that a late command acquires none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faktory_unique.locks.transition import Transition

    from .base import Store


def run_in_two_steps(store: Store, transitions: Sequence[Transition]) -> list[str | None]:
    """Apply transitions. Acquire an absent lock only once the store has replied that it is absent.

    A store may execute a command after its sender has stopped waiting. By then the job may be done
    and its lock released, so the command must not acquire the lock again. Therefore the first step
    acquires nothing. The second step, which can acquire, is sent right after the reply to the
    first.

    Returns:
        The value found under each key, in order; None if there was no lock.

    Raises:
        StoreError: as `Store.run`. A transition can be applied again, even if one of its steps was
            applied.
    """
    steps = [transition.without_acquire() for transition in transitions]
    found = store.run(steps)
    remainders = {
        i: remainder
        for i, transition in enumerate(transitions)
        if (remainder := transition.acquire_remainder(found[i])) is not None
    }
    if remainders:
        try:
            second = store.run(list(remainders.values()))
        except StoreError as exc:
            first = {
                t: v
                for i, (t, v) in enumerate(zip(steps, found, strict=True))
                if i not in remainders
            }
            exc.found = {**first, **exc.found}
            raise
        for i, value in zip(remainders, second, strict=True):
            found[i] = value
    return found
