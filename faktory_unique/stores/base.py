"""What a store must do: carry out compared changes of locks, a batch in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faktory_unique.locks.transition import Transition


@runtime_checkable
class Store(Protocol):
    """Where locks live. Safe over threads; connects when first used, and again after a fork."""

    def run(self, transitions: Sequence[Transition]) -> list[str | None]:
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

    def read(self, keys: Sequence[str]) -> list[tuple[str, float] | None]:
        """The value of each lock, and the seconds that it has left; None where there is none.

        For people, and not at one instant: a lock can change while others are read.

        Raises:
            StoreError: as `run`.
        """
        ...

    def scan(self, beginning: str) -> Iterator[Sequence[str]]:
        """The keys that begin so, some at a time, without holding up others.

        What comes or goes meanwhile may be missing, and a key may come twice.

        Raises:
            StoreError: as `run`.
        """
        ...

    def close(self) -> None:
        """Closes connections; a later `run` opens new ones."""
        ...
