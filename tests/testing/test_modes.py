"""The modes `fake` and `inline`: capture pushes or run them; nesting, threads, environment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pyfaktory
import pytest

from faktory_unique import (
    Client,
    Job,
    Middleware,
    Policy,
    Producer,
    PushStatus,
    ReportStatus,
    Requeue,
    Unique,
    testing,
)
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.worker.processor import JobProcessor
from tests.patience import PATIENCE

NAMES = ("FAKTORY_URL", "FAKTORY_UNIQUE_STORE")


def push(jobtype="Note", args=(), **fields):
    """Push as application code does, which finds its server by the environment."""
    with Client() as client, Unique(default=Policy(ttl=600)) as unique:
        job = Job(jobtype=jobtype, args=list(args), **fields)
        return Producer(client, [unique]).push(job)


def environment():
    return [os.environ.get(name) for name in NAMES]


@pytest.fixture(autouse=True)
def _pointed_elsewhere(monkeypatch):
    monkeypatch.setenv("FAKTORY_URL", "tcp://127.0.0.1:1")
    monkeypatch.delenv("FAKTORY_UNIQUE_STORE", raising=False)


@pytest.fixture
def ran():
    return []


@pytest.fixture
def consumer(ran):
    with testing.FakeFaktory() as elsewhere:
        consumer = elsewhere.consumer(middleware=[])
        consumer.register("Note", lambda *args: ran.append(list(args)))

        def fail(message="boom"):
            raise ValueError(message)

        consumer.register("Fail", fail)
        yield consumer


class TestFake:
    def test_it_captures_what_is_pushed(self):
        with testing.fake() as faktory:
            result = push(args=[1])
        assert [job["jid"] for job in faktory.jobs] == [result.jid]
        assert [lock.owner for lock in faktory.locks.values()] == [result.jid]

    def test_unique_made_before_the_fake_is_warned_of(self):
        """As at the top of a module: it may lock real work."""
        made_before = Unique(MemoryStore(), default=Policy())
        warning = pytest.warns(UserWarning, match="the lock of 'Note' was not acquired in this")
        with warning, testing.fake(), Client() as client:
            assert Producer(client, [made_before]).push(Job(jobtype="Note", args=[1]))

    def test_requeue_after_the_lock_lapsed_is_not_warned_of(self):
        """The requeued copy is pushed again, without a lock in the store."""

        class Wait(Middleware):
            def fetch(self, job, call_next):
                return Requeue(5)

        with testing.fake() as faktory:
            push(args=[1])
            faktory.advance(hours=24)
            consumer = faktory.consumer(middleware=[Wait()])
            consumer.register("Note", lambda *_args: None)
            assert faktory.perform_one(consumer).status is ReportStatus.ACCEPTED
            assert len(faktory.scheduled) == 1

    def test_fake_without_capture_allows_other_stores(self):
        with testing.FakeFaktory() as faktory, Unique(MemoryStore(), default=Policy()) as unique:
            assert Producer(faktory.client(), [unique]).push(Job(jobtype="Note", args=[1]))

    def test_it_captures_stock_clients(self):
        with testing.fake() as faktory, pyfaktory.Client() as client:
            assert pyfaktory.Producer(client).push(pyfaktory.Job(jobtype="Note", args=[1]))
            assert [job["args"] for job in faktory.jobs] == [[1]]

    def test_blocks_nest_and_restore(self):
        before = environment()
        with testing.fake() as outer:
            within = environment()
            with testing.fake() as inner:
                push(args=["inner"])
            assert environment() == within
            push(args=["outer"])
        assert environment() == before == ["tcp://127.0.0.1:1", None]
        assert [job["args"] for job in outer.jobs] == [["outer"]]
        assert [job["args"] for job in inner.jobs] == [["inner"]]

    def test_it_restores_after_an_error(self):
        before = environment()
        with pytest.raises(ZeroDivisionError), testing.fake():
            raise ZeroDivisionError
        assert environment() == before

    def test_variable_set_within_the_block_is_used(self, monkeypatch):
        with (
            testing.fake() as outer,
            testing.FakeFaktory() as other,
            monkeypatch.context() as patch,
        ):
            patch.setenv("FAKTORY_URL", other.url)
            push(args=[1])
            assert (len(outer.jobs), len(other.jobs)) == (0, 1)

    def test_blocks_in_parallel_threads_are_independent(self):
        """Each thread enters, waits for all, pushes, and leaves in another order."""
        before = environment()
        number = 8
        all_in, all_pushed = threading.Barrier(number), threading.Barrier(number)
        captured = {}
        turns = [threading.Event() for _ in range(number + 1)]

        def test(n):
            with testing.fake() as faktory:
                all_in.wait(PATIENCE)
                push(args=[n])
                push(args=[n])
                all_pushed.wait(PATIENCE)
                captured[n] = [job["args"] for job in faktory.jobs], len(faktory.locks)
                turns[n].wait(PATIENCE)
            turns[(n + 3) % number].set()  # 0, 3, 6, 1, …: neither first nor last entered first

        threads = [threading.Thread(target=test, args=[n]) for n in range(number)]
        for thread in threads:
            thread.start()
        turns[0].set()
        for thread in threads:
            thread.join(PATIENCE)
        assert captured == {n: ([[n]], 1) for n in range(number)}
        assert environment() == before

    def test_thread_of_the_application_is_captured(self):
        with testing.fake() as faktory:
            thread = threading.Thread(target=push)
            thread.start()
            thread.join()
        assert len(faktory.jobs) == 1


class TestInline:
    def test_job_has_run_when_its_push_returns(self, consumer, ran):
        with testing.inline(consumer) as faktory:
            assert push(args=[1])
            assert ran == [[1]]
        assert faktory.jobs == faktory.working == []

    def test_lock_is_free_when_the_push_returns(self, consumer, ran):
        with testing.inline(consumer):
            unique = Unique(default=Policy())
            consumer.middleware = (unique,)
            consumer._processor = JobProcessor((unique,), consumer.job_handlers)
            with Client() as client:
                producer = Producer(client, [unique])
                first = producer.push(Job(jobtype="Note", args=[1]))
                again = producer.push(Job(jobtype="Note", args=[1]))
        assert (first.confirmed, bool(again)) == (True, True)
        assert ran == [[1], [1]]

    def test_bulk_jobs_run_in_order(self, consumer, ran):
        with testing.inline(consumer), Client() as client:
            Producer(client).push_bulk([Job(jobtype="Note", args=[n]) for n in range(3)])
        assert ran == [[0], [1], [2]]

    def test_handler_may_push_through_the_client_that_pushed_it(self, consumer, ran):
        """Its job runs before the handler continues; other jobs of the bulk run after it."""
        with testing.inline(consumer), Client() as client:
            producer = Producer(client)

            def parent(n):
                producer.push(Job(jobtype="Note", args=[n, "child"]))
                ran.append([n, "parent"])

            consumer.register("Parent", parent)
            producer.push_bulk([Job(jobtype="Parent", args=[n]) for n in range(2)])
        assert ran == [[0, "child"], [0, "parent"], [1, "child"], [1, "parent"]]

    def test_a_thousand_pushing_jobs_do_not_exhaust_the_stack(self, consumer, ran):
        with testing.inline(consumer), Client() as client:
            producer = Producer(client)
            consumer.register(
                "Parent", lambda n: bool(producer.push(Job(jobtype="Note", args=[n])))
            )
            producer.push_bulk([Job(jobtype="Parent", args=[n]) for n in range(1000)])
        assert len(ran) == 1000

    def test_jobs_of_stock_clients_run(self, consumer, ran):
        with testing.inline(consumer), pyfaktory.Client() as client:
            pyfaktory.Producer(client).push(pyfaktory.Job(jobtype="Note", args=[1]))
            client.info()  # the fake takes the next command once the job has run
            assert ran == [[1]]

    def test_failed_job_runs_again_when_its_retry_is_due(self, consumer, ran):
        with testing.inline(consumer) as faktory:
            assert push("Fail", retry=1)
            assert [job["failure"]["message"] for job in faktory.retries] == ["boom"]
            consumer.register("Fail", lambda: ran.append("retried"))
            faktory.advance(minutes=1)
            assert ran == ["retried"]
            assert faktory.retries == faktory.dead == []

    def test_scheduled_job_runs_when_it_is_due(self, consumer, ran):
        with testing.inline(consumer) as faktory:
            push(args=["later"], at=faktory.clock.now().replace(year=2100).isoformat())
            assert (ran, len(faktory.scheduled)) == ([], 1)
            faktory.advance(days=366 * 100)
            assert ran == [["later"]]

    def test_jobs_of_other_queues_wait(self, consumer, ran):
        with testing.inline(consumer) as faktory:
            push(args=[1], queue="other")
            assert (ran, len(faktory.queue("other"))) == ([], 1)

    def test_duplicate_does_not_run(self, consumer, ran):
        with testing.inline(consumer) as faktory:
            first = push(args=[1], queue="other")
            again = push(args=[1])
            assert (again.status, again.jid) == (PushStatus.DUPLICATE, first.jid)
            assert (ran, len(faktory.jobs)) == ([], 1)

    def test_inline_block_may_be_part_of_a_fake_block(self, consumer, ran):
        with testing.fake() as faktory:
            push(args=[1])
            with faktory.inline(consumer):
                push(args=[2])
            push(args=[3])
        assert ran == [[2]]
        assert [job["args"] for job in faktory.jobs] == [[1], [3]]

    def test_reraise_raises_the_first_exception_after_the_block(self, consumer, ran):
        def block():
            with testing.inline(consumer, reraise=True):
                for message in ("one", "two", "three"):
                    push("Fail", [message])
                push(args=["goes on"])

        with pytest.raises(ValueError, match="one") as caught:
            block()
        assert ran == [["goes on"]]
        assert caught.value.__notes__ == ["2 more jobs failed in this inline block"]

    def test_error_of_the_block_hides_errors_of_handlers(self, consumer):
        def block():
            with testing.inline(consumer, reraise=True):
                push("Fail", ["of the handler"])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            block()
        [note] = caught.value.__notes__
        assert note == "a handler failed in this inline block: ValueError('of the handler')"

    def test_pytest_fail_in_a_handler_is_raised_at_once(self, consumer):
        consumer.register("Assert", lambda: pytest.fail("seen"))
        with testing.inline(consumer), pytest.raises(pytest.fail.Exception, match="seen"):
            push("Assert")

    @pytest.mark.parametrize("reraise", [False, True])
    def test_pytest_fail_after_a_stock_push_is_raised_at_the_end(self, consumer, reraise):
        """The push is over a socket, so the handler runs in a thread of the fake."""
        consumer.register("Assert", lambda: pytest.fail("seen"))

        def block():
            with testing.inline(consumer, reraise=reraise), pyfaktory.Client() as client:
                pyfaktory.Producer(client).push(pyfaktory.Job(jobtype="Assert", args=[]))
                client.info()  # its reply comes after the job

        with pytest.raises(pytest.fail.Exception, match="seen"):
            block()

    def test_inline_blocks_nest(self, consumer, ran):
        other = []
        with testing.FakeFaktory() as elsewhere:
            inner = elsewhere.consumer()
            inner.register("Note", lambda *args: other.append(list(args)))
            with testing.inline(consumer):
                with testing.inline(inner):
                    push(args=["inner"])
                push(args=["outer"])
        assert (ran, other) == ([["outer"]], [["inner"]])


@pytest.mark.parametrize("until", ["success", "start"])
def test_push_of_its_own_work_is_reported_and_warned_of_once(caplog, until):
    """Under "success" the running job has the lock, so its own push is a duplicate of itself."""
    results = {"Again": [], "Other": []}
    with testing.fake() as faktory, faktory.client() as client:
        unique = Unique(policies={"Again": Policy(until=until), "Other": Policy(until=until)})
        producer = Producer(client, [unique])

        def push(jobtype, n):
            return producer.push(Job(jobtype=jobtype, args=[n]))

        def push_again(n):
            for jobtype, pushed in results.items():
                pushed.append(push(jobtype, n))

        consumer = faktory.consumer(middleware=[unique])
        consumer.register("Again", push_again)
        for jobtype in results:
            for n in (1, 2):
                assert not push(jobtype, n).of_running_job
        for _ in range(2):
            faktory.perform_one(consumer)
    is_duplicate = until == "success"
    assert [result.of_running_job for result in results["Again"]] == [is_duplicate] * 2
    assert [result.status for result in results["Other"]] == ["duplicate"] * 2
    assert not any(result.of_running_job for result in results["Other"])
    warnings = [message for message in caplog.messages if "duplicate of itself" in message]
    assert ["jobtype=Again" in message for message in warnings] == [True] * is_duplicate


class TestRealServers:
    """A test whose code names a server itself must not push to it, and be green."""

    def test_client_of_a_real_server_is_refused(self, faktory_url):
        with testing.fake() as faktory:
            for url in (faktory_url, faktory_url.replace("127.0.0.1", "localhost")):
                with pytest.raises(RuntimeError, match=r"would reach a real server, .*allow_real"):
                    Client(url).connect()  # no socket is opened
            assert faktory.jobs == []
        with Client(faktory_url) as client:
            assert client.info()["faktory"]["total_enqueued"] == 0

    def test_client_that_was_made_before_the_block_is_refused(self, faktory_url):
        producer = Producer(Client(faktory_url))
        with testing.fake(), pytest.raises(RuntimeError, match="would reach a real server"):
            producer.client.connect()

    @pytest.mark.parametrize("outer", [False, True])
    def test_real_server_can_be_allowed(self, faktory_url, outer):
        with (
            testing.fake(allow_real=outer),
            testing.fake(allow_real=True),
            Client(faktory_url) as client,
        ):
            assert client.info()["faktory"]["queues"] is not None

    def test_addresses_of_fakes_are_allowed(self):
        with testing.fake() as outer, testing.fake() as inner, testing.FakeFaktory() as third:
            for faktory in (outer, inner, third):
                with Client(faktory.url) as client:
                    assert client.info()
            with Client(inner.url.replace("127.0.0.1", "localhost")) as client:
                assert client.info()

    def test_process_of_the_block_is_refused_as_well(self, faktory_url):
        program = "import sys; from faktory_unique import Client; Client(*sys.argv[1:]).connect()"
        with testing.fake():
            ended = [
                subprocess.run(
                    [sys.executable, "-c", program, *url],
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                for url in ([], [faktory_url])
            ]
        assert [end.returncode for end in ended] == [0, 1]
        assert "would reach a real server" in ended[1].stderr

    def test_inline_refuses_and_allows_like_fake(self, faktory_url, consumer):
        with testing.inline(consumer), pytest.raises(RuntimeError, match="a real server"):
            Client(faktory_url).connect()
        with testing.inline(consumer, allow_real=True), Client(faktory_url) as client:
            assert client.info()
