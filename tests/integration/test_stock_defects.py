"""What stock pyfaktory gets wrong and ours does not: the same scenario on both.

Each test states once what a user sees of it, on stock pyfaktory and on this library. Should a
release of pyfaktory mend one, its half fails, and the workaround can go.
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

ROOT = Path(__file__).parents[2]
REFUSAL = b"-ERR jobs must have an args parameter\r\n"
BROKEN = b"-ERR internal error\r\n"
NOTHING = b"$-1\r\n"


def seen(*, stock, ours):
    """What a user sees: on stock pyfaktory, and on this library."""
    return pytest.mark.parametrize(
        ("library", "expected"),
        [
            pytest.param(pyfaktory, stock, id="stock"),
            pytest.param(faktory_unique, ours, id="ours"),
        ],
    )


def came_to(call):
    """What a call answers, or the name of what it raises."""
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
            client.sock.close()  # its disconnect() raises where the connection is lost
        else:
            client.disconnect()


def pushing(library, client):
    """A function that pushes a new job, and answers whether it is pushed."""
    producer = library.Producer(client)
    return lambda: bool(producer.push(library.Job(jobtype="note", args=[])))


def accepted(command):
    return bulk("{}") if command.startswith("PUSHB ") else b"+OK\r\n"


class TestAnswersOfAnotherCommand:
    """After a time-out the answer that was given up still comes, on the same connection."""

    @seen(
        stock=["TimeoutError", True, "FaktroyWorkProtocolError"],
        ours=["PushOutcomeUnknown", "PushRefused", True],
    )
    def test_a_push_after_one_that_timed_out_gets_its_own_answer(self, library, expected):
        """The first times out, the server refuses the second and accepts the third."""
        late = threading.Event()

        def script(peer):
            for command in peer:
                number = len(server.received)
                if number == 1:
                    late.wait(5)
                else:
                    time.sleep(0.2)  # or the answer before could be read together with this
                peer.send(REFUSAL if number == 2 else accepted(command))

        with (
            ScriptedServer(script) as server,
            connected(library, server.url, timeout=1) as client,
        ):
            push = pushing(library, client)
            first = came_to(push)
            late.set()
            assert [first, came_to(push), came_to(push)] == expected

    @seen(stock=["TimeoutError", "TimeoutError"], ours=["PushOutcomeUnknown", True])
    def test_two_answers_that_come_at_once_end_the_wait(self, library, expected):
        """The server owes an answer, and gives it together with the next."""

        def script(peer):
            owed = b""
            for command in peer:
                owed += accepted(command)
                if len(server.received) > 1:
                    peer.send(owed)
                    owed = b""

        with (
            ScriptedServer(script) as server,
            connected(library, server.url, timeout=1) as client,
        ):
            push = pushing(library, client)
            assert [came_to(push), came_to(push)] == expected


class TestErrors:
    @seen(
        stock=["FaktroyWorkProtocolError"] * 3,
        ours=["PushRefused", "PushOutcomeUnknown", "PushNotSent"],
    )
    def test_refused_unanswered_and_not_sent_are_told_apart(self, library, expected):
        """Stock's class is the same, whether the job may be on the server or cannot be."""

        def script(peer):
            for _ in peer:
                if len(server.received) > 1:
                    return
                peer.send(REFUSAL)

        with ScriptedServer(script) as server:
            with connected(library, server.url, timeout=5) as client:
                push = pushing(library, client)
                refused, unanswered = came_to(push), came_to(push)
            never_connected = library.Client(server.url)
            not_sent = came_to(pushing(library, never_connected))
        assert [refused, unanswered, not_sent] == expected


class TestCutReplies:
    @seen(stock={}, ours="PushOutcomeUnknown")
    def test_a_bulk_push_whose_answer_is_cut_is_no_success(self, library, expected):
        """The answer would have named a refused job; an empty dict says that all were pushed."""

        def script(peer):
            for command in peer:
                jid = json.loads(command.removeprefix("PUSHB "))[0]["jid"]
                whole = bulk(json.dumps({jid: "jobs must have an args parameter"}))
                peer.send(whole.partition(b"\r\n")[0] + b"\r\n")
                return

        with ScriptedServer(script) as server, connected(library, server.url) as client:
            producer = library.Producer(client)
            job = library.Job(jobtype="note", args=[])
            assert came_to(lambda: producer.push_bulk([job])) == expected


WORKER = textwrap.dedent(
    """
    import importlib, logging, os, sys

    library = importlib.import_module(sys.argv[1])  # first, for it may listen to signals
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
    except BaseException as exc:  # also the SystemExit in which stock always ends
        print("run has raised", repr(exc), file=sys.stderr)
    finally:
        os._exit(0)  # rather than wait for a stock client's next heartbeat
    """
)


class Worker:
    """A consumer of either library in a process of its own, whose main thread hears signals."""

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
        """Waits for its end; from then on it says nothing more."""
        self._process.wait(15)

    def has_ended(self):
        return self._process.poll() is not None

    def kill(self):
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)


@pytest.fixture
def work(tmp_path):
    """`work(library, url)` starts a worker that does not outlive the test."""
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
    """FETCH's reply with a job."""
    return bulk(json.dumps({"jid": jid, "jobtype": jobtype, "args": args, "queue": "default"}))


def serving(*jobs, ack=b"+OK\r\n", fail=b"+OK\r\n"):
    """A script that hands out jobs, and answers reports in a fixed way."""
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


class TestSignalAmidFetch:
    """SIGTERM comes while a job runs and FETCH waits; then the job ends and is acknowledged."""

    @pytest.fixture
    def interrupted(self, work, wait_for, notes, release):
        """What a server hears and a worker logs that is interrupted so."""

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
                            time.sleep(0.2)  # or both answers could be read together
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

    @seen(stock=False, ours=True)
    def test_a_refused_ack_is_noticed(self, interrupted, library, expected):
        """Stock reads FETCH's "nothing there" as the answer to its ACK: a success."""
        reports, log = interrupted(library, fetched=NOTHING, ack=BROKEN)
        assert reports == ["ACK first-000001"]
        assert ("first-000001" in log) is expected

    @seen(stock=["ACK first-000001"], ours=["ACK first-000001", "ACK second-00001"])
    def test_the_job_that_fetch_brings_is_done(
        self, interrupted, library, expected, notes, release
    ):
        """Stock reads it as the answer to its ACK; it stays reserved until it expires."""
        second = reserved("second-00001", "hold", notes.path, str(release))
        reports, _log = interrupted(library, fetched=second, ack=b"+OK\r\n")
        assert reports == expected


class TestReports:
    @seen(stock=["ACK done-0000001", "FAIL done-0000001"], ours=["ACK done-0000001"])
    def test_a_job_that_succeeded_is_never_failed(self, work, wait_for, notes, library, expected):
        """The server has an error at its ACK. A FAIL would run it again."""
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

    @seen(stock=False, ours=True)
    def test_a_fail_that_is_refused_is_told_with_its_jid(
        self, work, wait_for, notes, library, expected
    ):
        """Both go on with the next job; on stock the error is lost in a Future's callback."""
        failing = reserved("refused-0001", "fail", "boom")
        following = reserved("follows-0001", "note", notes.path)
        with ScriptedServer(serving(failing, following, fail=BROKEN)) as server:
            worker = work(library, server.url)
            wait_for(lambda: server.count("FAIL") and server.count("ACK"))
            worker.terminate()
            worker.wait()
            assert "ACK follows-0001" in server.reports()
        lines = [line for line in worker.log().splitlines() if "refused-0001" in line]
        of_the_report = [line for line in lines if "ValueError" not in line]
        assert bool(of_the_report) is expected

    @pytest.mark.parametrize("refused", [True, False])
    def test_a_job_whose_fail_is_refused_keeps_its_lock(self, faktory, refused):
        """Ours alone, stock having no locks. The job has no retries: an accepted FAIL ends it."""
        unique = Unique(store=faktory.store_url, default=Policy(ttl="1h"))
        consumer = faktory.consumer(middleware=[unique])

        def fail():
            if refused:  # for there is no reservation any more
                consumer.client._commands.call(f"ACK {json.dumps({'jid': pushed.jid})}")
            raise ValueError

        consumer.register("fail", fail)
        producer = Producer(faktory.client(), middleware=[unique])
        pushed = producer.push(faktory_unique.Job(jobtype="fail", args=[], retry=0))
        faktory.drain(consumer)
        assert (pushed.key in faktory.locks) is refused


class TestHandlers:
    """What one job's handler does costs no other job."""

    @seen(
        stock={"ended": True, "failed": [], "never reported": ["leave", "note"]},
        ours={"ended": False, "failed": ["leave"], "never reported": []},
    )
    def test_one_that_calls_sys_exit_fails_its_own_job_and_no_more(
        self, faktory, push, work, wait_for, notes, library, expected
    ):
        """On stock neither that job nor the next is reported, and the consumer ends."""
        push("leave")
        push("note", notes.path)
        worker = work(library, faktory.url, concurrency=1)
        wait_for(lambda: worker.has_ended() or (notes() and not faktory.working))
        assert {
            "ended": worker.has_ended(),
            "failed": [job["jobtype"] for job in faktory.retries],
            "never reported": sorted(job["jobtype"] for job in faktory.working),
        } == expected

    @seen(stock=["fail_unpicklably", "hold"], ours=["fail_unpicklably"])
    def test_an_exception_that_does_not_unpickle_fails_no_job_beside_it(
        self, faktory, push, work, wait_for, notes, release, library, expected
    ):
        """On stock the job beside it fails as well, while its handler runs on, and returns."""
        work(library, faktory.url)
        push("hold", notes.path, str(release))
        wait_for(lambda: notes() == ["started"])
        push("fail_unpicklably")
        wait_for(lambda: faktory.retries)
        release.touch()
        wait_for(lambda: notes() == ["started", "ended"] and not faktory.working)
        assert sorted(job["jobtype"] for job in faktory.retries) == expected

    @seen(
        stock={"ended": True, "failed": [], "never reported": ["unheard_of"], "waiting": ["note"]},
        ours={"ended": False, "failed": ["unheard_of"], "never reported": [], "waiting": []},
    )
    def test_a_jobtype_without_a_handler_fails_that_job_and_no_more(
        self, faktory, push, work, wait_for, notes, library, expected
    ):
        """On stock the consumer ends and leaves the job reserved, the next one in its queue."""
        push("unheard_of")
        push("note", notes.path)
        worker = work(library, faktory.url)
        wait_for(lambda: worker.has_ended() or (notes() and not faktory.working))
        assert {
            "ended": worker.has_ended(),
            "failed": [job["jobtype"] for job in faktory.retries],
            "never reported": [job["jobtype"] for job in faktory.working],
            "waiting": [job["jobtype"] for job in faktory.jobs],
        } == expected

    @seen(stock=["unseen"], ours=["seen"])
    def test_one_can_see_its_jobs_payload(
        self, faktory, push, work, wait_for, notes, library, expected
    ):
        """On stock it is given its args, and the jid where it is bound; `custom` never."""
        push("note_trace", notes.path, custom={"trace": TRACE})
        work(library, faktory.url)
        wait_for(notes)
        assert notes() == expected


class TestExpiredReservation:
    """A job takes longer than its `reserve_for`: it is in retries when its ACK is sent."""

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

    def test_stock_takes_the_late_ack_for_a_success(self, faktory, push, wait_for):
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
                said, _ = worker.communicate("go on\n", timeout=15)
            finally:
                worker.kill()
        assert said == "True\n"
        assert [job["failure"]["errtype"] for job in faktory.retries] == ["ReservationExpired"]

    @pytest.mark.parametrize(("takes", "kept"), [(30, False), (80, True)])
    def test_ours_keeps_the_lock_of_a_job_that_took_too_long(self, faktory, takes, kept):
        unique = Unique(store=faktory.store_url, default=Policy(ttl="1h"))
        consumer = faktory.consumer(middleware=[unique])
        consumer.register("late", lambda: faktory.advance(takes))
        producer = Producer(faktory.client(), middleware=[unique])
        pushed = producer.push(faktory_unique.Job(jobtype="late", args=[], reserve_for=60))
        faktory.drain(consumer)
        assert bool(faktory.retries) is kept
        assert (pushed.key in faktory.locks) is kept


@seen(
    stock={"push": "raises", "disconnect": "raises", "connect": "raises", "push again": "raises"},
    ours={"push": "works", "disconnect": "works", "connect": "works", "push again": "works"},
)
def test_a_connection_that_the_server_has_closed_is_opened_again(new_faktory, library, expected):
    """Faktory was restarted under an idle client. A stock one is of no use from then on."""

    def fate(call):
        return "raises" if isinstance(came_to(call), str) else "works"

    server = new_faktory()
    with connected(library, server.url, timeout=5) as client:
        push = pushing(library, client)
        assert push()
        server.restart()
        assert {
            "push": fate(push),
            "disconnect": fate(client.disconnect),
            "connect": fate(client.connect),
            "push again": fate(push),
        } == expected
