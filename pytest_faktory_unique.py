"""pytest's fixtures of faktory_unique, which imports nothing of it until a test asks for one.

A module of its own, since to import any part of a package is to import the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faktory_unique.testing import FakeFaktory, Locks


@pytest.fixture
def faktory() -> Iterator[FakeFaktory]:
    """An in-memory Faktory that captures what the test pushes; see `testing.fake`."""
    from faktory_unique.testing import fake  # noqa: PLC0415  # see above

    with fake() as faktory:
        yield faktory


@pytest.fixture
def unique_locks(faktory: FakeFaktory) -> Locks:
    """The locks in the store of the test's `faktory`: a live mapping of key to lock."""
    return faktory.locks
