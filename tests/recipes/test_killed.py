"""kill -9 of workers amid exclusive and replacing jobs, on the real servers.

A reservation lasts for 60 seconds at least, and what comes back waits for its retry then. So all
that is killed is killed at once, and there is one wait for all of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

# Of reindex.py: a queue and time of its own, and a worker that can be caught at each step.
PRINT = 'print(f"document {document_id} as of revision {revision}", flush=True)'
SLOWLY = """print(document_id, revision, "begin", flush=True)
    time.sleep(15)
    print(document_id, revision, "end", flush=True)"""
JOB = "args=[document_id, revision], at"
CONSUMER = "Consumer(client, middleware=[unique])"
PAUSING = 'Consumer(client, ["reindex"], concurrency=8, middleware=[Pausing(), unique])'
REINDEX = {
    "soon": ("timedelta(seconds=30)", "timedelta(seconds=3)"),
    "slowly": (PRINT, SLOWLY),
    "its_queue": (JOB, f'queue="reindex", reserve_for=60, {JOB}'),
    "its_workers": (CONSUMER, PAUSING),
    "imports": ("# reindex.py", "import time\nfrom tests.recipes.pausing import Pausing"),
}


# Of sync.py: runs long enough for the one that waits to meet them.
SYNC = {"slowly": ("time.sleep(5)", "time.sleep(15)")}


class Sync:
    """Exclusive jobs of one customer; the worker that runs the first is killed amid it."""

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
        [said] = self.sync.said
        said.worker.kill()
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
    """Replacing jobs; their worker is killed amid the newest ones' runs and others' FETCH.

    Of documents 6 and 7 it runs the newest, of which 6 is replaced after the kill; of 8 and 9 it
    has fetched the replaced job, and not yet said that it steps aside.
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
        amid = {"6 1 begin", "7 2 begin", "8 1 stands", "9 1 stands"}
        self.wait_for(lambda: amid <= set(self.reindex.lines()))
        self.doomed.kill()
        assert not any(line.endswith("end") for line in self.reindex.lines())
        self._work()
        self.push(6, 2)

    def check(self):
        ended = [line for line in self.reindex.lines() if line.endswith("end")]
        assert sorted(ended) == ["6 2 end", "7 2 end", "8 2 end", "9 2 end"]
        aside = {
            which
            for which, result in self.pushed.items()
            for worker in self.logs
            for line in worker.log().splitlines()
            if "superseded:" in line and f" jid={result.jid} " in line
        }
        assert aside == {(6, 1), (7, 1), (8, 1), (9, 1)}
        assert not list(self.reindex.module.unique.locks())

    def _work(self):
        worker = self.reindex.work(PYTHONPATH=str(Path(__file__).parents[2]))
        self.logs.append(worker)
        return worker


@pytest.mark.timeout(300)
def test_workers_killed_amid_exclusive_and_replacing_jobs(recipe, wait_for, all_done):
    reindex, sync = Reindex(recipe, wait_for), Sync(recipe, wait_for)
    reindex.begin()
    sync.kill()
    reindex.kill()
    all_done(seconds=240)
    sync.check()
    reindex.check()
