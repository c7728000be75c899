"""The locks of a fake's store, to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faktory_unique.change import is_leased, owner_of

if TYPE_CHECKING:
    from faktory_unique.store import MemoryStore


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock of a fake's store.

    Attributes:
        owner: the jid under which the work was first pushed.
        leased: whether the push is still unconfirmed.
        ttl: seconds that it has left.
    """

    owner: str
    leased: bool
    ttl: float


class Locks(Mapping[str, Lock]):
    """The locks of a store as they are now, by key."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getitem__(self, key: str) -> Lock:
        value, ttl = self._store.values()[key], self._store.ttl(key)
        return Lock(owner_of(value), is_leased(value), ttl or 0.0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.values())

    def __len__(self) -> int:
        return len(self._store.values())

    def __repr__(self) -> str:
        return f"<Locks {dict(self)!r}>"
