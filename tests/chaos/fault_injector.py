"""Fault injector: applies planned faults to servers, proxies and processes, and journals them."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from redis import Redis

from tests.chaos.faktory_kills import MOVE_SECONDS
from tests.chaos.storage import stored_jobs, waiting_fetches

# Faults that can go on at the same time; a worker's stops are the longest.
_MAX_CONCURRENT = 32

# Seconds from Faktory's pause until its storage has applied all commands that it got.
_SETTLE_SECONDS = 0.1


class FaultInjector:
    """Applies the faults of a run.

    Args:
        servers: by name: "faktory" and "redis".
        proxies: by the name of their server.
        fleet: the producer and worker processes.
        journal: the run's journal.
        storage_log: follows Faktory's storage, from each start on.

    Attributes:
        count: the number of faults that hit something.
        last: a description of the latest fault.
    """

    def __init__(self, servers, proxies, fleet, journal, storage_log):
        self._servers = servers
        self._proxies = proxies
        self._fleet = fleet
        self._journal = journal
        self._storage_log = storage_log
        self._server_mutexes = {name: threading.Lock() for name in servers}
        self._mutex = threading.Lock()
        self._threads = ThreadPoolExecutor(_MAX_CONCURRENT)
        self._pending = []
        self.count = 0
        self.last = "none yet"

    def inject(self, fault):
        """Apply a fault in a thread of its own."""
        self._pending.append(self._threads.submit(self._apply, fault))

    def finish(self):
        """End all faults.

        Raises:
            ServerError: a server did not start or stop.
        """
        self._fleet.resume()
        for proxy in self._proxies.values():
            proxy.end_faults()
        for fault in self._pending:
            fault.result()
        for proxy in self._proxies.values():
            proxy.end_faults()

    def close(self):
        """Start no more faults, and end those in progress."""
        self._fleet.resume()
        for proxy in self._proxies.values():
            proxy.end_faults()
        self._threads.shutdown(cancel_futures=True)

    def _apply(self, fault):
        began = time.monotonic()
        hit = getattr(self, f"_{fault.kind}")(fault.target, **fault.parameters)
        victim = hit if isinstance(hit, str) else None
        self._journal.write(
            "fault",
            kind=fault.kind,
            target=fault.target,
            parameters=fault.parameters,
            began=began,
            ended=time.monotonic(),
            victim=victim,
            hit=bool(hit),
        )
        if hit:
            with self._mutex:
                self.count += 1
                self.last = f"{fault.kind} of {victim or fault.target}"

    def _delay(self, target, by, seconds):
        self._proxies[target].delay(by, seconds)
        return True

    def _cut(self, target, reset):
        return self._proxies[target].cut(reset=reset) > 0

    def _cut_reply(self, target, command):
        return self._proxies[target].cut_reply(command)

    def _truncate(self, target, command, towards):
        return self._proxies[target].truncate(towards, command)

    def _outage(self, target, command, seconds):
        return self._proxies[target].outage(command, seconds)

    def _hold(self, target, **parameters):
        """Hold commands or replies; journal the end of each hold."""

        def on_held(command, seconds):
            towards, now = parameters["towards"], time.monotonic()
            what = {"command": command.name, "subject": command.subject, "towards": towards}
            self._journal.write("held", **what, began=now - seconds, ended=now)

        return self._proxies[target].hold(**parameters, on_held=on_held)

    _overtake = _hold

    def _refuse(self, target, seconds):
        self._proxies[target].refuse(seconds)
        return True

    def _black_hole(self, target, seconds):
        self._proxies[target].black_hole(seconds)
        return True

    def _kill(self, target, index, group):
        return self._fleet.kill(target, index, group=group)

    def _stop(self, target, index, group, seconds):
        return self._fleet.stop(target, index, seconds, group=group)

    def _terminate(self, target, index):
        return self._fleet.terminate(target, index)

    def _restart(self, target):
        with self._server_mutexes[target]:
            self._servers[target].restart()
            if target == "faktory":
                self._storage_log.follow()
        return True

    def _forget(self, target):
        """Delete all locks, as a Redis without persistence does with each restart."""
        with self._server_mutexes[target], Redis.from_url(self._servers[target].url) as server:
            began = time.monotonic()
            server.flushall()
            self._journal.write("locks_lost", began=began, ended=time.monotonic())
        return True

    def _kill_server(self, target):
        """Send SIGKILL to Faktory, after journalling its jobs: a job between two places is lost."""
        server = self._servers[target]
        with self._server_mutexes[target]:
            before = {"began": time.monotonic(), "owners": _owners(server)}
            time.sleep(MOVE_SECONDS)
            # A connection carries out one command at a time (server/server.go:374), and the server
            # one task of its own (server/task_runner.go:95).
            most_moves = 1 + json.loads(server.ask("INFO")[0])["server"]["connections"]
            server.pause()
            time.sleep(_SETTLE_SECONDS)
            self._journal.write(
                "faktory_killed",
                server=target,
                before=before,
                began=time.monotonic(),
                owners=_owners(server),
                most_moves=most_moves - waiting_fetches(server),
            )
            server.kill()
            server.start()
            self._storage_log.follow()
        return True


def _owners(server):
    """Return the owners of all jobs in Faktory's storage."""
    return sorted({job.owner for job in stored_jobs(server)})
