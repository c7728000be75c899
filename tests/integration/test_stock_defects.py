"""Defects of stock pyfaktory that this library does not have: the same scenario on both.

Each test states once what a user sees on stock pyfaktory and on this library. If a release of
pyfaktory fixes a defect, the stock half of its test fails, and the workaround can be removed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pyfaktory
import pytest

import faktory_unique
from faktory_unique import Policy, Producer, Unique
from tests.integration.scripted import ScriptedServer, bulk
from tests.integration.stock_handlers import TRACE
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
REFUSAL = b"-ERR jobs must have an args parameter\r\n"
BROKEN = b"-ERR internal error\r\n"
NOTHING = b"$-1\r\n"


def expect(*, stock, ours):
    """Run a test on both libraries, with what a user sees on each."""
    return pytest.mark.parametrize(
        ("library", "expected"),
        [
            pytest.param(pyfaktory, stock, id="stock"),
            pytest.param(faktory_unique, ours, id="ours"),
        ],
    )


def result_of(call):
    """Return the result of a call, or the name of the exception that it raises."""
    try:
        return call()
    except Exception as exc:  # noqa: BLE001  # the name is the observation
        return type(exc).__name__


@contextmanager
def connected(library, url, **options):
    client = library.Client(url, **options)
    client.connect()
    try:
        yield client
    finally:
        if library is pyfaktory:
            client.sock.close()  # its disconnect() raises if the connection is lost
        else:
            client.disconnect()


def pushing(library, client):
    """Return a function that pushes a new job, and returns whether it was pushed."""
    producer = library.Producer(client)
    return lambda: bool(producer.push(library.Job(jobtype="note", args=[])))


def acceptance(command):
    """Return the reply that accepts a command."""
    return bulk("{}") if command.startswith("PUSHB ") else b"+OK\r\n"


class TestLateReplies:
    """After a time-out, the late reply still comes, on the same connection."""

    @expect(
        stock=["TimeoutError", True, "FaktroyWorkProtocolError"],
        ours=["PushOutcomeUnknown", "PushRefused", True],
    )
    def test_push_after_a_time_out_gets_its_own_reply(self, library, expected):
        """The first times out, the server refuses the second and accepts the third."""
        late = threading.Event()

        def script(peer):
            for command in peer:
                number = len(server.received)
                if number == 1:
                    late.wait(PATIENCE)
                else:
                    time.sleep(0.2)  # or the client could read both replies together
                peer.send(REFUSAL if number == 2 else acceptance(command))

        with (
            ScriptedServer(script) as server,
            connected(library, server.url, timeout=1) as client,
        ):
            push = pushing(library, client)
            first = result_of(push)
            late.set()
            assert [first, result_of(push), result_of(push)] == expected

    @expect(stock=["TimeoutError", "TimeoutError"], ours=["PushOutcomeUnknown", True])
    def test_two_replies_at_once_end_the_wait(self, library, expected):
        """The server sends a late reply together with the next one."""

        def script(peer):
            pending = b""
            for command in peer:
                pending += acceptance(command)
                if len(server.received) > 1:
                    peer.send(pending)
                    pending = b""

        with (
            ScriptedServer(script) as server,
            connected(library, server.url, timeout=1) as client,
        ):
            push = pushing(library, client)
            assert [result_of(push), result_of(push)] == expected


class TestErrors:
    @expect(
        stock=["FaktroyWorkProtocolError"] * 3,
        ours=["PushRefused", "PushOutcomeUnknown", "PushNotSent"],
    )
    def test_refused_unanswered_and_not_sent_have_own_errors(self, library, expected):
        """Stock raises the same class, whether the job may be on the server or not."""

        def script(peer):
            for _ in peer:
                if len(server.received) > 1:
                    return
                peer.send(REFUSAL)

        with ScriptedServer(script) as server:
            with connected(library, server.url, timeout=5) as client:
                push = pushing(library, client)
                refused, unanswered = result_of(push), result_of(push)
            never_connected = library.Client(server.url)
            not_sent = result_of(pushing(library, never_connected))
        assert [refused, unanswered, not_sent] == expected


class TestCutReplies:
    @expect(stock={}, ours="PushOutcomeUnknown")
    def test_bulk_push_with_a_cut_reply_is_no_success(self, library, expected):
        """The full reply names a refused job; an empty dict would mean that all were pushed."""

        def script(peer):
            for command in peer:
                jid = json.loads(command.removeprefix("PUSHB "))[0]["jid"]
                whole = bulk(json.dumps({jid: "jobs must have an args parameter"}))
                peer.send(whole.partition(b"\r\n")[0] + b"\r\n")
                return

        with ScriptedServer(script) as server, connected(library, server.url) as client:
            producer = library.Producer(client)
            job = library.Job(jobtype="note", args=[])
            assert result_of(lambda: producer.push_bulk([job])) == expected


WORKER = textwrap.dedent(
    """
    import importlib, logging, os, sys

    library = importlib.import_module(sys.argv[1])  # first, since it may set signal handlers
    from tests.integration import handlers, stock_handlers

    logging.basicConfig(level=logging.WARNING)
    client = library.Client(sys.argv[2], role="consumer", worker_id="worker-of-a-test")
    client.connect()
    consumer = library.Consumer(client, concurrency=int(sys.argv[3]), grace_period=2)
    for name in ("note", "fail", "fail_unpicklably", "leave"):
        consumer.register(name, getattr(handlers, name))
    consumer.register("hold", stock_handlers.hold)
    consumer.register("note_trace", stock_handlers.note_trace, bind=True)
    try:
        consumer.run()
    except BaseException as exc:  # also SystemExit, with which stock always ends
        print("run has raised", repr(exc), file=sys.stderr)
    finally:
        os._exit(0)  # instead of waiting for a stock client's next heartbeat
    """
)


class Worker:
    """A consumer of either library in a process of its own, in the main thread."""

    def __init__(self, library, url, concurrency, log):
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", WORKER, library.__name__, url, str(concurrency)],
                cwd=ROOT,
                stderr=stderr,
                start_new_session=True,
            )

    def log(self):
        return self._log.read_text(encoding="utf-8")

    def terminate(self):
        self._process.send_signal(signal.SIGTERM)

    def wait(self):
        """Wait for its exit; after that its log is complete."""
        self._process.wait(PATIENCE)

    def has_ended(self):
        return self._process.poll() is not None

    def kill(self):
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)


@pytest.fixture
def work(tmp_path):
    """`work(library, url)` starts a worker, which is killed after the test."""
    workers = []

    def start(library, url, concurrency=2):
        workers.append(Worker(library, url, concurrency, tmp_path / "worker.log"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


@pytest.fixture
def release(tmp_path):
    """The file that `hold` waits for."""
    return tmp_path / "release"


@pytest.fixture
def push(faktory):
    producer = Producer(faktory.client())
    return lambda jobtype, *args, **fields: producer.push(
        faktory_unique.Job(jobtype=jobtype, args=list(args), **fields)
    )


def reserved(jid, jobtype, *args):
    """Return the reply to FETCH with a job."""
    return bulk(json.dumps({"jid": jid, "jobtype": jobtype, "args": args, "queue": "default"}))


def serving(*jobs, ack=b"+OK\r\n", fail=b"+OK\r\n"):
    """Return a script that hands out jobs, and sends fixed replies to reports."""
    waiting = list(jobs)

    def script(peer):
        for command in peer:
            match command.split()[0]:
                case "FETCH":
                    peer.readable(0.05)
                    peer.send(waiting.pop(0) if waiting else NOTHING)
                case "ACK":
                    peer.send(ack)
                case "FAIL":
                    peer.send(fail)
                case _:
                    peer.send(b"+OK\r\n")

    return script


class TestSignalDuringFetch:
    """SIGTERM comes while a job runs and FETCH waits; then the job ends and is acknowledged."""

    @pytest.fixture
    def interrupted(self, work, wait_for, notes, release):
        """`interrupted(library, …)` returns the reports to the server, and the worker's log."""

        def interrupt(library, fetched, ack):
            acked = threading.Event()
            first = reserved("first-000001", "hold", notes.path, str(release))

            def script(peer):
                for command in peer:
                    match command.split()[0], server.count("FETCH"):
                        case "FETCH", 1:
                            peer.send(first)
                        case "FETCH", 2:
                            while not acked.is_set() and not peer.readable(0.01):
                                pass
                            peer.send(fetched)
                        case "FETCH", _:
                            peer.readable(0.05)
                            peer.send(NOTHING)
                        case "ACK", _:
                            acked.set()
                            time.sleep(0.2)  # or the worker could read both replies together
                            peer.send(ack)
                        case _:
                            peer.send(b"+OK\r\n")

            with ScriptedServer(script) as server:
                worker = work(library, server.url)
                wait_for(lambda: server.count("FETCH") == 2 and "started" in notes())
                worker.terminate()
                release.touch()
                worker.wait()
                return server.reports(), worker.log()

        return interrupt

    @expect(stock=False, ours=True)
    def test_refused_ack_is_logged(self, interrupted, library, expected):
        """Stock reads the empty reply to FETCH as the reply to its ACK: a success."""
        reports, log = interrupted(library, fetched=NOTHING, ack=BROKEN)
        assert reports == ["ACK first-000001"]
        assert ("first-000001" in log) is expected

    @expect(stock=["ACK first-000001"], ours=["ACK first-000001", "ACK second-00001"])
    def test_job_of_the_interrupted_fetch_is_run(
        self, interrupted, library, expected, notes, release
    ):
        """Stock reads the job as the reply to its ACK; it stays reserved until it expires."""
        second = reserved("second-00001", "hold", notes.path, str(release))
        reports, _log = interrupted(library, fetched=second, ack=b"+OK\r\n")
        assert reports == expected


class TestReports:
    @expect(stock=["ACK done-0000001", "FAIL done-0000001"], ours=["ACK done-0000001"])
    def test_job_that_succeeded_is_never_failed(self, work, wait_for, notes, library, expected):
        """The server replies to its ACK with an error. A FAIL would run the job again."""
        job = reserved("done-0000001", "note", notes.path)
        with ScriptedServer(serving(job, ack=BROKEN)) as server:
            worker = work(library, server.url)
            wait_for(lambda: server.count("ACK"))
            fetched = server.count("FETCH")
            wait_for(lambda: server.count("FETCH") > fetched + 2)
            worker.terminate()
            worker.wait()
            assert server.reports() == expected
        assert notes() == ["ran"]

    @expect(stock=False, ours=True)
    def test_refused_fail_is_logged_with_its_jid(self, work, wait_for, notes, library, expected):
        """Both run the next job. On stock the error is lost in a Future's callback."""
        failing = reserved("refused-0001", "fail", "boom")
        following = reserved("follows-0001", "note", notes.path)
        with ScriptedServer(serving(failing, following, fail=BROKEN)) as server:
            worker = work(library, server.url)
            wait_for(lambda: server.count("FAIL") and server.count("ACK"))
            worker.terminate()
            worker.wait()
            assert "ACK follows-0001" in server.reports()
        lines = [line for line in worker.log().splitlines() if "refused-0001" in line]
        report_lines = [line for line in lines if "ValueError" not in line]
        assert bool(report_lines) is expected

    @pytest.mark.parametrize("refused", [True, False])
    def test_job_with_a_refused_fail_keeps_its_lock(self, faktory, refused):
        """Only ours: stock has no locks. The job has no retries, so an accepted FAIL ends it."""
        unique = Unique(store=faktory.store_url, default=Policy(ttl="1h"))
        consumer = faktory.consumer(middleware=[unique])

        def fail():
            if refused:  # since the reservation is gone then
                consumer.client._commands.call(f"ACK {json.dumps({'jid': pushed.jid})}")
            raise ValueError

        consumer.register("fail", fail)
        producer = Producer(faktory.client(), middleware=[unique])
        pushed = producer.push(faktory_unique.Job(jobtype="fail", args=[], retry=0))
        faktory.drain(consumer)
        assert (pushed.key in faktory.locks) is refused


class TestHandlers:
    """A handler affects only its own job."""

    @expect(
        stock={"ended": True, "failed": [], "never reported": ["leave", "note"]},
        ours={"ended": False, "failed": ["leave"], "never reported": []},
    )
    def test_handler_that_calls_sys_exit_fails_only_its_job(
        self, faktory, push, work, wait_for, notes, library, expected
    ):
        """On stock neither its job nor the next is reported, and the consumer ends."""
        push("leave")
        push("note", notes.path)
        worker = work(library, faktory.url, concurrency=1)
        wait_for(lambda: worker.has_ended() or (notes() and not faktory.working))
        assert {
            "ended": worker.has_ended(),
            "failed": [job["jobtype"] for job in faktory.retries],
            "never reported": sorted(job["jobtype"] for job in faktory.working),
        } == expected

    @expect(stock=["fail_unpicklably", "hold"], ours=["fail_unpicklably"])
    def test_exception_that_cannot_unpickle_fails_only_its_job(
        self, faktory, push, work, wait_for, notes, release, library, expected
    ):
        """On stock the job beside it fails as well, while its handler goes on and returns."""
        work(library, faktory.url)
        push("hold", notes.path, str(release))
        wait_for(lambda: notes() == ["started"])
        push("fail_unpicklably")
        wait_for(lambda: faktory.retries)
        release.touch()
        wait_for(lambda: notes() == ["started", "ended"] and not faktory.working)
        assert sorted(job["jobtype"] for job in faktory.retries) == expected

    @expect(
        stock={
            "ended": True,
            "failed": [],
            "never reported": ["unknown"],
            "waiting": ["note"],
        },
        ours={"ended": False, "failed": ["unknown"], "never reported": [], "waiting": []},
    )
    def test_jobtype_without_a_handler_fails_only_its_job(
        self, faktory, push, work, wait_for, notes, library, expected
    ):
        """On stock the consumer ends: the job stays reserved, the next one stays queued."""
        push("unknown")
        push("note", notes.path)
        worker = work(library, faktory.url)
        wait_for(lambda: worker.has_ended() or (notes() and not faktory.working))
        assert {
            "ended": worker.has_ended(),
            "failed": [job["jobtype"] for job in faktory.retries],
            "never reported": [job["jobtype"] for job in faktory.working],
            "waiting": [job["jobtype"] for job in faktory.jobs],
        } == expected

    @expect(stock=["unseen"], ours=["seen"])
    def test_handler_can_read_its_jobs_payload(
        self, faktory, push, work, wait_for, notes, library, expected
    ):
        """On stock it gets the args, and the jid if it is bound, but never `custom`."""
        push("note_trace", notes.path, custom={"trace": TRACE})
        work(library, faktory.url)
        wait_for(notes)
        assert notes() == expected


class TestExpiredReservation:
    """A job runs for longer than its `reserve_for`: it is in retries when its ACK is sent."""

    STOCK = textwrap.dedent(
        """
        import os, sys, pyfaktory

        client = pyfaktory.Client(sys.argv[1], role="consumer", worker_id="late-worker")
        client.connect()
        job = client._fetch(["default"])
        sys.stdin.readline()
        print(client._ack(jid=job["jid"]), flush=True)
        os._exit(0)
        """
    )

    def test_stock_takes_a_late_ack_for_a_success(self, faktory, push, wait_for):
        push("late", reserve_for=60)
        with subprocess.Popen(
            [sys.executable, "-c", self.STOCK, faktory.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as worker:
            try:
                wait_for(lambda: faktory.working)
                faktory.advance(80)
                output, _ = worker.communicate("go on\n", timeout=PATIENCE)
            finally:
                worker.kill()
        assert output == "True\n"
        assert [job["failure"]["errtype"] for job in faktory.retries] == ["ReservationExpired"]

    @pytest.mark.parametrize(("takes", "kept"), [(30, False), (80, True)])
    def test_ours_keeps_the_lock_of_a_job_that_is_late(self, faktory, takes, kept):
        unique = Unique(store=faktory.store_url, default=Policy(ttl="1h"))
        consumer = faktory.consumer(middleware=[unique])
        consumer.register("late", lambda: faktory.advance(takes))
        producer = Producer(faktory.client(), middleware=[unique])
        pushed = producer.push(faktory_unique.Job(jobtype="late", args=[], reserve_for=60))
        faktory.drain(consumer)
        assert bool(faktory.retries) is kept
        assert (pushed.key in faktory.locks) is kept


@expect(
    stock={"push": "raises", "disconnect": "raises", "connect": "raises", "push again": "raises"},
    ours={"push": "works", "disconnect": "works", "connect": "works", "push again": "works"},
)
def test_connection_closed_by_the_server_is_opened_again(new_faktory, library, expected):
    """Faktory was restarted while the client was idle. A stock client is unusable after that."""

    def outcome(call):
        return "raises" if isinstance(result_of(call), str) else "works"

    server = new_faktory()
    with connected(library, server.url, timeout=5) as client:
        push = pushing(library, client)
        assert push()
        server.restart()
        assert {
            "push": outcome(push),
            "disconnect": outcome(client.disconnect),
            "connect": outcome(client.connect),
            "push again": outcome(push),
        } == expected
