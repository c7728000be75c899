"""The two servers that must behave alike: the fake over TCP, and a real Faktory."""

import time
from datetime import UTC, datetime

from faktory_unique.testing import FakeFaktory
from scripts.servers import FaktoryServer
from tests.patience import wait_for

from .wire import Line, new_wid


class Server:
    """A server of either kind. `end_lines` closes the connections that it opened.

    Attributes:
        kind: fake or real.
        port: the server's port.
    """

    kind: str
    port: int

    def __init__(self):
        self._lines = []

    def dial(self):
        """Return a connection before its HELLO."""
        line = Line(self.port)
        self._lines.append(line)
        return line

    def producer(self):
        """Return a producer's connection."""
        line = self.dial()
        assert line.hello() == "+OK"
        return line

    def worker(self, wid=None):
        """Return a connection of a worker, a new one without a worker id."""
        line = self.dial()
        line.wid = wid or new_wid()
        assert line.hello(wid=line.wid, hostname="test", pid=1, labels=[]) == "+OK"
        return line

    def clean(self):
        """Remove all jobs, queues and counts, and reset PUSH's default retry (commands.go:215)."""
        line = self.producer()
        jids = {jid for line in self._lines for jid in line.fetched}
        replies = [line.ack(jid) for jid in jids]
        replies.append(line.ask('PUSH {"jid":"job-of-clean","jobtype":"x","args":[],"retry":25}'))
        replies += [line.ask("QUEUE REMOVE *"), line.ask("FLUSH")]
        assert set(replies) == {"+OK"}

    def end_lines(self):
        while self._lines:
            self._lines.pop().close()

    def time(self, seconds=0.0):
        """Return the server's time so many seconds from now, as jobs have it."""
        return datetime.fromtimestamp(self.now() + seconds, UTC).isoformat()

    def until(self, condition, seconds, pass_time=None):
        """Let time pass until a condition is true, for at most some seconds."""
        left = seconds
        while not condition():
            assert left > 0, f"not within {seconds} seconds"
            (pass_time or self.pass_time)(self.step)
            left -= self.step

    def soon(self, condition):
        """Wait for an event that the server notices a little later, such as a closed connection."""
        wait_for(condition)

    def avoid_tasks(self, every):
        """Let time pass until the tasks that run every so many seconds are not about to run."""
        self.until(lambda: 1.5 <= self.now() % every <= every - 1.5, every)


class Fake(Server):
    """A FakeFaktory with a clock that the suite advances."""

    kind = "fake"
    step = 1

    def __init__(self, password=""):
        super().__init__()
        self.faktory = FakeFaktory(password=password)

    def __enter__(self):
        self.faktory.listen()
        self.port = int(self.faktory.url.rpartition(":")[2])
        return self

    def __exit__(self, *_exc):
        self.end_lines()
        self.faktory.close()

    def now(self):
        return self.faktory.clock()

    def pass_time(self, seconds):
        self.faktory.advance(seconds)

    def be_silent(self, seconds):
        """Let time pass in which no worker sends a heartbeat."""
        self.faktory.clock.advance(seconds)


class Real(Server):
    """A Faktory 1.10.0, on which the suite waits for time to pass."""

    kind = "real"
    step = 0.25

    def __init__(self, directory, password=""):
        super().__init__()
        self.faktory = FaktoryServer(directory, password=password)
        self.port = self.faktory.port

    def __enter__(self):
        self.faktory.start()
        self.port = self.faktory.port
        return self

    def __exit__(self, *_exc):
        self.end_lines()
        self.faktory.stop()

    def now(self):
        return time.time()

    def pass_time(self, seconds):
        time.sleep(seconds)

    def be_silent(self, seconds):
        time.sleep(seconds)
