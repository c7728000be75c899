"""The `Store` interface that every lock store implements: run, read, scan, close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faktory_unique.locks.transition import Transition


@runtime_checkable
class Store(Protocol):
    """The place where locks live. It is safe to share between threads.

    It connects at its first use, and again after a fork.
    """

    def run(self, transitions: Sequence[Transition]) -> list[str | None]:
        """Apply each transition, if the lock has one of the values that it expects.

        The batch is one round trip. Each transition is atomic, the batch is not. No two
        transitions of a batch may have the same key, since their order is not guaranteed.

        Returns:
            The value found under each key before its transition, in order; None if there was no
            lock.

        Raises:
            StoreUnavailable: the store did not reply in time. Any of the transitions may have been
                applied, or may still be applied.
            StoreError: the store replied to some of them with an error. The attribute `done` of the
                exception has those that were applied.
        """
        ...

    def read(self, keys: Sequence[str]) -> list[tuple[str, float] | None]:
        """Return the value of each lock and the seconds until it lapses; None if there is no lock.

        This is for people: a lock can change while others are read.

        Raises:
            StoreError: as `run`.
        """
        ...

    def scan(self, prefix: str) -> Iterator[Sequence[str]]:
        """Yield the keys that start with a prefix, in pages, without blocking other clients.

        Keys that are created or deleted during the scan may be missing. A key can appear twice.

        Raises:
            StoreError: as `run`.
        """
        ...

    def close(self) -> None:
        """Close connections; a later `run` opens new ones."""
        ...
