"""What may be said of a fetched job, and when (docs/design.md §5).

The client is scripted and the FETCH dated back: a real reservation takes a minute at least.
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
    """Answers each command with the next of the script, the last one for ever."""

    def __init__(self, *script):
        self._commands = self
        self.script = list(script)
        self.sent = []
        self.at_most = None

    def now(self):
        return time.time()

    def call(self, command, *, not_after, at_most=None):
        assert not_after > time.monotonic()
        self.sent.append(command)
        self.at_most = at_most
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def push_batch(self, payloads, *, not_after):
        answer = self.call(f"PUSHB {json.dumps(payloads)}", not_after=not_after)
        return json.loads(answer)

    @property
    def verbs(self):
        return [command.split()[0] for command in self.sent]


class Pauses:
    """Pauses of a second, by a clock that the test reads."""

    def __init__(self, now):
        self.now = now

    def wait(self):
        self.now[0] += 1
        return True


def reservation(client, elapsed=0.0, job=JOB, giving_up=None):
    since = time.monotonic() - elapsed, time.time() - elapsed
    return Reservation(client, job, since, giving_up or threading.Event())


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
    def test_in_time_an_ok_is_accepted(self):
        client = Client("+OK")
        assert reservation(client).ack(JOB) is ReportStatus.ACCEPTED
        assert client.sent == ['ACK {"jid": "jid-00000001"}']

    def test_a_little_late_it_is_sent_and_its_ok_proves_nothing(self):
        client = Client("+OK")
        assert reservation(client, elapsed=62).ack(JOB) is ReportStatus.LATE
        assert client.verbs == ["ACK"]

    def test_later_still_it_is_not_sent(self):
        """Another worker may have the job by then, and the ACK would end its reservation."""
        client = Client("+OK")
        assert reservation(client, elapsed=70).ack(JOB) is ReportStatus.WITHHELD
        assert client.sent == []

    def test_unanswered_it_is_sent_again_while_in_time(self):
        client = Client(CommandOutcomeUnknown("cut"), CommandNotSent("away"), "+OK")
        assert reservation(client).ack(JOB) is ReportStatus.ACCEPTED
        assert client.verbs == ["ACK"] * 3

    def test_unanswered_late_it_is_not_sent_again(self):
        client = Client(CommandOutcomeUnknown("cut"), "+OK")
        assert reservation(client, elapsed=61).ack(JOB) is ReportStatus.UNKNOWN
        assert client.verbs == ["ACK"]

    def test_a_worker_that_gives_up_tries_once(self):
        giving_up = threading.Event()
        giving_up.set()
        client = Client(CommandNotSent("away"))
        assert reservation(client, giving_up=giving_up).ack(JOB) is ReportStatus.WITHHELD
        assert client.verbs == ["ACK"]

    def test_a_worker_that_comes_to_give_up_tries_once_more(self):
        """Its pause may have been all the time that the server needed to be back."""
        giving_up = threading.Event()
        client = Client(CommandNotSent("away"), CommandNotSent("away"), "+OK")
        threading.Timer(0.15, giving_up.set).start()
        assert reservation(client, giving_up=giving_up).ack(JOB) is ReportStatus.ACCEPTED
        assert client.verbs == ["ACK"] * 3

    def test_a_server_that_shuts_down_is_waited_for(self):
        client = Client(CommandRefused("shutdown in progress"), CommandNotSent("away"), "+OK")
        assert reservation(client).ack(JOB) is ReportStatus.ACCEPTED

    def test_a_refusal_is_told(self):
        assert reservation(Client(CommandRefused("invalid ACK"))).ack(JOB) is ReportStatus.REFUSED

    def test_an_answer_that_is_no_ok_is_no_success(self):
        assert reservation(Client("$-1")).ack(JOB) is ReportStatus.UNKNOWN


class TestFail:
    def test_it_tells_the_error(self):
        client = Client("+OK")
        assert reservation(client).fail(JOB, ERROR) is ReportStatus.ACCEPTED
        verb, told = client.sent[0].split(" ", 1)
        assert verb == "FAIL"
        assert json.loads(told) == {
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
    def test_unanswered_it_is_sent_again_and_not_found_then_means_that_it_had_arrived(
        self, second, expected
    ):
        client = Client(CommandOutcomeUnknown("cut"), second)
        assert reservation(client).fail(JOB, ERROR) is expected
        assert client.verbs == ["FAIL"] * 2

    def test_not_found_at_once_is_a_refusal(self):
        """Somebody else has reported the job, or it has expired."""
        client = Client(CommandNotSent("away"), CommandRefused("Job not found jid-00000001"))
        assert reservation(client).fail(JOB, ERROR) is ReportStatus.REFUSED

    def test_ten_seconds_after_the_first_it_is_not_sent_again(self, monkeypatch):
        """Another worker may have the retry by then, and the FAIL would take its reservation."""
        now = [0.0]
        monkeypatch.setattr("faktory_unique.worker.reservation._Pauses", lambda _: Pauses(now))
        client = Client(CommandOutcomeUnknown("cut"), CommandNotSent("away"))
        held = reservation(client)
        held.elapsed = lambda: now[0]
        assert held.fail(JOB, ERROR) is ReportStatus.UNKNOWN
        assert client.verbs == ["FAIL"] * 10  # one a second: at 0, 1, … 9

    def test_an_answer_is_not_awaited_until_it_is_too_late_for_another_try(self):
        client = Client("+OK")
        reservation(client).fail(JOB, ERROR)
        assert client.at_most == 6

    def test_without_a_connection_it_waits_for_one(self):
        client = Client(CommandNotSent("away"), "+OK")
        assert reservation(client).fail(JOB, ERROR) is ReportStatus.ACCEPTED

    def test_late_it_is_not_sent(self):
        client = Client("+OK")
        assert reservation(client, elapsed=70).fail(JOB, ERROR) is ReportStatus.WITHHELD
        assert client.sent == []


class TestRequeue:
    def test_a_copy_under_a_new_jid_is_pushed_before_the_ack(self):
        client = Client("{}", "+OK")
        assert reservation(client).requeue(JOB, 90) is ReportStatus.ACCEPTED
        assert client.verbs == ["PUSHB", "ACK"]
        [copy] = json.loads(client.sent[0].split(" ", 1)[1])
        due = datetime.fromisoformat(copy.pop("at"))
        assert 88 < (due - datetime.now(UTC)).total_seconds() <= 90
        assert copy.pop("jid") != JOB["jid"]
        kept = {n: v for n, v in JOB.items() if n not in {"jid", "at", "enqueued_at", "custom"}}
        assert copy == {**kept, "custom": {"unique": {"owner": "o"}, "mine": 1}}

    def test_a_copy_that_is_due_at_once_has_no_time(self):
        """The clocks of this machine and the server's need not agree."""
        client = Client("{}", "+OK")
        assert reservation(client).requeue(JOB, 0) is ReportStatus.ACCEPTED
        [copy] = json.loads(client.sent[0].split(" ", 1)[1])
        assert "at" not in copy

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (CommandRefused("invalid JSON: x"), ReportStatus.REFUSED),
            (CommandRefused("internal error"), ReportStatus.UNKNOWN),
            (CommandOutcomeUnknown("cut"), ReportStatus.UNKNOWN),
        ],
    )
    def test_what_did_not_surely_arrive_is_followed_by_no_ack(self, answer, expected):
        client = Client(answer)
        assert reservation(client).requeue(JOB, 1) is expected
        assert client.verbs == ["PUSHB"]

    @pytest.mark.parametrize(
        "job", [{**JOB, "retry": 2}, {**JOB, "retry": 0}, {**JOB, "retry": -1}]
    )
    @pytest.mark.parametrize(
        "answer", [CommandRefused("invalid JSON: x"), CommandOutcomeUnknown("cut")]
    )
    def test_where_the_expiry_would_be_the_end_another_copy_is_pushed(self, job, answer):
        client = Client(answer, "{}", "+OK")
        assert reservation(client, job=job).requeue(job, 1) is ReportStatus.ACCEPTED
        assert client.verbs == ["PUSHB", "PUSHB", "ACK"]
        first, second = (json.loads(sent.split(" ", 1)[1])[0] for sent in client.sent[:2])
        assert len({first["jid"], second["jid"], job["jid"]}) == 3

    @pytest.mark.parametrize(
        "away", [CommandNotSent("away"), CommandRefused("shutdown in progress")]
    )
    def test_without_a_server_it_waits_for_one(self, away):
        client = Client(away, "{}", "+OK")
        assert reservation(client).requeue(JOB, 1) is ReportStatus.ACCEPTED
        assert client.verbs == ["PUSHB", "PUSHB", "ACK"]

    def test_a_worker_that_gives_up_tries_once(self):
        giving_up = threading.Event()
        giving_up.set()
        client = Client(CommandNotSent("away"))
        assert reservation(client, giving_up=giving_up).requeue(JOB, 1) is ReportStatus.WITHHELD
        assert client.verbs == ["PUSHB"]

    def test_a_copy_that_is_refused_by_name_is_told(self, monkeypatch):
        client = Client("{}")
        monkeypatch.setattr(
            client,
            "push_batch",
            lambda jobs, **_: {jobs[0]["jid"]: "jobs cannot be reserved for more than one day"},
        )
        assert reservation(client).requeue(JOB, 1) is ReportStatus.REFUSED

    def test_a_refused_ack_is_no_refusal_of_the_copy(self):
        """The copy is there: a FAIL on top would run the job twice and spend a retry."""
        client = Client("{}", CommandRefused("context deadline exceeded"))
        assert reservation(client).requeue(JOB, 1) is ReportStatus.UNKNOWN

    def test_late_nothing_is_sent(self):
        client = Client("{}")
        assert reservation(client, elapsed=60).requeue(JOB, 1) is ReportStatus.WITHHELD
        assert client.sent == []

    def test_a_copy_pushed_at_the_last_moment_is_followed_by_no_ack(self):
        """The expiry may have put the job back already; its next run has the same jid."""
        client = Client("{}", "+OK")
        held = reservation(client, elapsed=59.9)
        client.push_batch = lambda _jobs, **_: time.sleep(0.2) or {}
        assert held.requeue(JOB, 1) is ReportStatus.WITHHELD
        assert client.sent == []
