"""The demo: the main job, done on the servers it is pointed at."""

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
from faktory_unique.locks.transition import read_transition
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

# Seconds within which the server must have given the jobs out and the worker have run them.
_PATIENCE = 30.0


def send_email(user_id: int, template: str) -> None:
    """A short job."""
    del user_id, template
    time.sleep(0.05)


def build_report(customer: str) -> None:
    """A job long enough to be pushed again while it runs."""
    del customer
    time.sleep(1.5)


class Watch(Middleware):
    """A middleware of the demo's own: notes which jobs run and which Faktory has acknowledged."""

    def __init__(self, shown: Callable[[str, str], None]) -> None:
        self.running: set[str] = set()
        self.done: set[str] = set()
        self.executed = 0
        self._shown = shown

    def fetch(self, job: Payload, call_next: Callable[[Payload], FetchDecision]) -> FetchDecision:
        """Notes that the job is about to run."""
        answer = call_next(job)
        self.running.add(job["jid"])
        self._shown(job["jid"], "running")
        return answer

    def ack(self, job: Payload, call_next: Callable[[Payload], ReportStatus]) -> ReportStatus:
        """Notes that the job is done; the lock, freed further in, is gone by now."""
        answer = call_next(job)
        self.executed += 1
        self.done.add(job["jid"])
        self._shown(job["jid"], "done")
        return answer


class Board:
    """The live table: one row for each push."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._rows: list[tuple[str, Job, PushResult]] = []
        self._states: dict[str, str] = {}

    def show(self, what: str, job: Job, result: PushResult) -> None:
        """Adds a row for a push."""
        self._rows.append((what, job, result))
        self._live.update(self._table(), refresh=True)

    def state(self, jid: str, state: str) -> None:
        """Notes what the worker does with a job."""
        self._states[jid] = state
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        headings = ("push", "job", "outcome", "stands for it", "worker")
        table = Table(*headings, box=SIMPLE_HEAD, pad_edge=False)
        status_if_pushed = {result.jid: what for what, _, result in self._rows if result}
        for what, job, result in self._rows:
            table.add_row(
                what,
                f"{job.jobtype}({', '.join(map(repr, job.args))})",
                f"[{'green' if result else 'yellow'}]{result.status}[/]",
                f"{result.jid[:8]} {'' if result else status_if_pushed.get(result.jid, '')}",
                self._states.get(result.jid, "queued") if result else "",
            )
        return table


class _Story:
    """What the demo pushes, act by act."""

    def __init__(self, producer: Producer, board: Board, queue: str) -> None:
        self._producer = producer
        self._board = board
        self._queue = queue
        self.counted: Counter[PushStatus] = Counter()
        self.keys: set[str] = set()

    def before_the_worker(self) -> None:
        """Singles, an equal among them, and a bulk with equals inside and out."""
        self._first = self._push("single", self._email(42, "welcome"))
        self._push("single again", self._email(42, "welcome"))
        self._push("other args", self._email(42, "invoice"))
        bulk = [self._email(n, "news") for n in (1, 2, 3, 2, 1)]
        bulk.append(self._email(42, "welcome"))
        for n, result in enumerate(self._producer.push_bulk(bulk).results):
            self._note(f"bulk [{n}]", bulk[n], result)

    def while_running(self, watch: Watch) -> None:
        """An equal of a job that is running: still a duplicate."""
        report = self._report("ACME")
        first = self._push("long job", report)
        _wait(lambda: first.jid in watch.running, "the long job runs")
        self._push("while it runs", self._report("ACME"))

    def after_ack(self, watch: Watch) -> None:
        """The same work once more after its job was acknowledged: a new job."""
        _wait(lambda: self._first.jid in watch.done, "the first job is done")
        self._push("after its ACK", self._email(42, "welcome"))

    def _email(self, user_id: int, template: str) -> Job:
        return Job(jobtype=EMAIL, args=[user_id, template], queue=self._queue)

    def _report(self, customer: str) -> Job:
        return Job(jobtype=REPORT, args=[customer], queue=self._queue)

    def _push(self, what: str, job: Job) -> PushResult:
        result = self._producer.push(job)
        self._note(what, job, result)
        return result

    def _note(self, what: str, job: Job, result: PushResult) -> None:
        self.counted[result.status] += 1
        if result.key is not None:
            self.keys.add(result.key)
        self._board.show(what, job, result)


def run_demo(faktory_url: str, store: str) -> bool:
    """Runs the demo; whether all that was pushed was executed and no lock is left.

    Args:
        faktory_url: where Faktory is.
        store: where locks go.

    Raises:
        FaktoryUniqueError: a server does not answer, or the jobs were not worked in time.
    """
    # A queue and locks of its own: what an interrupted demo left is not taken for this one's.
    queue = f"faktory-unique-demo-{secrets.token_hex(3)}"
    policy = Policy(ttl=600, per_queue=True)
    console = Console()
    with (
        Unique(store=store, policies={EMAIL: policy, REPORT: policy}) as unique,
        Live(console=console, auto_refresh=False) as live,
        Client(faktory_url) as client,
    ):
        board = Board(live)
        watch = Watch(board.state)
        producer = Producer(client, middleware=[unique])
        story = _Story(producer, board, queue)
        story.before_the_worker()
        with _worker(faktory_url, queue, [watch, unique]):
            story.while_running(watch)
            story.after_ack(watch)
            _wait(lambda: watch.executed >= story.counted[PushStatus.PUSHED], "all jobs are done")
        keys = sorted(story.keys)
        locks_left = sum(
            v is not None for v in unique._context.store.run([read_transition(k) for k in keys])
        )
    if not console.is_terminal:
        console.print()  # Live ends a table in a file without a line end
    pushed, duplicates = story.counted[PushStatus.PUSHED], story.counted[PushStatus.DUPLICATE]
    console.print(
        f"demo: pushed={pushed} duplicates={duplicates} executed={watch.executed} "
        f"locks_left={locks_left}",
        highlight=False,
    )
    return pushed == watch.executed and locks_left == 0


@contextlib.contextmanager
def _worker(faktory_url: str, queue: str, middleware: list[Middleware]) -> Iterator[None]:
    """A consumer of the demo's queue, running in a thread beside the block."""
    with Client(faktory_url, role="consumer", worker_id=f"demo-{secrets.token_hex(4)}") as client:
        consumer = Consumer(
            client,
            queues=[queue],
            middleware=middleware,
            concurrency=2,
            # This process has threads, and what they hold at a fork stays held in the child.
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


def _wait(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            raise FaktoryUniqueError(f"waited {_PATIENCE:.0f} s until {what}, in vain")
        time.sleep(0.02)
