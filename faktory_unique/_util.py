"""Short forms of values for messages, without passwords; bounds of texts; who holds an RLock."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from threading import RLock

_MAX_LENGTH = 100
# Other objects are shown by their type: the repr of a client may contain its password.
_PLAIN = (str, bytes, int, float, list, tuple, dict, type(None))


def short_repr(value: object) -> str:
    """Return a value's repr for a message, shortened by `short_text`. It never raises."""
    text = f"a value of type {type(value).__name__}"
    if isinstance(value, _PLAIN):
        with suppress(Exception):  # an int too long for repr, a list nested too deep, …
            text = repr(value)
    return short_text(text)


def short_text(text: str) -> str:
    """Return a text for a message: at most 100 characters, a URL cut after its scheme.

    A URL may contain a password.
    """
    before, cut, _ = text.partition(":/")  # not "://": a Path keeps only one slash of it
    text = f"{before}{cut}…" if cut else text
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"


def is_text(value: object, max_bytes: int) -> TypeGuard[str]:
    """Return whether a value is Unicode text of at most `max_bytes` bytes of UTF-8."""
    if not isinstance(value, str):
        return False
    try:
        return len(value if value.isascii() else value.encode()) <= max_bytes
    except UnicodeEncodeError:  # a surrogate
        return False


def held_by_this_thread(lock: RLock) -> bool:
    """Return whether the current thread holds the lock.

    A signal handler may run while its own thread holds the lock. The handler must not wait for it.
    """
    return lock._is_owned()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001  # as threading.Condition does: there is no public way
