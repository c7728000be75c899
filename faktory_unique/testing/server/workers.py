"""The worker processes that the fake knows, by worker id (server/workers.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from .session import Session

WorkerState: TypeAlias = Literal["", "quiet", "terminate"]
_RANK: dict[WorkerState, int] = {"": 0, "quiet": 1, "terminate": 2}

# A worker that is silent for longer is forgotten (server/tasks.go:50).
LONGEST_SILENCE = 60.0


class Worker:
    """One worker process.

    Attributes:
        first: its first connection, the one that FETCH is kept from when the worker is quiet: what
            later ones know of its state is what it was when they came (server/commands.go:238).
        heard: when it was last heard of: seconds since the epoch.
    """

    def __init__(self, first: Session, heard: float) -> None:
        self.first = first
        self.heard = heard
        self.state: WorkerState = ""
        self.connections = {first}

    def signal(self, state: WorkerState) -> None:
        """Moves it on towards its end; never back."""
        if _RANK[state] > _RANK[self.state]:
            self.state = state


class Workers:
    """All that have said HELLO with a worker id and are still there."""

    def __init__(self) -> None:
        self._by_wid: dict[str, Worker] = {}

    def __len__(self) -> int:
        return len(self._by_wid)

    def hello(self, wid: str, session: Session, now: float) -> None:
        """A connection of a worker."""
        worker = self._by_wid.get(wid)
        if worker is None:
            self._by_wid[wid] = Worker(session, now)
        else:
            worker.connections.add(session)

    def beat(self, wid: str, state: str, now: float) -> Worker | None:
        """A heartbeat, and the state that the worker says it is in; None: nobody knows it."""
        worker = self._by_wid.get(wid)
        if worker is not None:
            worker.heard = now
            # A state that is none of the known counts as running, and running is no step onwards.
            match state:
                case "quiet" | "terminate":
                    worker.signal(state)
        return worker

    def is_quiet(self, wid: str, session: Session) -> bool:
        """Whether FETCH on this connection is to find nothing."""
        worker = self._by_wid.get(wid)
        return worker is not None and worker.first is session and worker.state != ""

    def gone(self, wid: str, session: Session) -> None:
        """A connection has ended; with its last one the worker is forgotten."""
        worker = self._by_wid.get(wid)
        if worker is not None:
            worker.connections.discard(session)
            if not worker.connections:
                del self._by_wid[wid]

    def reap(self, now: float) -> list[Session]:
        """Forgets the silent ones; their connections, to be closed (server/workers.go:221-253)."""
        silent = [w for w, worker in self._by_wid.items() if worker.heard < now - LONGEST_SILENCE]
        return [session for wid in silent for session in self._by_wid.pop(wid).connections]

    def heard_all(self, now: float) -> None:
        """Takes all that are there for just heard of."""
        for worker in self._by_wid.values():
            worker.heard = now

    def first_silent(self) -> float | None:
        """When the first of them falls due to be reaped; None where there are none."""
        heard = [worker.heard for worker in self._by_wid.values()]
        return min(heard) + LONGEST_SILENCE if heard else None
