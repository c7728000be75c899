"""Which reports of a fetched job are sent, and when (docs/design.md §5).

The client is scripted and the FETCH lies in the past: a real reservation takes a minute at least.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

import pytest

from faktory_unique import (
    CommandNotSent,
    CommandOutcomeUnknown,
    CommandRefused,
    JobError,
    ReportStatus,
)
from faktory_unique.worker.reservation import Reservation

JOB = {
    "jid": "jid-00000001",
    "jobtype": "Email",
    "args": [1],
    "queue": "mail",
    "reserve_for": 60,
    "retry": 3,
    "at": "2026-01-31T09:00:00Z",
    "enqueued_at": "2026-01-31T09:00:00Z",
    "failure": {"retry_count": 1},
    "custom": {"unique": {"owner": "o"}, "unique_for": 60, "unique_until": "start", "mine": 1},
}


class Client:
    """Replies to each command with the next reply of a script, and repeats the last one."""

    def __init__(self, *script):
        self._commands = self
        self.script = list(script)
        self.sent = []
        self.max_timeout = None

    def now(self):
        return time.time()

    def call(self, command, *, not_after, max_timeout=None):
        assert not_after > time.monotonic()
        self.sent.append(command)
        self.max_timeout = max_timeout
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def push_batch(self, payloads, *, not_after):
        return json.loads(self.call(f"PUSHB {json.dumps(payloads)}", not_after=not_after))

    @property
    def verbs(self):
        return [command.split()[0] for command in self.sent]


class Pauses:
    """Pauses of a second, by the test's clock."""

    def __init__(self, now):
        self.now = now

    def wait(self):
        self.now[0] += 1
        return True


def reservation(client, elapsed=0.0, job=JOB, shutting_down=None):
    since = time.monotonic() - elapsed, time.time() - elapsed
    return Reservation(client, job, since, shutting_down or threading.Event())


ERROR = JobError("ValueError", "why", ("line",))


def test_elapsed_is_the_larger_of_two_clocks():
    """One of them may stop while the machine sleeps."""
    slept = Reservation(Client(None), JOB, (time.monotonic(), time.time() - 500), threading.Event())
    jumped = Reservation(
        Client(None), JOB, (time.monotonic() - 500, time.time()), threading.Event()
    )
    assert slept.elapsed() >= 500
    assert jumped.elapsed() >= 500


class TestAck:
    def test_an_ok_in_time_is_accepted(self):
        client = Client("+OK")
        assert reservation(client).ack(JOB) is ReportStatus.ACCEPTED
        assert client.sent == ['ACK {"jid": "jid-00000001"}']

    def test_the_ok_to_an_ack_a_little_late_proves_nothing(self):
        client = Client("+OK")
        assert reservation(client, elapsed=62).ack(JOB) is ReportStatus.LATE
        assert client.verbs == ["ACK"]

    def test_an_ack_later_still_is_not_sent(self):
        """Another worker may have the job by then, and the ACK would end its reservation."""
        client = Client("+OK")
        assert reservation(client, elapsed=70).ack(JOB) is ReportStatus.WITHHELD
        assert client.sent == []

    def test_an_unanswered_ack_is_repeated_while_in_time(self):
        client = Client(CommandOutcomeUnknown("cut"), CommandNotSent("away"), "+OK")
        assert reservation(client).ack(JOB) is ReportStatus.ACCEPTED
        assert client.verbs == ["ACK"] * 3

    def test_an_unanswered_late_ack_is_not_repeated(self):
        client = Client(CommandOutcomeUnknown("cut"), "+OK")
        assert reservation(client, elapsed=61).ack(JOB) is ReportStatus.UNKNOWN
        assert client.verbs == ["ACK"]

    def test_a_worker_shutting_down_sends_one_ack(self):
        shutting_down = threading.Event()
        shutting_down.set()
        client = Client(CommandNotSent("away"))
        assert reservation(client, shutting_down=shutting_down).ack(JOB) is ReportStatus.WITHHELD
        assert client.verbs == ["ACK"]

    def test_a_shutdown_during_a_pause_allows_one_more_attempt(self):
        """The server may have come back during the pause."""
        shutting_down = threading.Event()
        client = Client(CommandNotSent("away"), CommandNotSent("away"), "+OK")
        threading.Timer(0.15, shutting_down.set).start()
        assert reservation(client, shutting_down=shutting_down).ack(JOB) is ReportStatus.ACCEPTED
        assert client.verbs == ["ACK"] * 3

    def test_an_ack_waits_for_a_server_that_restarts(self):
        client = Client(CommandRefused("shutdown in progress"), CommandNotSent("away"), "+OK")
        assert reservation(client).ack(JOB) is ReportStatus.ACCEPTED

    def test_a_refused_ack_is_reported_as_refused(self):
        assert reservation(Client(CommandRefused("invalid ACK"))).ack(JOB) is ReportStatus.REFUSED

    def test_a_reply_other_than_ok_is_no_success(self):
        assert reservation(Client("$-1")).ack(JOB) is ReportStatus.UNKNOWN


class TestFail:
    def test_a_fail_holds_the_error(self):
        client = Client("+OK")
        assert reservation(client).fail(JOB, ERROR) is ReportStatus.ACCEPTED
        verb, fields = client.sent[0].split(" ", 1)
        assert verb == "FAIL"
        assert json.loads(fields) == {
            "jid": "jid-00000001",
            "errtype": "ValueError",
            "message": "why",
            "backtrace": ["line"],
        }

    @pytest.mark.parametrize(
        ("second", "expected"),
        [
            ("+OK", ReportStatus.ACCEPTED),
            (CommandRefused("Job not found jid-00000001"), ReportStatus.ACCEPTED),
            (CommandRefused("internal error"), ReportStatus.REFUSED),
            ("$-1", ReportStatus.UNKNOWN),
        ],
    )
    def test_an_unanswered_fail_is_repeated(self, second, expected):
        """The reply "Job not found" then means that the first one arrived."""
        client = Client(CommandOutcomeUnknown("cut"), second)
        assert reservation(client).fail(JOB, ERROR) is expected
        assert client.verbs == ["FAIL"] * 2

    def test_job_not_found_at_once_is_a_refusal(self):
        """The job was reported before, or its reservation has expired."""
        client = Client(CommandNotSent("away"), CommandRefused("Job not found jid-00000001"))
        assert reservation(client).fail(JOB, ERROR) is ReportStatus.REFUSED

    def test_a_fail_is_not_repeated_after_ten_seconds(self, monkeypatch):
        """Another worker may have the retry by then, and the FAIL would take its reservation."""
        now = [0.0]
        monkeypatch.setattr(
            "faktory_unique.worker.reservation._ResendPauses", lambda _: Pauses(now)
        )
        client = Client(CommandOutcomeUnknown("cut"), CommandNotSent("away"))
        held = reservation(client)
        held.elapsed = lambda: now[0]
        assert held.fail(JOB, ERROR) is ReportStatus.UNKNOWN
        assert client.verbs == ["FAIL"] * 10  # one a second: at 0, 1, … 9

    def test_a_fail_times_out_early_enough_to_be_repeated(self):
        client = Client("+OK")
        reservation(client).fail(JOB, ERROR)
        assert client.max_timeout == 6

    def test_a_fail_without_a_connection_waits_for_one(self):
        client = Client(CommandNotSent("away"), "+OK")
        assert reservation(client).fail(JOB, ERROR) is ReportStatus.ACCEPTED

    def test_a_late_fail_is_not_sent(self):
        client = Client("+OK")
        assert reservation(client, elapsed=70).fail(JOB, ERROR) is ReportStatus.WITHHELD
        assert client.sent == []


class TestRequeue:
    def test_a_copy_with_a_new_jid_is_pushed_before_the_ack(self):
        client = Client("{}", "+OK")
        held = reservation(client)
        assert held.requeue(JOB, 90) is ReportStatus.ACCEPTED
        assert client.verbs == ["PUSHB", "ACK"]
        [copy] = json.loads(client.sent[0].split(" ", 1)[1])
        due = datetime.fromisoformat(copy.pop("at"))
        assert 88 < (due - datetime.now(UTC)).total_seconds() <= 90
        assert copy.pop("jid") == held.copy_jid != JOB["jid"]
        kept = {n: v for n, v in JOB.items() if n not in {"jid", "at", "enqueued_at", "custom"}}
        assert copy == {**kept, "custom": {"unique": {"owner": "o"}, "mine": 1}}

    def test_a_copy_that_is_due_at_once_has_no_time(self):
        """The clocks of this machine and the server's need not agree."""
        client = Client("{}", "+OK")
        assert reservation(client).requeue(JOB, 0) is ReportStatus.ACCEPTED
        [copy] = json.loads(client.sent[0].split(" ", 1)[1])
        assert "at" not in copy

    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            (CommandRefused("invalid JSON: x"), ReportStatus.REFUSED),
            (CommandRefused("internal error"), ReportStatus.UNKNOWN),
            (CommandOutcomeUnknown("cut"), ReportStatus.UNKNOWN),
        ],
    )
    def test_a_copy_that_may_not_have_arrived_gets_no_ack(self, reply, expected):
        client = Client(reply)
        assert reservation(client).requeue(JOB, 1) is expected
        assert client.verbs == ["PUSHB"]

    @pytest.mark.parametrize(
        "job", [{**JOB, "retry": 2}, {**JOB, "retry": 0}, {**JOB, "retry": -1}]
    )
    @pytest.mark.parametrize(
        "reply", [CommandRefused("invalid JSON: x"), CommandOutcomeUnknown("cut")]
    )
    def test_a_second_copy_is_pushed_if_expiry_ends_the_job(self, job, reply):
        client = Client(reply, "{}", "+OK")
        assert reservation(client, job=job).requeue(job, 1) is ReportStatus.ACCEPTED
        assert client.verbs == ["PUSHB", "PUSHB", "ACK"]
        first, second = (json.loads(sent.split(" ", 1)[1])[0] for sent in client.sent[:2])
        assert len({first["jid"], second["jid"], job["jid"]}) == 3

    @pytest.mark.parametrize(
        "away", [CommandNotSent("away"), CommandRefused("shutdown in progress")]
    )
    def test_a_requeue_without_a_server_waits_for_one(self, away):
        client = Client(away, "{}", "+OK")
        assert reservation(client).requeue(JOB, 1) is ReportStatus.ACCEPTED
        assert client.verbs == ["PUSHB", "PUSHB", "ACK"]

    def test_a_worker_shutting_down_pushes_one_copy(self):
        shutting_down = threading.Event()
        shutting_down.set()
        client = Client(CommandNotSent("away"))
        assert (
            reservation(client, shutting_down=shutting_down).requeue(JOB, 1)
            is ReportStatus.WITHHELD
        )
        assert client.verbs == ["PUSHB"]

    def test_a_copy_refused_by_its_jid_is_reported_as_refused(self, monkeypatch):
        client = Client("{}")
        monkeypatch.setattr(
            client,
            "push_batch",
            lambda jobs, **_: {jobs[0]["jid"]: "jobs cannot be reserved for more than one day"},
        )
        assert reservation(client).requeue(JOB, 1) is ReportStatus.REFUSED

    def test_a_refused_ack_is_no_refusal_of_the_copy(self):
        """The copy is there: a FAIL as well would run the job twice and spend a retry."""
        client = Client("{}", CommandRefused("context deadline exceeded"))
        assert reservation(client).requeue(JOB, 1) is ReportStatus.UNKNOWN

    def test_a_late_requeue_sends_nothing(self):
        client = Client("{}")
        assert reservation(client, elapsed=60).requeue(JOB, 1) is ReportStatus.WITHHELD
        assert client.sent == []

    def test_a_copy_pushed_at_the_last_moment_gets_no_ack(self):
        """The expiry may have put the job back already; its next run has the same jid."""
        client = Client("{}", "+OK")
        held = reservation(client, elapsed=59.9)
        client.push_batch = lambda _jobs, **_: time.sleep(0.2) or {}
        assert held.requeue(JOB, 1) is ReportStatus.WITHHELD
        assert client.sent == []
