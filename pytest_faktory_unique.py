"""The pytest plugin: the fixtures `faktory` and `unique_locks`.

The plugin imports nothing of faktory_unique until a test uses a fixture. It is a module outside the
package, since importing any part of a package imports the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faktory_unique.testing import FakeFaktory, Locks


@pytest.fixture
def faktory() -> Iterator[FakeFaktory]:
    """Return an in-memory Faktory that captures the test's pushes; see `testing.fake`."""
    from faktory_unique.testing import fake  # noqa: PLC0415  # see above

    with fake() as faktory:
        yield faktory


@pytest.fixture
def unique_locks(faktory: FakeFaktory) -> Locks:
    """Return the locks in the store of the test's `faktory`: a live mapping of key to lock."""
    return faktory.locks
