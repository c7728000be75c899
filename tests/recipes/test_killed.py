"""Workers are killed (SIGKILL) during exclusive and replacing jobs, on real servers.

A reservation lasts at least 60 seconds, and its job then waits for a retry. So all workers are
killed at once, and the test waits once for all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

# Changes of reindex.py: its own queue and times, and a worker that stops at given steps.
PRINT = 'print(f"document {document_id} as of revision {revision}", flush=True)'
SLOWLY = """print(document_id, revision, "begin", flush=True)
    time.sleep(15)
    print(document_id, revision, "end", flush=True)"""
JOB = "args=[document_id, revision], at"
CONSUMER = "Consumer(client, middleware=[unique])"
STOPPING = 'Consumer(client, ["reindex"], concurrency=8, middleware=[Stopping(), unique])'
REINDEX = {
    "soon": ("timedelta(seconds=30)", "timedelta(seconds=3)"),
    "slowly": (PRINT, SLOWLY),
    "its_queue": (JOB, f'queue="reindex", reserve_for=60, {JOB}'),
    "its_workers": (CONSUMER, STOPPING),
    "imports": ("# reindex.py", "import time\nfrom tests.recipes.stopping import Stopping"),
}


# Changes of sync.py: a run that is long enough for another job to wait.
SYNC = {"slowly": ("time.sleep(5)", "time.sleep(15)")}


class Sync:
    """Exclusive jobs of one customer. The worker of the first is killed while it runs."""

    def __init__(self, recipe, wait_for):
        self.sync = recipe("sync.py", **SYNC)
        self.workers = [self.sync.work() for _ in range(2)]
        self.push = self.sync.module.customer_changed
        self.wait_for = wait_for

    def kill(self):
        assert self.push(7, "first")
        self.wait_for(self.sync.lines)
        waiting = self.push(7, "second")
        assert waiting
        self.wait_for(lambda: any("requeue" in worker.log() for worker in self.workers))
        [printed] = self.sync.printed
        printed.worker.kill()
        again = self.push(7, "third")
        assert (again.status, again.jid) == ("duplicate", waiting.jid)

    def check(self):
        killed, *runs = self.sync.lines()
        assert killed == "7 begin first"
        one_by_one = (
            ["7 begin first", "7 end first", "7 begin second", "7 end second"],
            ["7 begin second", "7 end second", "7 begin first", "7 end first"],
        )
        assert runs in one_by_one
        assert not list(self.sync.module.unique.locks())


class Reindex:
    """Replacing jobs. Their worker is killed during the runs of some, and during FETCH of others.

    It runs the newest jobs of documents 6 and 7; that of 6 is replaced after the kill. It has
    fetched the replaced jobs of 8 and 9, and has not yet reported that they are superseded.
    """

    def __init__(self, recipe, wait_for):
        self.reindex = recipe("reindex.py", **REINDEX)
        self.wait_for = wait_for
        self.pushed = {}
        self.logs = []

    def push(self, document_id, revision):
        result = self.reindex.module.document_saved(document_id, revision)
        assert result.status == "pushed"
        before = self.pushed.get((document_id, revision - 1))
        assert result.replaced == (before and before.jid)
        self.pushed[document_id, revision] = result

    def begin(self):
        self.doomed = self._work()
        for document_id, revisions in ((6, [1]), (7, [1, 2]), (8, [1, 2]), (9, [1, 2])):
            for revision in revisions:
                self.push(document_id, revision)

    def kill(self):
        reached = {"6 1 begin", "7 2 begin", "8 1 stopped", "9 1 stopped"}
        self.wait_for(lambda: reached <= set(self.reindex.lines()))
        self.doomed.kill()
        assert not any(line.endswith("end") for line in self.reindex.lines())
        self._work()
        self.push(6, 2)

    def check(self):
        ended = [line for line in self.reindex.lines() if line.endswith("end")]
        assert sorted(ended) == ["6 2 end", "7 2 end", "8 2 end", "9 2 end"]
        superseded = {
            revision
            for revision, result in self.pushed.items()
            for worker in self.logs
            for line in worker.log().splitlines()
            if "superseded:" in line and f" jid={result.jid} " in line
        }
        assert superseded == {(6, 1), (7, 1), (8, 1), (9, 1)}
        assert not list(self.reindex.module.unique.locks())

    def _work(self):
        worker = self.reindex.work(PYTHONPATH=str(Path(__file__).parents[2]))
        self.logs.append(worker)
        return worker


@pytest.mark.long
def test_killed_workers_break_no_exclusive_or_replacing_job(recipe, wait_for, all_done):
    reindex, sync = Reindex(recipe, wait_for), Sync(recipe, wait_for)
    reindex.begin()
    sync.kill()
    reindex.kill()
    all_done(timeout=600)
    sync.check()
    reindex.check()
