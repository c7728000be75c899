"""Queues of payloads: their names, the bad names, pause and resume, the FETCHes that wait."""

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
    """Queues by name. The first job makes a queue; jobs enter left and leave right."""

    def __init__(self) -> None:
        self._known: dict[str, deque[str]] = {}
        self._paused: list[str] = []
        self._waiters: list[Waiter] = []

    def __iter__(self) -> Iterator[tuple[str, deque[str]]]:
        """Iterate over a copy of names and payloads; queues may be removed during that."""
        return iter(list(self._known.items()))

    def _get(self, name: str) -> deque[str]:
        """Return a queue, and make it if it is unknown (storage/redis.go:262-290).

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
        queue = self._get(name)
        for waiter in self._waiters:
            if name in waiter.names:
                waiter.payload = payload
                self._waiters.remove(waiter)
                return
        queue.appendleft(payload)

    def add_waiter(self, names: Sequence[str]) -> Waiter:
        """Wait for the first payload of one of these queues, which are all empty."""
        waiter = Waiter(names)
        self._waiters.append(waiter)
        return waiter

    def remove_waiter(self, waiter: Waiter) -> None:
        """End a wait, with or without a payload."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def payloads(self, name: str) -> Sequence[str]:
        """Return the payloads of a queue, the oldest last; none if the queue is unknown."""
        return self._known.get(name, ())

    def active(self, names: Sequence[str]) -> list[str]:
        """Return the names without those of paused queues."""
        return [name for name in names if name not in self._paused]

    def pop(self, names: Sequence[str]) -> str | None:
        """Remove and return the oldest payload of the first queue that has one."""
        for name in names:
            if queue := self._known.get(name):
                return queue.pop()
        return None

    def take(self, names: Sequence[str], matches: Callable[[str], bool]) -> str | None:
        """Remove and return the oldest payload that matches, from the first queue with one."""
        for name in names:
            queue = self._known.get(name, ())
            for payload in reversed(queue):
                if matches(payload):
                    self._known[name].remove(payload)
                    return payload
        return None

    def pause(self, name: str) -> None:
        """Pause FETCH from a queue; an unknown queue is ignored (fetch.go:36)."""
        if name in self._known:
            self._paused = [*self._others_paused(name), name]

    def resume(self, name: str) -> None:
        """Undo `pause`."""
        if name in self._known:
            self._paused = self._others_paused(name)

    def remove(self, name: str) -> None:
        """Forget a queue and its jobs."""
        self._known.pop(name, None)
        self._paused = self._others_paused(name)

    def clear(self) -> None:
        """Forget all queues. A FETCH that waits goes on waiting."""
        self._known.clear()
        self._paused.clear()

    def flush(self) -> None:
        """Empty all queues; the server still knows them, and which are paused."""
        for queue in self._known.values():
            queue.clear()

    def _others_paused(self, name: str) -> list[str]:
        return [paused for paused in self._paused if paused != name]
