"""What a consumer does to its process, and what those of its handlers can be given."""

from __future__ import annotations

import contextlib
import pickle
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def called_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` on SIGTERM and Ctrl-C within the block, and puts the handlers back after it.

    A call and no exception: raised amid a FETCH, that would strand the job it brings. Signals are
    the main thread's alone; in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [signal.signal(number, lambda *_: stop()) for number in _STOPPING]
    try:
        yield
    finally:
        for number, handler in zip(_STOPPING, before, strict=True):
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def refuse_unpicklable(sent: object, name: str, hint: str) -> None:
    """Finds out now, and not when a job is there, what cannot be sent to a process.

    Raises:
        TypeError: it cannot be pickled; the message has name and hint.
    """
    try:
        pickle.dumps(sent)
    except Exception as exc:
        raise TypeError(f"{name} cannot be pickled: {exc}; {hint}") from exc
