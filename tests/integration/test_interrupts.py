"""An interrupt, a Ctrl-C say, wherever one can come amid a push: nothing is lost, left or mixed up.

Python looks for signals where a function begins and where a C function has returned: just there a
profiler is called, which raises in the place of a signal handler.
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

# Python swallows what is raised while it closes a generator, and says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Interrupt(BaseException):
    """Raised in the place of KeyboardInterrupt."""


def struck(place, strike, act):
    """Whether something was done amid an act, at the place of this number."""
    left = place

    def look(_frame, event, _arg):
        nonlocal left
        if event in {"call", "c_return"}:
            left -= 1
            if left < 0:
                sys.setprofile(None)
                strike()

    sys.setprofile(look)
    try:
        act()
    finally:
        sys.setprofile(None)
    return left < 0


def interrupted(place, act):
    """What came out of an act, interrupted at the place of this number; None where it was not.

    Whoever keeps an exception keeps the frames that it came through.
    """

    def interrupt():
        raise Interrupt

    try:
        return struck(place, interrupt, act) or None
    except Interrupt as exc:
        return exc


def in_another_thread(act):
    """What it came to there; None where it did not end."""
    said = []
    thread = threading.Thread(target=lambda: said.append(act()), daemon=True)
    thread.start()
    thread.join(5)
    return said[0] if said else None


@pytest.fixture
def check(client, producer, unique):
    """`check(jobs)`: all is as if nobody had interrupted anything, and the jobs can be pushed."""

    def check(jobs):
        assert unique._context.pushes._in_progress == {}
        assert not unique.store._talking
        assert in_another_thread(client.info)["faktory"]  # and not the reply to another command
        for job in jobs:
            result = producer.push(job)
            assert result or result.status is PushStatus.DUPLICATE

    return check


@pytest.fixture
def fetched_args(client):
    """The args of all jobs that are queued; they are fetched by that."""

    def fetch():
        found = set()
        while (job := client._fetch(["default"])) is not None:
            found.add(tuple(job["args"]))
        return found

    return fetch


@pytest.fixture
def everywhere(producer, check):
    """`everywhere(jobs_of, act)`: interrupts it at each place; how many there are."""
    producer.push(Job(jobtype="UniqueWork", args=["first"]))  # so that all is connected

    def everywhere(jobs_of, act):
        for place in count():
            jobs = jobs_of(place)
            kept = interrupted(place, partial(act, jobs))
            if kept is None:
                return place
            check(jobs)
        return None

    return everywhere


def jobs_of(place, number=1):
    return [Job(jobtype="UniqueWork", args=[place, n]) for n in range(number)]


def test_amid_a_push(producer, everywhere, fetched_args):
    places = everywhere(jobs_of, lambda jobs: producer.push(jobs[0]))
    assert places > 200
    assert fetched_args() >= {(n, 0) for n in range(places)}


def test_amid_the_push_of_a_duplicate(producer, everywhere, fetched_args, locks):
    def pushed_already(place):
        producer.push_bulk(jobs_of(place))
        return jobs_of(place)

    places = everywhere(pushed_already, lambda jobs: producer.push(jobs[0]))
    assert places > 100
    assert fetched_args() >= {(n, 0) for n in range(places)}
    assert not [key for key, value in locks().items() if value.endswith("?")]


def test_amid_chunks_that_overlap(producer, everywhere, fetched_args, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    places = everywhere(partial(jobs_of, number=5), producer.push_bulk)
    assert places > 500
    assert fetched_args() >= {(n, k) for n in range(places) for k in range(5)}


def test_a_signal_handler_that_disconnects(client, producer):
    """Whatever it comes amid, the push says what became of it in words of ours."""
    producer.push(Job(jobtype="UniqueWork", args=["first"]))
    came, place = True, 0
    while came:
        job = Job(jobtype="UniqueWork", args=[place])
        with suppress(PushNotSent, PushOutcomeUnknown):
            came = struck(place, client.disconnect, partial(producer.push, job))
        client.connect()
        result = producer.push(job)
        assert result or result.status is PushStatus.DUPLICATE
        place += 1
    assert place > 200
