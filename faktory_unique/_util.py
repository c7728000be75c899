"""The logger; escaped and short forms of foreign text for messages; selectors; RLocks."""

from __future__ import annotations

import logging
import selectors
from contextlib import suppress
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from threading import RLock

_MAX_LENGTH = 100
_MAX_LOGGED_LENGTH = 500
_MAX_NAMES = 1_000
# Other objects are shown by their type: the repr of a client may contain its password.
_PLAIN = (str, bytes, int, float, list, tuple, dict, type(None))


def visible_text(text: str, max_length: int = _MAX_LOGGED_LENGTH) -> str:
    """Return a foreign text for one line of a log or an error: escaped, and cut in its middle.

    A line end or a terminal's control character in a jobtype or in a server's reply could forge a
    line. Characters that are not printable are written as in a Python string. The end of a text
    stays, since an error ends with what to do.
    """
    if len(text) > max_length:
        text = f"{text[: max_length * 2 // 3]}…{text[-(max_length // 3) :]}"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class _VisibleArguments(logging.Filter):
    """Escapes and cuts each text that is inserted into a log line, so that it stays one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                visible_text(str(value)) if isinstance(value, str | BaseException) else value
                for value in record.args
            )
        return True


log = logging.getLogger("faktory_unique")
log.addFilter(_VisibleArguments())


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


class FirstTimes:
    """Reports which names occur for the first time, for warnings that are logged once per name.

    Names come from jobs, so not more than 1,000 are remembered. Further names are never the first.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()

    def is_first(self, name: str) -> bool:
        """Return whether a name occurs for the first time, and remember it."""
        if name in self._names or len(self._names) >= _MAX_NAMES:
            return False
        self._names.add(name)
        return True


def new_selector() -> selectors.BaseSelector:
    """Return a selector that uses `poll`, or the platform's default if there is no `poll`.

    `select` cannot handle descriptors above 1023, and `epoll` needs one of its own. But Windows has
    `select` alone, and so has a program that eventlet has patched.
    """
    return getattr(selectors, "PollSelector", selectors.DefaultSelector)()


def held_by_this_thread(lock: RLock) -> bool:
    """Return whether the current thread holds the lock.

    A signal handler may run while its own thread holds the lock. The handler must not wait for it.
    """
    return lock._is_owned()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001  # as threading.Condition does: there is no public way
