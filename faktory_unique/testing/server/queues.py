"""The fake's queues: lists of payloads, which are known, which are paused."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faktory_unique.testing.go.errors import GoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_NAME = re.compile(r"[a-zA-Z0-9._-]+")  # storage/redis.go:253


@dataclass(eq=False)
class Waiter:
    """A FETCH that found its queues empty.

    Attributes:
        names: of the queues.
        payload: what it was given since.
    """

    names: Sequence[str]
    payload: str | None = None


class Queues:
    """Queues by name: made by the first job, newest on the left, fetched from the right."""

    def __init__(self) -> None:
        self._known: dict[str, deque[str]] = {}
        self._paused: list[str] = []
        self._waiters: list[Waiter] = []

    def __iter__(self) -> Iterator[tuple[str, deque[str]]]:
        """Names and payloads; of a copy, so that queues may be removed meanwhile."""
        return iter(list(self._known.items()))

    def _get(self, name: str) -> deque[str]:
        """A queue, made where it is not known yet (storage/redis.go:262-290).

        Raises:
            GoError: its name is none.
        """
        if name not in self._known:
            if not _NAME.fullmatch(name):
                raise GoError(r"queue names must match \A[a-zA-Z0-9._-]+\z")
            self._known[name] = deque()
        return self._known[name]

    def add(self, name: str, payload: str) -> None:
        """Adds a payload, or gives it to who has waited longest, as Redis does.

        Raises:
            GoError: the queue's name is none.
        """
        queue = self._get(name)
        for waiter in self._waiters:
            if name in waiter.names:
                waiter.payload = payload
                self._waiters.remove(waiter)
                return
        queue.appendleft(payload)

    def wait(self, names: Sequence[str]) -> Waiter:
        """Waits for the first payload that comes to one of these queues, all of them empty."""
        waiter = Waiter(names)
        self._waiters.append(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Ends a wait, in vain or not."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def payloads(self, name: str) -> Sequence[str]:
        """What waits in a queue, the oldest last; nothing where it is not known."""
        return self._known.get(name, ())

    def active(self, names: Sequence[str]) -> list[str]:
        """Those of the queues that are not paused."""
        return [name for name in names if name not in self._paused]

    def pop(self, names: Sequence[str]) -> str | None:
        """The oldest payload of the first queue that has one."""
        for name in names:
            if queue := self._known.get(name):
                return queue.pop()
        return None

    def take(self, names: Sequence[str], fits: Callable[[str], bool]) -> str | None:
        """The oldest payload that fits, from the first of the queues that has one."""
        for name in names:
            queue = self._known.get(name, ())
            for payload in reversed(queue):
                if fits(payload):
                    self._known[name].remove(payload)
                    return payload
        return None

    def pause(self, name: str) -> None:
        """Lets nothing be fetched from a queue; one that is not known is let be (fetch.go:36)."""
        if name in self._known:
            self._paused = [*self._others_paused(name), name]

    def resume(self, name: str) -> None:
        """Undoes `pause`."""
        if name in self._known:
            self._paused = self._others_paused(name)

    def remove(self, name: str) -> None:
        """Forgets a queue and what waits in it, without a word to anybody."""
        self._known.pop(name, None)
        self._paused = self._others_paused(name)

    def clear(self) -> None:
        """Forgets all queues. Who waits for a job waits on."""
        self._known.clear()
        self._paused.clear()

    def flush(self) -> None:
        """Empties all; they stay known, and paused, in the server's memory."""
        for queue in self._known.values():
            queue.clear()

    def _others_paused(self, name: str) -> list[str]:
        return [paused for paused in self._paused if paused != name]
