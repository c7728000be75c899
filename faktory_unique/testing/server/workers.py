"""`Workers`: the connected worker processes by worker id, and their states and heartbeats.

See server/workers.go.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

WorkerState: TypeAlias = Literal["", "quiet", "terminate"]
_RANK: dict[WorkerState, int] = {"": 0, "quiet": 1, "terminate": 2}

# A worker that sends no heartbeat for more seconds is removed (server/tasks.go:50).
MAX_SILENCE_SECONDS = 60.0


class Connection(Protocol):
    """A client's connection: the part of `Session` that `Workers` and `Core` use."""

    def close(self) -> None:
        """End the connection."""
        ...


class Worker:
    """A worker process.

    Attributes:
        first_connection: FETCH on it returns no job when the worker is quiet. Later connections
            keep the state that the worker had when they were opened (server/commands.go:238).
        last_seen: the time of its last heartbeat, in seconds since the epoch.
    """

    def __init__(self, first_connection: Connection, last_seen: float) -> None:
        self.first_connection = first_connection
        self.last_seen = last_seen
        self.state: WorkerState = ""
        self.connections = {first_connection}

    def signal(self, state: WorkerState) -> None:
        """Change the state, but never back to an earlier one."""
        if _RANK[state] > _RANK[self.state]:
            self.state = state


class Workers:
    """The workers that have sent HELLO with a worker id and are still connected."""

    def __init__(self) -> None:
        self._by_wid: dict[str, Worker] = {}

    def __len__(self) -> int:
        return len(self._by_wid)

    def add_connection(self, wid: str, connection: Connection, now: float) -> None:
        """Add a connection of a worker."""
        worker = self._by_wid.get(wid)
        if worker is None:
            self._by_wid[wid] = Worker(connection, now)
        else:
            worker.connections.add(connection)

    def remove_connection(self, wid: str, connection: Connection) -> None:
        """Remove a connection that has ended, and after its last one the worker."""
        worker = self._by_wid.get(wid)
        if worker is not None:
            worker.connections.discard(connection)
            if not worker.connections:
                del self._by_wid[wid]

    def beat(self, wid: str, state: str, now: float) -> Worker | None:
        """Record a heartbeat and the state that the worker reports.

        Returns:
            The worker; None if it is unknown.
        """
        worker = self._by_wid.get(wid)
        if worker is not None:
            worker.last_seen = now
            # Any other state counts as running, and so changes nothing.
            match state:
                case "quiet" | "terminate":
                    worker.signal(state)
        return worker

    def is_quiet(self, wid: str, connection: Connection) -> bool:
        """Return whether FETCH on this connection must return no job."""
        worker = self._by_wid.get(wid)
        return worker is not None and worker.first_connection is connection and worker.state != ""

    def remove_silent(self, now: float) -> list[Connection]:
        """Remove the silent workers (server/workers.go:221-253).

        Returns:
            Their connections, which the caller closes.
        """
        silent = [
            wid
            for wid, worker in self._by_wid.items()
            if worker.last_seen < now - MAX_SILENCE_SECONDS
        ]
        return [connection for wid in silent for connection in self._by_wid.pop(wid).connections]

    def mark_all_seen(self, now: float) -> None:
        """Count a heartbeat of every worker."""
        for worker in self._by_wid.values():
            worker.last_seen = now

    def first_silent_at(self) -> float | None:
        """Return the time at which the first worker counts as silent; None without workers."""
        times = [worker.last_seen for worker in self._by_wid.values()]
        return min(times) + MAX_SILENCE_SECONDS if times else None
