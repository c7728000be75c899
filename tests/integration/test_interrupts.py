"""Interrupts, such as Ctrl-C, at any point of a push: no job or lock is lost, no reply is mixed up.

Python handles signals at the start of a function and after the return of a C function. A profiler
is called at the same points, so here a profiler raises instead of a signal handler.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from functools import partial
from itertools import count

import pytest

from faktory_unique import Job, PushNotSent, PushOutcomeUnknown, PushStatus
from faktory_unique.unique import batch as module
from tests.patience import PATIENCE

# Python swallows an exception that is raised while it closes a generator, and warns about it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Interrupt(BaseException):
    """Raised instead of KeyboardInterrupt."""


def run_struck(point, strike, act):
    """Run `act`, and call `strike` at the point of this number. Return whether it was reached."""
    left = point

    def profile(_frame, event, _arg):
        nonlocal left
        if event in {"call", "c_return"}:
            left -= 1
            if left < 0:
                sys.setprofile(None)
                strike()

    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(None)
    return left < 0


def interrupt_at(point, act):
    """Run `act` and interrupt it; return the exception, or None if it ended before that point.

    A caller that keeps the exception keeps the frames that it passed through.
    """

    def interrupt():
        raise Interrupt

    try:
        return run_struck(point, interrupt, act) or None
    except Interrupt as exc:
        return exc


def in_another_thread(act):
    """Return the result of `act` in another thread; None if it does not end."""
    results = []
    thread = threading.Thread(target=lambda: results.append(act()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return results[0] if results else None


@pytest.fixture
def check(client, producer, unique):
    """`check(jobs)`: all is as if there had been no interrupt, and the jobs can be pushed."""

    def check(jobs):
        assert unique._context.pushes._in_progress == {}
        assert not unique._context.store._pool._busy
        assert in_another_thread(client.info)["faktory"]  # not the reply to another command
        for job in jobs:
            result = producer.push(job)
            assert result or result.status is PushStatus.DUPLICATE

    return check


@pytest.fixture
def fetched_args(client):
    """Fetch all queued jobs, and return their args."""

    def fetch():
        found = set()
        while (job := client._fetch(["default"])) is not None:
            found.add(tuple(job["args"]))
        return found

    return fetch


@pytest.fixture
def everywhere(producer, check):
    """`everywhere(jobs_at, act)`: interrupt it at each point; return the number of points."""
    producer.push(Job(jobtype="UniqueWork", args=["first"]))  # connects everything

    def everywhere(jobs_at, act):
        for point in count():
            jobs = jobs_at(point)
            exception = interrupt_at(point, partial(act, jobs))
            if exception is None:
                return point
            check(jobs)
        return None

    return everywhere


def jobs_at(point, number=1):
    return [Job(jobtype="UniqueWork", args=[point, n]) for n in range(number)]


def test_interrupt_during_push_loses_nothing(producer, everywhere, fetched_args):
    points = everywhere(jobs_at, lambda jobs: producer.push(jobs[0]))
    assert points > 200
    assert fetched_args() >= {(n, 0) for n in range(points)}


def test_interrupt_during_push_of_duplicate_loses_nothing(
    producer, everywhere, fetched_args, locks
):
    def duplicates_at(point):
        producer.push_bulk(jobs_at(point))
        return jobs_at(point)

    points = everywhere(duplicates_at, lambda jobs: producer.push(jobs[0]))
    assert points > 100
    assert fetched_args() >= {(n, 0) for n in range(points)}
    assert not [key for key, value in locks().items() if value.endswith("?")]


@pytest.mark.long
def test_interrupt_during_overlapping_chunks_loses_nothing(
    producer, everywhere, fetched_args, monkeypatch
):
    monkeypatch.setattr(module, "CHUNK_SIZE", 2)
    points = everywhere(partial(jobs_at, number=5), producer.push_bulk)
    assert points > 500
    assert fetched_args() >= {(n, k) for n in range(points) for k in range(5)}


def test_disconnect_in_signal_handler_ends_in_our_errors(client, producer):
    """At whatever point it happens, the push reports its outcome."""
    producer.push(Job(jobtype="UniqueWork", args=["first"]))
    reached, point = True, 0
    while reached:
        job = Job(jobtype="UniqueWork", args=[point])
        with suppress(PushNotSent, PushOutcomeUnknown):
            reached = run_struck(point, client.disconnect, partial(producer.push, job))
        client.connect()
        result = producer.push(job)
        assert result or result.status is PushStatus.DUPLICATE
        point += 1
    assert point > 200
