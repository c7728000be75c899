"""The run of `faktory-unique demo`: pushes jobs and duplicates, runs a worker, shows a table."""

from __future__ import annotations

import contextlib
import multiprocessing
import secrets
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from faktory_unique._pyfaktory import Job
from faktory_unique.client.client import Client
from faktory_unique.client.producer import Producer
from faktory_unique.errors import FaktoryUniqueError
from faktory_unique.middleware import Middleware, ReportStatus
from faktory_unique.policy.policy import Policy
from faktory_unique.results import PushStatus
from faktory_unique.unique.middleware import Unique
from faktory_unique.worker.consumer import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faktory_unique.middleware import FetchDecision, Payload
    from faktory_unique.results import PushResult

EMAIL = "Email"
REPORT = "Report"

# Seconds to wait until a job runs or is done.
_TIMEOUT = 30.0


def send_email(user_id: int, template: str) -> None:
    """Sleep for 50 ms: a short job."""
    del user_id, template
    time.sleep(0.05)


def build_report(customer: str) -> None:
    """Sleep for 1.5 s: a job that is long enough to be pushed again while it runs."""
    del customer
    time.sleep(1.5)


class JobProgress(Middleware):
    """A middleware that records which jobs are running and which are acknowledged.

    Args:
        show: called with the jid and the new state of a job, "running" or "done".

    Attributes:
        running: the jids of the jobs that were started.
        done: the jids of the jobs that were acknowledged.
        executed: the number of ACKs.
    """

    def __init__(self, show: Callable[[str, str], None]) -> None:
        self.running: set[str] = set()
        self.done: set[str] = set()
        self.executed = 0
        self._show = show

    def fetch(self, job: Payload, call_next: Callable[[Payload], FetchDecision]) -> FetchDecision:
        """Record that the job is about to run."""
        decision = call_next(job)
        self.running.add(job["jid"])
        self._show(job["jid"], "running")
        return decision

    def ack(self, job: Payload, call_next: Callable[[Payload], ReportStatus]) -> ReportStatus:
        """Record that the job is done. `Unique`, which is further inside, has released its lock."""
        status = call_next(job)
        self.executed += 1
        self.done.add(job["jid"])
        self._show(job["jid"], "done")
        return status


class PushTable:
    """The live table with one row for each push.

    Args:
        live: the display that shows the table.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._rows: list[tuple[str, Job, PushResult]] = []
        self._states: dict[str, str] = {}

    def add(self, label: str, job: Job, result: PushResult) -> None:
        """Add a row for a push."""
        self._rows.append((label, job, result))
        self._live.update(self._table(), refresh=True)

    def show_state(self, jid: str, state: str) -> None:
        """Show the worker's state of a job."""
        self._states[jid] = state
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        headings = ("push", "job", "result", "queued job", "worker")
        table = Table(*headings, box=SIMPLE_HEAD, pad_edge=False)
        pushed_by = {result.jid: label for label, _, result in self._rows if result}
        for label, job, result in self._rows:
            table.add_row(
                label,
                f"{job.jobtype}({', '.join(map(repr, job.args))})",
                f"[{'green' if result else 'yellow'}]{result.status}[/]",
                f"{result.jid[:8]} {'' if result else pushed_by.get(result.jid, '')}",
                self._states.get(result.jid, "queued") if result else "",
            )
        return table


class Scenario:
    """The pushes of the demo, in three steps.

    Attributes:
        counts: the number of pushes by status.
        jobs: the jobs that were pushed.
    """

    def __init__(self, producer: Producer, table: PushTable, queue: str) -> None:
        self._producer = producer
        self._table = table
        self._queue = queue
        self.counts: Counter[PushStatus] = Counter()
        self.jobs: list[Job] = []

    def push_before_the_worker(self) -> None:
        """Push single jobs, a duplicate, and a bulk with duplicates."""
        self._first = self._push("single", self._email(42, "welcome"))
        self._push("single again", self._email(42, "welcome"))
        self._push("other args", self._email(42, "invoice"))
        bulk = [self._email(n, "news") for n in (1, 2, 3, 2, 1)]
        bulk.append(self._email(42, "welcome"))
        for n, result in enumerate(self._producer.push_bulk(bulk).results):
            self._record(f"bulk [{n}]", bulk[n], result)

    def push_while_running(self, progress: JobProgress) -> None:
        """Push a duplicate of a job that is running."""
        first = self._push("long job", self._report("ACME"))
        _wait(lambda: first.jid in progress.running, "the long job runs")
        self._push("while it runs", self._report("ACME"))

    def push_after_ack(self, progress: JobProgress) -> None:
        """Push the first job once more after its ACK, as a new job."""
        _wait(lambda: self._first.jid in progress.done, "the first job is done")
        self._push("after its ACK", self._email(42, "welcome"))

    def _email(self, user_id: int, template: str) -> Job:
        return Job(jobtype=EMAIL, args=[user_id, template], queue=self._queue)

    def _report(self, customer: str) -> Job:
        return Job(jobtype=REPORT, args=[customer], queue=self._queue)

    def _push(self, label: str, job: Job) -> PushResult:
        result = self._producer.push(job)
        self._record(label, job, result)
        return result

    def _record(self, label: str, job: Job, result: PushResult) -> None:
        self.counts[result.status] += 1
        if result:
            self.jobs.append(job)
        self._table.add(label, job, result)


def run_demo(faktory_url: str, store: str) -> bool:
    """Run the demo. Return whether all pushed jobs were executed and no lock is left.

    Args:
        faktory_url: the URL of the Faktory server.
        store: the URL of the lock store.

    Raises:
        FaktoryUniqueError: a server does not reply, or the jobs were not done in 30 s.
        ValueError: a URL cannot be used.
    """
    # A new queue, which is part of the keys: locks of an interrupted demo make no duplicates here.
    queue = f"faktory-unique-demo-{secrets.token_hex(3)}"
    policy = Policy(ttl=600, per_queue=True)
    console = Console()
    with (
        Unique(store=store, policies={EMAIL: policy, REPORT: policy}) as unique,
        Live(console=console, auto_refresh=False) as live,
        Client(faktory_url) as client,
    ):
        table = PushTable(live)
        progress = JobProgress(table.show_state)
        scenario = Scenario(Producer(client, middleware=[unique]), table, queue)
        scenario.push_before_the_worker()
        with _worker(faktory_url, queue, [progress, unique]):
            scenario.push_while_running(progress)
            scenario.push_after_ack(progress)
            pushed = scenario.counts[PushStatus.PUSHED]
            _wait(lambda: progress.executed >= pushed, "all jobs are done")
        locks = [unique.holder(job.jobtype, job.args, queue=queue) for job in scenario.jobs]
    if not console.is_terminal:
        console.print()  # Live ends a table in a file without a line end
    locks_left = len({lock.key for lock in locks if lock is not None})
    console.print(
        f"demo: pushed={pushed} duplicates={scenario.counts[PushStatus.DUPLICATE]} "
        f"executed={progress.executed} locks_left={locks_left}",
        highlight=False,
    )
    return pushed == progress.executed and locks_left == 0


@contextlib.contextmanager
def _worker(faktory_url: str, queue: str, middleware: list[Middleware]) -> Iterator[None]:
    """Run a consumer of the demo's queue in a thread during the block."""
    with Client(faktory_url, role="consumer", worker_id=f"demo-{secrets.token_hex(4)}") as client:
        consumer = Consumer(
            client,
            queues=[queue],
            middleware=middleware,
            concurrency=2,
            # This process has threads: a mutex that one of them holds during a fork would stay
            # acquired in the child.
            context=multiprocessing.get_context("spawn"),
        )
        consumer.register(EMAIL, send_email)
        consumer.register(REPORT, build_report)
        thread = threading.Thread(target=consumer.run, name="demo-worker")
        thread.start()
        try:
            yield
        finally:
            consumer.stop()
            thread.join()
            client.queue_remove([queue])


def _wait(reached: Callable[[], bool], goal: str) -> None:
    """Wait until `reached` returns true.

    Raises:
        FaktoryUniqueError: that took more than 30 s. The message names the goal.
    """
    deadline = time.monotonic() + _TIMEOUT
    while not reached():
        if time.monotonic() > deadline:
            raise FaktoryUniqueError(f"timed out after {_TIMEOUT:.0f} s, waiting until {goal}")
        time.sleep(0.02)
