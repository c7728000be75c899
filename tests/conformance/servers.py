"""The two servers that must not be told apart: the fake, over TCP, and a real one."""

import time
from datetime import UTC, datetime

from faktory_unique.testing import FakeFaktory
from scripts.servers import FaktoryServer

from .wire import Line, new_wid


class Server:
    """What the suite does with either; lines that it opens are closed by `end_lines`.

    Attributes:
        kind: fake or real.
        port: of the server.
    """

    kind: str
    port: int

    def __init__(self):
        self._lines = []

    def dial(self):
        """A connection on which nothing was said yet."""
        line = Line(self.port)
        self._lines.append(line)
        return line

    def producer(self):
        """A connection of no worker."""
        line = self.dial()
        assert line.hello() == "+OK"
        return line

    def worker(self, wid=None):
        """A connection of a worker, of its own unless a worker id is given."""
        line = self.dial()
        line.wid = wid or new_wid()
        assert line.hello(wid=line.wid, hostname="test", pid=1, labels=[]) == "+OK"
        return line

    def clean(self):
        """End all jobs, queues and counts, and the leak of PUSH's retry (commands.go:215)."""
        line = self.producer()
        jids = {jid for line in self._lines for jid in line.fetched}
        asked = [line.ack(jid) for jid in jids]
        asked.append(line.ask('PUSH {"jid":"job-of-clean","jobtype":"x","args":[],"retry":25}'))
        asked += [line.ask("QUEUE REMOVE *"), line.ask("FLUSH")]
        assert set(asked) == {"+OK"}

    def end_lines(self):
        while self._lines:
            self._lines.pop().close()

    def time(self, seconds=0.0):
        """The time of the server that many seconds from now, as jobs have it."""
        return datetime.fromtimestamp(self.now() + seconds, UTC).isoformat()

    def until(self, condition, seconds, pass_time=None):
        """Let time pass until the condition holds; AssertionError when it never does."""
        left = seconds
        while not condition():
            assert left > 0, f"not within {seconds} seconds"
            (pass_time or self.pass_time)(self.step)
            left -= self.step

    def soon(self, condition):
        """Wait for what either server notices in its own time, as that a client is gone."""
        deadline = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < deadline, "not within 5 seconds"
            time.sleep(0.02)

    def stand_between(self, every):
        """Let time pass until no task is about to run of those that run every so many seconds."""
        self.until(lambda: 1.5 <= self.now() % every <= every - 1.5, every)


class Fake(Server):
    """A FakeFaktory, whose time is advanced."""

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
        """Let time pass in which no worker is heard of."""
        self.faktory.clock.advance(seconds)


class Real(Server):
    """A Faktory 1.10.0, which is waited for."""

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
