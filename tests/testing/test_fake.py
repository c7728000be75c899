"""FakeFaktory: inspect jobs, assert_enqueued, run jobs, one clock, addresses, wrong use."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from unittest.mock import ANY

import pytest

from faktory_unique import (
    AuthenticationFailed,
    Client,
    CommandNotSent,
    Consumer,
    Drop,
    Job,
    Middleware,
    Policy,
    Producer,
    ReportStatus,
    Requeue,
    RetryLater,
    Unique,
    current_job,
)
from faktory_unique.locks.keys import run_key
from faktory_unique.locks.lifecycle import acquire_run_transition
from faktory_unique.locks.transition import Transition
from faktory_unique.testing import Clock, FakeFaktory
from tests.patience import takes, wait_for

START = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.fixture
def fake():
    """A fake with a clock that stands still."""
    faktory = FakeFaktory(Clock(START), seed=1)
    yield faktory
    faktory.close()


@pytest.fixture
def unique(fake):
    return Unique(store=fake.store, default=Policy(ttl=600, lease=60))


@pytest.fixture
def producer(fake, unique):
    return Producer(fake.client(), [unique])


@pytest.fixture
def consumer(fake, unique):
    consumer = fake.consumer(["default", "mail"], priority="strict", middleware=[unique])
    consumer.register("Note", lambda *_: None)

    def fail(message="boom"):
        raise ValueError(message)

    consumer.register("Fail", fail)
    return consumer


def in_an_hour():
    return (START + timedelta(hours=1)).isoformat()


def _interrupt(_seconds):
    raise KeyboardInterrupt


class TestInspection:
    def test_jobs_are_listed_in_the_order_in_which_they_run(self, fake, producer):
        for n in range(3):
            producer.push(Job(jobtype="Note", args=[n]))
        producer.push(Job(jobtype="Note", args=["later"], at=in_an_hour()))
        assert [job["args"] for job in fake.jobs] == [[0], [1], [2]]
        assert [job["args"] for job in fake.scheduled] == [["later"]]

    def test_jobs_are_listed_by_jobtype_and_by_queue(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[1], queue="mail"))
        producer.push(Job(jobtype="Other", args=[2]))
        assert [job["jobtype"] for job in fake.jobs_for("Note")] == ["Note"]
        assert [job["args"] for job in fake.queue("mail")] == [[1]]
        assert fake.queue("unknown") == []

    def test_args_are_as_the_server_stores_them(self, fake):
        Producer(fake.client()).push(Job(jobtype="Note", args=[1.0, 2**53 + 1, {"b": 1, "a": 2}]))
        assert fake.jobs[0]["args"] == [1, 2**53, {"a": 2, "b": 1}]
        assert type(fake.jobs[0]["args"][0]) is int

    def test_running_job_is_in_working(self, fake, producer, consumer):
        seen = []
        consumer.register("Note", lambda: seen.extend(fake.working))
        result = producer.push(Job(jobtype="Note", args=[]))
        fake.drain(consumer)
        assert [job["jid"] for job in seen] == [result.jid]
        assert fake.working == []

    @pytest.mark.parametrize("timeout", [None, 30])
    def test_unread_reply_delays_no_other_command(self, fake, timeout):
        """For example, a hook pushes while a chunk of its own push is being sent."""
        client = fake.client("both", timeout=timeout)
        assert client._fetch(["default"]) is None
        pending = client._commands.send("INFO")
        assert client.info()["faktory"]["total_enqueued"] == 0
        assert "total_enqueued" in pending.receive()

    def test_locks_are_a_live_mapping(self, fake, producer, consumer):
        locks = fake.locks
        result = producer.push(Job(jobtype="Note", args=[]))
        lock = locks[result.key]
        assert (lock.owner, lock.leased, lock.ttl) == (result.jid, False, 600)
        fake.store.run([Transition(run_key(result.key), (None,), "token", 60)])
        assert list(locks) == [result.key]  # a run lock is not the lock of a work
        assert run_key(result.key) not in locks
        fake.store.run([Transition(run_key(result.key), ("token",), None, 0)])
        fake.drain(consumer)
        assert dict(locks) == {}

    def test_run_lock_is_not_in_the_locks(self, fake, producer):
        """It is a side key: it has no owner to inspect."""
        key = producer.push(Job(jobtype="Note", args=[])).key
        fake.store.run([acquire_run_transition(key, "a token")])
        assert (list(fake.locks), run_key(key) in fake.locks) == ([key], False)
        assert fake.store.read([run_key(key)]) != [None]

    def test_clear_forgets_jobs_and_locks(self, fake, producer, consumer):
        producer.push(Job(jobtype="Fail", args=[]))
        fake.drain(consumer)
        producer.push(Job(jobtype="Note", args=[]))
        fake.clear()
        assert (fake.jobs, fake.retries, dict(fake.locks)) == ([], [], {})
        assert producer.push(Job(jobtype="Note", args=[]))


class TestAssertEnqueued:
    def test_it_returns_the_matching_jobs(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[1]))
        producer.push(Job(jobtype="Note", args=[2], at=in_an_hour()))
        assert [job["args"] for job in fake.assert_enqueued("Note")] == [[1], [2]]
        assert len(fake.assert_enqueued("Note", args=(1,), queue="default", count=1)) == 1

    @pytest.mark.parametrize(
        ("args", "pushed", "equal"),
        [
            ((1, "a"), [1.0, "a"], True),
            ([True], [1], False),
            ([1], [True], False),
            ([{"a": (1, 2)}], [{"a": [1, 2]}], True),
            ([{"a": 1}], [{"a": 1, "b": 2}], False),
            ([1], [1, 2], False),
            ([ANY, {"id": ANY}], [1, {"id": 2}], True),
            ([None], [None], True),
            ([[]], [{}], False),
        ],
    )
    def test_args_are_compared_as_json(self, fake, args, pushed, equal):
        Producer(fake.client()).push(Job(jobtype="Note", args=pushed))
        if equal:
            fake.assert_enqueued("Note", args=args)
        else:
            fake.refute_enqueued("Note", args=args)

    def test_its_message_lists_all_enqueued_jobs(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[1, "a"], queue="mail"))
        producer.push(Job(jobtype="Other", args=[], at=in_an_hour()))
        with pytest.raises(AssertionError) as caught:
            fake.assert_enqueued("Note", args=[2, "a"], count=1)
        assert str(caught.value) == (
            "expected 1 Note(2, 'a') to be enqueued, found 0; there are\n"
            "  mail: Note(1, 'a')\n"
            "  default: Other() at 2026-01-31T10:00:00+00:00"
        )

    def test_its_message_says_that_nothing_is_enqueued(self, fake):
        with pytest.raises(AssertionError, match="at least one Note to be enqueued, found 0; noth"):
            fake.assert_enqueued("Note")

    def test_too_many_jobs_fail_it(self, fake):
        Producer(fake.client()).push_bulk([Job(jobtype="Note", args=[]) for _ in range(2)])
        with pytest.raises(AssertionError, match="expected 1 Note to be enqueued, found 2"):
            fake.assert_enqueued("Note", count=1)

    def test_refute_enqueued_fails_for_an_enqueued_job(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[]))
        with pytest.raises(AssertionError, match="expected 0 Note in queue 'default' to be enqu"):
            fake.refute_enqueued("Note", queue="default")


class TestRunning:
    def test_perform_one_runs_the_oldest_job(self, fake, producer, consumer):
        jobs = [Job(jobtype="Note", args=[n]) for n in range(2)]
        producer.push_bulk(jobs)
        done = fake.perform_one(consumer)
        assert done
        assert (done.job["jid"], done.ran, done.error) == (jobs[0].jid, True, None)
        assert done.status is ReportStatus.ACCEPTED
        assert len(fake.jobs) == 1

    def test_perform_one_lists_other_jobs_if_its_queues_are_empty(self, fake, producer, consumer):
        producer.push(Job(jobtype="Fail", args=[]))
        fake.drain(consumer)
        with pytest.raises(
            LookupError,
            match=r"no job waits .* default, mail; .* 1 in retries, 0 sche",
        ):
            fake.perform_one(consumer)

    def test_drain_runs_the_jobs_that_jobs_push(self, fake, producer, consumer):
        consumer.register("Parent", lambda: producer.push(Job(jobtype="Note", args=["child"])))
        producer.push(Job(jobtype="Parent", args=[]))
        assert [done.job["jobtype"] for done in fake.drain(consumer)] == ["Parent", "Note"]

    def test_drain_stops_if_a_job_always_pushes_itself(self, fake, consumer, monkeypatch):
        monkeypatch.setattr("faktory_unique.testing.inline_runner._MAX_DRAINED", 20)
        again = Producer(fake.client())
        consumer.register("Again", lambda: again.push(Job(jobtype="Again", args=[])))
        again.push(Job(jobtype="Again", args=[]))
        with pytest.raises(RuntimeError, match="does Again push itself"):
            fake.drain(consumer)

    def test_failed_job_waits_for_its_retry_with_its_lock(self, fake, producer, consumer):
        result = producer.push(Job(jobtype="Fail", args=["why"]))
        [done] = fake.drain(consumer)
        assert not done
        assert (done.error.errtype, done.error.message) == ("ValueError", "why")
        [job] = fake.retries
        failure = job["failure"]
        assert (failure["errtype"], failure["message"]) == ("ValueError", "why")
        assert (failure["retry_count"], failure["remaining"]) == (0, 25)
        assert "fail" in failure["backtrace"][-1]
        assert fake.locks[result.key].owner == result.jid

    def test_job_is_dead_after_its_last_retry(self, fake, producer, consumer):
        producer.push(Job(jobtype="Fail", args=[], retry=2))
        for _ in range(3):
            fake.drain(consumer)
            fake.advance(minutes=5)
        assert fake.jobs == fake.retries == []
        assert [job["failure"]["retry_count"] for job in fake.dead] == [2]

    def test_reraise_raises_the_exception_of_the_handler(self, fake, producer, consumer):
        producer.push(Job(jobtype="Fail", args=["why"]))
        with pytest.raises(ValueError, match="why"):
            fake.drain(consumer, reraise=True)
        assert len(fake.retries) == 1

    def test_sys_exit_fails_only_its_job(self, fake, producer, consumer):
        def leave():
            raise SystemExit(3)

        consumer.register("Leave", leave)
        producer.push(Job(jobtype="Leave", args=[]))
        producer.push(Job(jobtype="Note", args=[]))
        assert [bool(done) for done in fake.drain(consumer)] == [False, True]

    def test_pytest_fail_in_a_handler_reaches_pytest(self, fake, producer, consumer):
        """As does a Ctrl-C: what they raise is not an Exception. The job counts as failed."""
        consumer.register("Assert", lambda: pytest.fail("seen"))
        producer.push(Job(jobtype="Assert", args=[]))
        with pytest.raises(pytest.fail.Exception, match="seen"):
            fake.drain(consumer)
        assert len(fake.retries) == 1

    def test_jobtype_without_a_handler_fails(self, fake, producer, consumer):
        producer.push(Job(jobtype="Unknown", args=[]))
        [done] = fake.drain(consumer)
        assert (done.ran, done.error.errtype) == (False, "NoHandler")

    def test_middleware_runs_before_and_around_the_handler(self, fake, producer):
        order = []

        class Trace(Middleware):
            def fetch(self, job, call_next):
                order.append("fetch")
                return call_next(job)

            def perform(self, job, call_next):
                order.append("perform")
                return call_next(job)

            def ack(self, job, call_next):
                answer = call_next(job)
                order.append(f"ack {answer.value}")
                return answer

        consumer = fake.consumer(middleware=[Trace()])
        consumer.register("Note", lambda: order.append("handler"))
        producer.push(Job(jobtype="Note", args=[]))
        fake.drain(consumer)
        assert order == ["fetch", "perform", "handler", "ack accepted"]

    def test_requeued_job_is_due_by_the_clock_of_the_fake(self, fake, producer):
        class Later(Middleware):
            def fetch(self, job, call_next):
                return call_next(job) if "at" in job else Requeue(60)

        consumer = fake.consumer(middleware=[Later()])
        consumer.register("Note", lambda: None)
        fake.advance(days=1)
        producer.push(Job(jobtype="Note", args=[]))
        [done] = fake.drain(consumer)
        assert (done.ran, done.error, done.status) == (False, None, ReportStatus.ACCEPTED)
        assert [job["at"] for job in fake.scheduled] == ["2026-02-01T09:01:00+00:00"]
        fake.advance(65)
        assert [bool(done) for done in fake.drain(consumer)] == [True]

    def test_dropped_job_is_acknowledged_without_running(self, fake, producer):
        class No(Middleware):
            def fetch(self, job, call_next):
                return Drop("no")

        consumer = fake.consumer(middleware=[No()])
        consumer.register("Note", lambda: None)
        producer.push(Job(jobtype="Note", args=[]))
        [done] = fake.drain(consumer)
        assert (bool(done), done.ran, done.status) == (False, False, ReportStatus.ACCEPTED)
        assert fake.working == []

    def test_consumer_may_have_a_client_of_another_server(self, fake, producer, unique):
        consumer = Consumer(Client("tcp://127.0.0.1:1", role="consumer"), middleware=[unique])
        consumer.register("Note", print)
        producer.push(Job(jobtype="Note", args=[]))
        assert [bool(done) for done in fake.drain(consumer)] == [True]
        assert dict(fake.locks) == {}

    def test_other_consumers_are_refused(self, fake):
        with pytest.raises(TypeError, match=r"use Consumer\.wrap"):
            fake.drain({"Note": print})


class TestTime:
    def test_one_clock_promotes_jobs_and_lapses_locks(self, fake, producer):
        result = producer.push(Job(jobtype="Note", args=[], at=in_an_hour()))
        assert fake.locks[result.key].ttl == 3600 + 10 + 600
        fake.advance(minutes=59)
        assert fake.jobs == []
        fake.advance(minutes=1, seconds=5)
        assert len(fake.jobs) == 1
        fake.advance(minutes=10, seconds=4)
        assert len(fake.locks) == 1
        fake.advance(1)
        assert dict(fake.locks) == {}

    def test_expired_reservation_is_retried(self, fake, producer, consumer):
        """As when a worker has died: the expiry counts as a failure."""
        producer.push(Job(jobtype="Note", args=[], reserve_for=60))
        worker = fake.client("consumer")
        assert worker._fetch(["default"])["jobtype"] == "Note"
        fake.advance(60 + 15)
        assert [job["failure"]["errtype"] for job in fake.retries] == ["ReservationExpired"]
        fake.advance(15 + 29 + 5)
        assert [bool(done) for done in fake.drain(consumer)] == [True]

    def test_handler_longer_than_its_reservation_is_not_acked(self, fake, producer, consumer):
        consumer.register("Slow", lambda: fake.advance(hours=1))
        result = producer.push(Job(jobtype="Slow", args=[], reserve_for=60))
        [done] = fake.drain(consumer)[:1]
        assert done.status is ReportStatus.WITHHELD
        assert [job["jid"] for job in fake.jobs + fake.retries] == [result.jid]

    def test_running_clock_promotes_by_itself(self):
        with FakeFaktory() as fake:
            at = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
            Producer(fake.client()).push(Job(jobtype="Note", args=[], at=at))
            fake.client("consumer", beat_period=5)
            assert fake.jobs == []
            fake.advance(5.5)
            assert len(fake.jobs) == 1

    def test_same_seed_gives_the_same_backoffs(self):
        def next_ats(seed):
            fake = FakeFaktory(Clock(START), seed=seed)
            consumer = fake.consumer()
            Producer(fake.client()).push_bulk([Job(jobtype="X", args=[]) for _ in range(9)])
            fake.drain(consumer)
            fake.close()
            return [job["failure"]["next_at"][:19] for job in fake.retries]

        assert next_ats(7) == next_ats(7) != next_ats(8)

    def test_clock_does_not_go_back(self, fake):
        with pytest.raises(ValueError, match="never goes back"):
            fake.advance(-1)

    def test_clock_needs_a_time_zone(self):
        with pytest.raises(ValueError, match="no time zone"):
            Clock(datetime(2026, 1, 1))  # noqa: DTZ001

    def test_connected_workers_survive_an_advance(self, fake):
        """They would have sent heartbeats: the server closes workers silent for a minute."""
        worker = fake.client("consumer")
        fake.advance(hours=1)
        assert worker._commands.connection._shared_stream().stream.is_idle()
        assert worker.info()["faktory"]["tasks"]["Workers"]["size"] == 1

    def test_silent_workers_are_forgotten(self, fake):
        worker = fake.client("consumer")
        fake.clock.advance(hours=1)
        assert fake.jobs == []
        assert not worker._commands.connection._shared_stream().stream.is_idle()


class TestConnecting:
    def test_client_of_this_process_needs_no_socket(self, fake, monkeypatch):
        monkeypatch.setattr("socket.socket", None)
        with Client(fake.url) as client:
            assert Producer(client).push(Job(jobtype="Note", args=[]))
        assert fake.url.startswith("tcp://fake-")

    def test_both_urls_reach_a_listening_fake(self):
        faktory = FakeFaktory()
        before = faktory.url
        with faktory:
            assert faktory.url.startswith("tcp://127.0.0.1:")
            for url in (before, faktory.url):
                with Client(url) as client:
                    Producer(client).push(Job(jobtype="Note", args=[]))
            assert len(faktory.jobs) == 2

    def test_password_is_required(self):
        with FakeFaktory(password="s3cret/?") as faktory:
            assert Producer(faktory.client()).push(Job(jobtype="Note", args=[]))
            with pytest.raises(AuthenticationFailed, match="asks for a password"):
                Client(faktory.url.replace(":s3cret%2F%3F@", "")).connect()
            with pytest.raises(AuthenticationFailed, match="Invalid password"):
                Client(faktory.url.replace("s3cret", "wr0ng")).connect()
            assert "s3cret" not in repr(faktory)

    def test_closed_fake_can_be_inspected_but_not_reached(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[]))
        fake.close()
        with pytest.raises(CommandNotSent):
            producer.push(Job(jobtype="Note", args=["more"]))
        assert len(fake.jobs) == 1

    def test_threads_may_push_at_the_same_time(self, fake, producer):
        def push(n):
            for i in range(25):
                producer.push(Job(jobtype="Note", args=[n % 2, i]))

        threads = [threading.Thread(target=push, args=[n]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(fake.jobs) == len(fake.locks) == 50

    def test_interrupted_fetch_takes_no_job(self, fake, monkeypatch):
        """A Ctrl-C in a client of this process: the job would never run."""
        worker = fake.client("consumer")
        with monkeypatch.context() as interrupted:
            interrupted.setattr(fake._core.enqueued, "wait", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                worker._fetch(["default"])
        Producer(fake.client()).push(Job(jobtype="Note", args=[]))
        assert len(fake.jobs) == 1

    def test_push_wakes_a_waiting_fetch(self, fake):
        """Before its two seconds are over."""
        worker, producer, got = fake.client("consumer"), Producer(fake.client()), []

        def fetch():
            thread = threading.Thread(target=lambda: got.append(worker._fetch(["default"])))
            thread.start()
            wait_for(lambda: fake._core.enqueued._waiters)
            producer.push(Job(jobtype="Note", args=["woken"]))
            thread.join()
            assert got.pop()["args"] == ["woken"]

        assert takes(fetch, below=1.5)


class TestWrongUse:
    def test_closed_fake_runs_no_job(self, fake, producer, consumer):
        producer.push(Job(jobtype="Note", args=[]))
        fake.close()
        for use in (fake.listen, fake.client, lambda: fake.drain(consumer)):
            with pytest.raises(RuntimeError, match="this fake Faktory is closed"):
                use()

    @pytest.mark.parametrize(
        ("expected", "message"),
        [
            ({"args": "ab"}, "args: 'ab' is not a list"),
            ({"args": 4}, "args: 4 is not a list"),
            ({"args": {"a": 1}}, "args: {'a': 1} is not a list"),
            ({"jobtype": Job}, "jobtype: <class .* is not a str"),
        ],
    )
    def test_values_that_match_no_job_are_refused(self, fake, expected, message):
        """With these values, refute_enqueued would always pass."""
        with pytest.raises(TypeError, match=message):
            fake.refute_enqueued(**{"jobtype": "Note", **expected})

    @pytest.mark.parametrize("clock", [5, START])
    def test_clock_of_another_type_is_refused(self, clock):
        with pytest.raises(TypeError, match=r"is not a Clock; pass Clock\("):
            FakeFaktory(clock)
        with pytest.raises(TypeError, match="a clock starts at a datetime"):
            Clock("2026-01-31")

    def test_reraise_reports_a_missing_handler(self, fake, producer, consumer):
        producer.push(Job(jobtype="Nope", args=[]))
        with pytest.raises(RuntimeError, match="Nope: NoHandler: no handler is registered"):
            fake.drain(consumer, reraise=True)

    @pytest.mark.parametrize("elsewhere", [True, False])
    def test_worker_that_releases_no_lock_is_logged(self, fake, producer, caplog, elsewhere):
        """Its Unique is missing, or has another store."""
        others = [Unique(store="memory://")] if elsewhere else []
        consumer = fake.consumer(middleware=others)
        consumer.register("Note", lambda: None)
        result = producer.push(Job(jobtype="Note", args=[]))
        fake.drain(consumer)
        assert f"lock not released, stays until its TTL: key={result.key}" in caplog.text

    def test_worker_that_releases_its_locks_is_not_logged(self, fake, producer, consumer, caplog):
        producer.push_bulk([Job(jobtype="Note", args=[]), Job(jobtype="Fail", args=[])])
        fake.drain(consumer)
        assert "lock not released" not in caplog.text

    def test_no_address_reaches_a_closed_fake(self):
        fake = FakeFaktory()
        urls = [fake.url, fake.listen()]
        fake.close()
        for url in urls:
            with pytest.raises(CommandNotSent):
                Client(url, timeout=2).connect()

    def test_failed_assertion_counts_the_retries(self, fake, producer, consumer):
        producer.push(Job(jobtype="Fail", args=[]))
        fake.drain(consumer)
        with pytest.raises(AssertionError, match=r"nothing is enqueued\n\(1 in retries\)"):
            fake.assert_enqueued("Fail")


@pytest.mark.parametrize("duration", [5400, "1h30m", timedelta(minutes=90)])
def test_advance_takes_the_durations_of_policies(fake, duration):
    fake.advance(duration)
    assert fake.clock.now() == START + timedelta(minutes=90)


def test_retry_later_is_neither_a_failure_nor_a_success(faktory):
    def later(delay):
        raise RetryLater(delay)

    consumer = faktory.consumer()
    consumer.register("Later", later)
    with Client() as client:
        Producer(client).push(Job(jobtype="Later", args=["2m"]))
    [performed] = faktory.drain(consumer, reraise=True)
    assert not performed
    assert (performed.ran, performed.error, performed.delay) == (True, None, 120)
    assert (len(faktory.scheduled), len(faktory.working)) == (1, 0)


def test_inline_retry_later_runs_again_when_it_is_due(faktory):
    runs = []

    def later():
        runs.append(current_job()["jid"])
        if len(runs) < 3:
            raise RetryLater(60)

    consumer = faktory.consumer()
    consumer.register("Later", later)
    with Client() as client, faktory.inline(consumer, reraise=True):
        Producer(client).push(Job(jobtype="Later", args=[]))
        assert len(runs) == 1
        faktory.advance(minutes=2)
        faktory.advance(minutes=2)
    assert len(set(runs)) == 3
    assert sum(map(len, (faktory.jobs, faktory.scheduled, faktory.working))) == 0


def test_inline_retry_later_may_be_due_at_once_500_times(faktory, unique_locks):
    """Each copy runs after the job before it was acknowledged, and not during its report."""
    runs = []

    def again():
        runs.append(len(faktory.working))
        if len(runs) < 500:
            raise RetryLater(0)

    consumer = faktory.consumer(middleware=[Unique(default=Policy())])
    consumer.register("Again", again)
    with Client() as client, faktory.inline(consumer, reraise=True):
        assert Producer(client, [Unique(default=Policy())]).push(Job(jobtype="Again", args=[]))
    assert runs == [1] * 500
    assert not unique_locks
