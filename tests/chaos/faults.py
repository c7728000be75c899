"""Does what a plan says to servers, proxies and processes, and journals what it did."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from redis import Redis

from tests.chaos.storage import stored

# Those that can go on at the same time: longer ones are a worker's stops.
_AT_ONCE = 32

# From when Faktory stands still until its storage has carried out what it was sent.
_SETTLING = 0.1


class Faults:
    """The faults of a run.

    Args:
        servers: by name: "faktory" and "redis".
        proxies: by the name of their server.
        crew: the processes.
        journal: of the run.

    Attributes:
        number: of those that hit something.
        last: a word on the latest.
    """

    def __init__(self, servers, proxies, crew, journal):
        self._servers = servers
        self._proxies = proxies
        self._crew = crew
        self._journal = journal
        self._turns = {name: threading.Lock() for name in servers}
        self._mutex = threading.Lock()
        self._threads = ThreadPoolExecutor(_AT_ONCE)
        self._under_way = []
        self.number = 0
        self.last = "none yet"

    def begin(self, fault):
        """Has a fault done in a thread of its own."""
        self._under_way.append(self._threads.submit(self._do, fault))

    def end(self):
        """Ends all faults, so that nothing is in anybody's way any more.

        Raises:
            ServerError: a server did not start, or stop.
        """
        self._crew.resume()
        for proxy in self._proxies.values():
            proxy.clean()
        for fault in self._under_way:
            fault.result()
        for proxy in self._proxies.values():
            proxy.clean()

    def close(self):
        """Lets no more begin, and waits for those under way."""
        self._crew.resume()
        self._threads.shutdown(cancel_futures=True)

    def _do(self, fault):
        began = time.monotonic()
        hit = getattr(self, f"_{fault.kind}")(fault.target, **fault.parameters)
        self._journal.note(
            *("fault",),
            kind=fault.kind,
            target=fault.target,
            parameters=fault.parameters,
            began=began,
            ended=time.monotonic(),
            victim=hit if isinstance(hit, str) else None,
            hit=bool(hit),
        )
        if hit:
            with self._mutex:
                self.number += 1
                self.last = f"{fault.kind} of {hit if isinstance(hit, str) else fault.target}"

    def _delay(self, target, by, seconds):
        self._proxies[target].delay(by, seconds)
        return True

    def _cut(self, target, reset):
        return self._proxies[target].cut(reset=reset) > 0

    def _cut_reply(self, target, verb):
        return self._proxies[target].cut_reply(verb)

    def _truncate(self, target, verb, towards):
        return self._proxies[target].truncate(towards, verb)

    def _refuse(self, target, seconds):
        self._proxies[target].refuse(seconds)
        return True

    def _black_hole(self, target, seconds):
        self._proxies[target].black_hole(seconds)
        return True

    def _kill(self, target, which, group):
        return self._crew.kill(target, which, group=group)

    def _stop(self, target, which, group, seconds):
        return self._crew.stop(target, which, seconds, group=group)

    def _terminate(self, target, which):
        return self._crew.terminate(target, which)

    def _restart(self, target):
        with self._turns[target]:
            self._servers[target].restart()
        return True

    def _forget(self, target):
        """Redis loses all locks, as one without persistence does with each restart."""
        with self._turns[target], Redis.from_url(self._servers[target].url) as server:
            began = time.monotonic()
            server.flushall()
            self._journal.note("forgot", began=began, ended=time.monotonic())
        return True

    def _kill_server(self, target):
        """SIGKILL to Faktory, once it is told what it had: what was in neither place is lost."""
        server = self._servers[target]
        with self._turns[target]:
            server.pause()
            began = time.monotonic()
            time.sleep(_SETTLING)
            jobs = stored(server)
            self._journal.note(
                *("killed",),
                server=target,
                began=began,
                owners=sorted({job.owner for job in jobs}),
                jids=sorted({job.jid for job in jobs}),
            )
            server.kill()
            server.start()
        return True
