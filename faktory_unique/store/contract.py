"""What a store must do: carry out compared changes of locks, a batch in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faktory_unique.change import Change


@runtime_checkable
class Store(Protocol):
    """Where locks live. Safe over threads; connects when first used, and again after a fork."""

    def run(self, changes: Sequence[Change]) -> list[str | None]:
        """Carries out each change, or leaves it undone where the lock's value is not expected.

        One round trip for the batch. Each change is atomic, the batch is not; no two of its changes
        may be of one key, since their order is not promised.

        Returns:
            The value found under each key before its change, in order; None where no lock was.

        Raises:
            StoreUnavailable: no answer in time; any of the changes may have happened.
            StoreError: the store answered some of them with an error; its `found` has the rest.
        """
        ...

    def close(self) -> None:
        """Closes connections; a later `run` opens new ones."""
        ...
