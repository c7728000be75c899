"""Reservations that expire, and silent workers: one set-up for all, which takes 75 seconds.

A reservation lasts a minute or longer. Its expiry fails the job like a FAIL
(manager/working.go:191-239). The server looks for expired ones and for silent workers every 15
seconds (server/task_runner.go:117-130).
"""

from datetime import datetime

import pytest

from .conftest import KINDS
from .wire import compact, job

pytestmark = pytest.mark.long

EXPIRED = {"message": "Faktory job reservation expired", "errtype": "ReservationExpired"}

# Fields of the jobs that are fetched together, by jid.
RESERVED = {
    "job-sixty": {"reserve_for": 60, "args": [1.0], "custom": {"a": 1}},
    "job-second": {"reserve_for": 1},
    "job-minus": {"reserve_for": -5},
    "job-longer": {"reserve_for": 120},
    "job-unsaid": {},
    "job-no-retry": {"reserve_for": 60, "retry": 0},
    "job-to-dead": {"reserve_for": 60, "retry": -1},
    "job-last-retry": {
        "reserve_for": 60,
        "retry": 2,
        "failure": {
            "retry_count": 1,
            "remaining": 1,
            "failed_at": "f",
            "next_at": "n",
            "backtrace": ["b"],
            "errtype": "E",
            "message": "m",
        },
    },
    "job-next-retry": {
        "reserve_for": 60,
        "failure": {"retry_count": 1, "remaining": 1, "failed_at": "f", "backtrace": ["b"]},
    },
    "job-late-ack": {"reserve_for": 60},
    "job-late-fail": {"reserve_for": 60},
    "job-stolen": {"reserve_for": 60},
    "job-bad-queue": {"reserve_for": 60, "queue": "gone"},
}


class Aged:
    """The server after all short reservations have expired, and its replies since."""

    def __init__(self, server):
        self.server = server
        server.avoid_tasks(15)
        self.fetch_all()
        self.wait()
        self.look()

    def fetch_all(self):
        server = self.server
        self.silent, self.beating = server.worker(), server.worker()
        worker = self.silent
        jobs = [job(jid, **fields) for jid, fields in RESERVED.items()]
        jobs += [
            job("job-twice", args=[1], reserve_for=60),
            job("job-twice", args=[2], reserve_for=60),
            job("job-uneven", args=[1], reserve_for=60),
            job("job-uneven", args=[2], reserve_for=120),
            job("job-of-nobody", reserve_for=60),
            job("job-backoff", queue="backoff"),
        ]
        assert worker.ask(f"PUSHB {compact(jobs)}") == "{}"
        self.tasks_before = worker.info()["faktory"]["tasks"]
        self.start = server.now()
        self.fetched = [worker.fetch() for _ in jobs[:-3]]
        self.producer = server.producer()
        assert self.producer.fetch()["jid"] == "job-of-nobody"
        worker.fetch("gone")
        worker.fetch("backoff")
        worker.fail("job-backoff")
        worker.ask("QUEUE REMOVE gone")
        self.processed_before = worker.info()["faktory"]["total_processed"]

    def wait(self):
        """Wait until the reservations have expired and the retry of job-backoff is enqueued."""
        promoted = []

        def reaped():
            assert self.beating.beat(self.beating.wid) == "+OK"
            self.info = self.beating.info()["faktory"]
            if self.info["queues"].get("backoff") and not promoted:
                promoted.append(self.server.now() - self.start)
            return self.info["sets"]["working"] == 3 and promoted

        self.server.until(reaped, 100, self.server.be_silent)
        self.seconds = self.server.now() - self.start
        self.promoted_after = promoted[0]

    def look(self):
        """Read retries and dead by requeueing them, and send late reports."""
        line = self.beating
        self.late_ack = line.ack("job-late-ack")
        self.late_fail = line.fail("job-late-fail")
        line.mutate("requeue", "dead")
        self.dead = self.bring_all("default")
        line.mutate("requeue", "retries")
        self.retries = self.bring_all("default", "gone")
        self.steal = line.fail("job-stolen", errtype="Late")
        self.robbed = line.fail("job-stolen")

    def bring_all(self, *queues):
        jobs = {}
        while any(self.beating.queues().get(name) for name in queues):
            payload = self.beating.fetch(*queues)
            jobs[payload["jid"]] = payload
        return jobs


@pytest.fixture(scope="module", params=KINDS)
def aged(request):
    server = request.getfixturevalue(f"{request.param}_server")
    server.clean()
    yield Aged(server)
    server.clean()
    server.end_lines()


def test_time_that_it_took(aged):
    """A reservation expires a minute after FETCH, and the server notices within 15 seconds."""
    assert 60 <= aged.seconds < 90  # and this test a little later


@pytest.mark.parametrize("jid", ["job-sixty", "job-second", "job-minus"])
def test_expired(aged, jid):
    """The expiry of a reservation of a minute, or less, has failed its job."""
    failure = aged.retries[jid]["failure"]
    failed_at, next_at = (
        datetime.fromisoformat(failure[name]).timestamp() for name in ("failed_at", "next_at")
    )
    assert 60 <= failed_at - aged.start < 78
    assert 15 <= next_at - failed_at <= 44.1
    assert {name: failure[name] for name in EXPIRED} == EXPIRED
    assert (failure["retry_count"], failure["remaining"], "backtrace" in failure) == (0, 25, False)


def test_payload_of_an_expired_job(aged):
    """The rest of the job is as it was fetched."""
    retry = dict(aged.retries["job-sixty"])
    del retry["failure"]
    assert retry == next(payload for payload in aged.fetched if payload["jid"] == "job-sixty")


@pytest.mark.parametrize("jid", ["job-longer", "job-unsaid"])
def test_not_expired(aged, jid):
    """A longer reservation, and one of the default length, has not expired."""
    assert jid not in aged.retries
    assert aged.beating.fail(jid) == "+OK"


def test_no_retry(aged):
    """A job without retries is gone."""
    assert "job-no-retry" not in aged.retries | aged.dead
    assert aged.beating.fail("job-no-retry") == "-ERR Job not found job-no-retry"


def test_dead(aged):
    """Jobs without retries left are dead."""
    assert set(aged.dead) == {"job-to-dead", "job-last-retry"}


def test_failure_of_the_dead(aged):
    """A dead job has its failure, without a time of a retry."""
    failure = aged.dead["job-to-dead"]["failure"]
    assert failure.pop("failed_at")
    assert failure == EXPIRED | {"retry_count": 0, "remaining": -1}


def test_last_retry(aged):
    """An expiry counts on from earlier failures, and replaces their message."""
    assert aged.dead["job-last-retry"]["failure"] == EXPIRED | {
        "failed_at": "f",
        "next_at": "n",
        "retry_count": 2,
        "remaining": 0,
    }


def test_next_retry(aged):
    """If retries are left, a later one is due later."""
    failure = aged.retries["job-next-retry"]["failure"]
    next_at = datetime.fromisoformat(failure.pop("next_at")).timestamp() - aged.start
    assert 60 + 31 <= next_at <= 78 + 31 + 87
    assert failure == EXPIRED | {"failed_at": "f", "retry_count": 2, "remaining": 0}


def test_late_ack(aged):
    """The ACK of an expired job is +OK, and the job is retried nevertheless."""
    assert aged.late_ack == "+OK"
    assert "job-late-ack" in aged.retries


def test_late_fail(aged):
    """The FAIL of an expired job finds no job; the job is retried because it expired."""
    assert aged.late_fail == "-ERR Job not found job-late-fail"
    assert aged.retries["job-late-fail"]["failure"]["errtype"] == "ReservationExpired"


def test_late_fail_steals_the_next_run(aged):
    """A late FAIL during another worker's run is +OK, and that worker's FAIL finds no job."""
    assert aged.steal == "+OK"
    assert aged.robbed == "-ERR Job not found job-stolen"


def test_removed_queue(aged):
    """A retry is enqueued in a queue that was removed, which is made again."""
    assert aged.retries["job-bad-queue"]["queue"] == "gone"


def test_fetched_by_a_producer(aged):
    """A reservation of a producer expires, too."""
    assert aged.retries["job-of-nobody"]["failure"]["errtype"] == "ReservationExpired"


def test_same_jid_twice(aged):
    """Of two copies with one jid, the later one is retried; the other is lost."""
    assert aged.retries["job-twice"]["args"] == [2]


def test_same_jid_for_longer(aged):
    """The expiry of a copy fails the other copy, long before the other reservation expires."""
    assert aged.retries["job-uneven"]["args"] == [2]


def test_left_in_the_working_set(aged):
    """Longer reservations stay in the working set, even of a copy that has failed."""
    assert aged.info["sets"]["working"] == 3  # job-longer, job-unsaid, job-uneven
    assert aged.info["tasks"]["Busy"]["size"] == 2  # job-longer, job-unsaid


def test_sizes(aged):
    """INFO has the sizes of retries and dead."""
    assert (aged.info["sets"]["retries"], aged.info["sets"]["dead"]) == (len(aged.retries), 2)
    assert len(aged.retries) == 11


def test_counts(aged):
    """An expiry counts as a processed job and as a failure; a lost copy is not counted."""
    reaped = aged.info["tasks"]["Busy"]["reaped"] - aged.tasks_before["Busy"]["reaped"]
    assert reaped == 14
    assert aged.info["total_failures"] == 1 + reaped
    assert aged.info["total_processed"] - aged.processed_before == reaped


def test_retry_by_itself(aged):
    """A failed job is enqueued again after 15 to 44 seconds, and up to 5 more."""
    assert 15 <= aged.promoted_after < 50.5
    payload = aged.beating.fetch("backoff")
    assert payload["failure"]["errtype"] == "unknown"
    next_at = payload["failure"]["next_at"]
    assert next_at <= payload["enqueued_at"]


def test_silent_worker(aged):
    """The server closes the connections of a worker without heartbeats for a minute."""
    assert aged.silent.reply() is None


def test_silent_worker_is_forgotten(aged):
    """A silent worker is forgotten, and counted."""
    wid = aged.silent.wid
    assert aged.beating.beat(wid) == f"-ERR unknown worker {wid}"
    before, now = aged.tasks_before["Workers"], aged.info["tasks"]["Workers"]
    assert (now["reaped"] - before["reaped"], now["size"] - before["size"]) == (1, -1)


def test_silent_worker_may_come_back(aged):
    """A silent worker may connect again with its id."""
    wid = aged.silent.wid
    assert aged.server.worker(wid).beat(wid) == "+OK"


def test_beating_worker(aged):
    """A worker with heartbeats stays known."""
    assert aged.beating.beat(aged.beating.wid) == "+OK"


def test_silent_producer(aged):
    """A producer may be silent for any time."""
    assert aged.producer.ask("PUSHB []") == "{}"
