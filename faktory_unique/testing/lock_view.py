"""`Locks`: a live, read-only mapping of the locks in a fake's store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from faktory_unique.locks.keys import is_side_key
from faktory_unique.unique.admin import Lock, lock_of

if TYPE_CHECKING:
    from faktory_unique.stores.memory import MemoryStore


class Locks(Mapping[str, Lock]):
    """The present locks of a store by key, without side keys.

    Args:
        store: the store.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getitem__(self, key: str) -> Lock:
        [found] = self._store.read([key])
        if found is None or is_side_key(key):
            raise KeyError(key)
        return lock_of(key, *found)

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._store.values() if not is_side_key(key))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Locks {dict(self)!r}>"
