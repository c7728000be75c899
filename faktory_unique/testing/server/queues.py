"""`Queues`: payloads by queue, valid names, pause and resume, and the FETCHes that wait."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_NAME = re.compile(r"[a-zA-Z0-9._-]+")  # storage/redis.go:253


@dataclass(eq=False)
class Waiter:
    """A FETCH that found its queues empty.

    Attributes:
        names: names of the queues.
        payload: the payload that it has received since; None: none yet.
    """

    names: Sequence[str]
    payload: str | None = None


class Queues:
    """Queues by name. A queue is created by its first job; jobs enter left and leave right."""

    def __init__(self) -> None:
        self._known: dict[str, deque[str]] = {}
        self._paused: list[str] = []
        self._waiters: list[Waiter] = []

    def __iter__(self) -> Iterator[tuple[str, deque[str]]]:
        """Iterate over a copy of names and payloads; queues may be removed during that."""
        return iter(list(self._known.items()))

    def _ensure_queue(self, name: str) -> deque[str]:
        """Return a queue. If it is unknown, create it (storage/redis.go:262-290).

        Raises:
            CommandError: a queue cannot have this name.
        """
        if name not in self._known:
            if not _NAME.fullmatch(name):
                raise CommandError(r"queue names must match \A[a-zA-Z0-9._-]+\z")
            self._known[name] = deque()
        return self._known[name]

    def add(self, name: str, payload: str) -> None:
        """Add a payload, or give it to the FETCH that has waited longest, as Redis does.

        Raises:
            CommandError: a queue cannot have this name.
        """
        queue = self._ensure_queue(name)
        for waiter in self._waiters:
            if name in waiter.names:
                waiter.payload = payload
                self._waiters.remove(waiter)
                return
        queue.appendleft(payload)

    def add_waiter(self, names: Sequence[str]) -> Waiter:
        """Register a FETCH that waits for the first payload of these queues; all are empty."""
        waiter = Waiter(names)
        self._waiters.append(waiter)
        return waiter

    def remove_waiter(self, waiter: Waiter) -> None:
        """Remove a FETCH that waits no longer, with or without a payload."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def payloads(self, name: str) -> Sequence[str]:
        """Return the payloads of a queue, the oldest last; none if the queue is unknown."""
        return self._known.get(name, ())

    def active(self, names: Sequence[str]) -> list[str]:
        """Return the names without those of paused queues."""
        return [name for name in names if name not in self._paused]

    def pop(self, names: Sequence[str]) -> str | None:
        """Remove and return the oldest payload of the first queue that has one; else None."""
        for name in names:
            if queue := self._known.get(name):
                return queue.pop()
        return None

    def pop_matching(self, names: Sequence[str], matches: Callable[[str], bool]) -> str | None:
        """Remove and return the oldest payload that matches, from the first queue with one.

        Returns:
            None if no payload matches.
        """
        for name in names:
            queue = self._known.get(name, ())
            for payload in reversed(queue):
                if matches(payload):
                    self._known[name].remove(payload)
                    return payload
        return None

    def pause(self, name: str) -> None:
        """Pause FETCH from a queue. An unknown queue is ignored (fetch.go:36)."""
        if name in self._known:
            self._paused = [*self._paused_except(name), name]

    def resume(self, name: str) -> None:
        """Undo `pause`."""
        if name in self._known:
            self._paused = self._paused_except(name)

    def remove(self, name: str) -> None:
        """Delete a queue and its jobs."""
        self._known.pop(name, None)
        self._paused = self._paused_except(name)

    def clear(self) -> None:
        """Delete all queues. A FETCH that waits continues to wait."""
        self._known.clear()
        self._paused.clear()

    def flush(self) -> None:
        """Empty all queues. The server still knows their names, and which are paused."""
        for queue in self._known.values():
            queue.clear()

    def _paused_except(self, name: str) -> list[str]:
        return [paused for paused in self._paused if paused != name]
