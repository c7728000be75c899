"""Whether code of a signal handler runs amid what it interrupts, and must not wait for it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import RLock

_LONGEST_SHOWN = 100
# Of other objects the type alone is shown: a client of some other kind writes out its password.
_PLAIN = (str, bytes, int, float, list, tuple, dict, type(None))


def short_repr(value: object) -> str:
    """A value as messages show it: written out, where it can be, and `short_text`. It never raises."""
    text = f"a value of type {type(value).__name__}"
    if isinstance(value, _PLAIN):
        with suppress(Exception):  # an int too long for repr, a list nested too deep, …
            text = repr(value)
    return short_text(text)


def short_text(text: str) -> str:
    """A text as messages show it: short, and of a URL, which can hold a password, the scheme."""
    before, cut, _ = text.partition(":/")  # not "://", of which a Path leaves one slash
    text = f"{before}{cut}…" if cut else text
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def held_by_this_thread(lock: RLock) -> bool:
    """Whether this very thread has the lock, which nobody takes twice."""
    return lock._is_owned()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001  # as threading.Condition asks it: there is no public way
