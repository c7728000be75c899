"""Whether code of a signal handler runs amid what it interrupts, and must not wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import RLock


def is_amid(lock: RLock) -> bool:
    """Whether this very thread has the lock, which nobody takes twice."""
    return lock._is_owned()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001  # as threading.Condition asks it: there is no public way
