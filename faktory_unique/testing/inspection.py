"""Looking at what a fake holds, and asserting what it should."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .server.schemas import RESERVATION, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faktory_unique.middleware import Payload

    from .server.core import Core


class Looking:
    """The part of `FakeFaktory` that changes nothing."""

    _core: Core

    @property
    def jobs(self) -> list[Payload]:
        """The jobs that wait in queues, those of a queue in the order in which they run."""
        with self._caught_up() as core:
            return [
                json.loads(text) for _, queue in core.manager.queues for text in reversed(queue)
            ]

    def jobs_for(self, jobtype: str) -> list[Payload]:
        """The jobs of one jobtype that wait in queues."""
        return [job for job in self.jobs if job["jobtype"] == jobtype]

    def queue(self, name: str) -> list[Payload]:
        """The jobs that wait in one queue, in the order in which they run."""
        with self._caught_up() as core:
            return [json.loads(text) for text in reversed(core.manager.queues.payloads(name))]

    @property
    def scheduled(self) -> list[Payload]:
        """The jobs that are not due yet, the earliest first."""
        with self._caught_up() as core:
            return [json.loads(text) for text in core.manager.scheduled]

    @property
    def retries(self) -> list[Payload]:
        """The jobs that wait for a retry, the earliest first; `failure` says why."""
        with self._caught_up() as core:
            return [json.loads(text) for text in core.manager.retries]

    @property
    def dead(self) -> list[Payload]:
        """The jobs that are out of retries, in the order in which they will be forgotten."""
        with self._caught_up() as core:
            return [json.loads(text) for text in core.manager.dead]

    @property
    def working(self) -> list[Payload]:
        """The jobs that workers have reserved, the first to expire first."""
        with self._caught_up() as core:
            return [decoded(text, RESERVATION)["job"] for text in core.manager.working]

    def assert_enqueued(
        self,
        jobtype: str,
        *,
        args: Sequence[object] | None = None,
        queue: str | None = None,
        count: int | None = None,
    ) -> list[Payload]:
        """Asserts that a job waits in a queue or is scheduled; the jobs that fit.

        Args:
            jobtype: of the job.
            args: its arguments, in which 1 is 1.0 and True is not 1; None: any.
            queue: its queue; None: any.
            count: how many there must be; None: one at least.

        Raises:
            AssertionError: there are not as many; the message lists what is enqueued.
        """
        __tracebackhide__ = True
        check_wanted(jobtype, args)
        enqueued = [("enqueued", job) for job in self.jobs]
        enqueued += [("scheduled", job) for job in self.scheduled]
        found = matching(enqueued, jobtype, args, queue)
        if len(found) != count if count is not None else not found:
            told = describe(enqueued, jobtype, args, queue, len(found), count)
            waiting = len(self.retries)
            raise AssertionError(f"{told}\n({waiting} in retries)" if waiting else told)
        return found

    def refute_enqueued(
        self, jobtype: str, *, args: Sequence[object] | None = None, queue: str | None = None
    ) -> None:
        """Asserts that no such job waits in a queue or is scheduled.

        Raises:
            AssertionError: there is one; the message lists what is enqueued.
        """
        __tracebackhide__ = True
        self.assert_enqueued(jobtype, args=args, queue=queue, count=0)

    @contextmanager
    def _caught_up(self) -> Iterator[Core]:
        with self._core.lock:
            self._core.catch_up()
            yield self._core


def matching(
    jobs: Sequence[tuple[str, Payload]],
    jobtype: str,
    args: Sequence[object] | None,
    queue: str | None,
) -> list[Payload]:
    """The jobs of a jobtype, with these args and in this queue where they are given."""
    return [
        job
        for _, job in jobs
        if job["jobtype"] == jobtype
        and (args is None or same(list(args), job["args"]))
        and (queue is None or job["queue"] == queue)
    ]


def check_wanted(jobtype: object, args: object) -> None:
    """Refuses what could never fit, and would pass as a refutation.

    Raises:
        TypeError: jobtype is no text, or args no list.
    """
    if not isinstance(jobtype, str):
        raise TypeError(f"jobtype: {jobtype!r} is no text; name it as it is pushed")
    if not isinstance(args, list | tuple | None):
        raise TypeError(f"args: {args!r} is no list; pass args=[…], all of them")


def same(expected: object, actual: object) -> bool:
    """Whether JSON carries the one as the other: a tuple is a list, 1 is 1.0, True is not 1.

    What is expected may be an object that compares as it likes, such as `unittest.mock.ANY`.
    """
    match expected, actual:
        case (list() | tuple(), list()):
            return len(expected) == len(actual) and all(map(same, expected, actual))
        case (dict(), dict()):
            return expected.keys() == actual.keys() and all(
                same(value, actual[name]) for name, value in expected.items()
            )
        case (bool(), _) | (int() | float(), bool()):
            return expected is actual
    return expected == actual


def describe(  # noqa: PLR0913, PLR0917  # what was asked, and what came of it
    jobs: Sequence[tuple[str, Payload]],
    jobtype: str,
    args: Sequence[object] | None,
    queue: str | None,
    found: int,
    count: int | None,
) -> str:
    """What an assertion says when it fails: what it wanted, and all that is enqueued."""
    wanted = jobtype if args is None else _call(jobtype, args)
    where = f" in queue {queue!r}" if queue is not None else ""
    number = "at least one" if count is None else str(count)
    told = f"expected {number} {wanted}{where} to be enqueued, found {found}"
    if not jobs:
        return f"{told}; nothing is enqueued"
    lines = [
        f"  {job['queue']}: {_call(job['jobtype'], job['args'])}"
        + (f" at {job['at']}" if state == "scheduled" else "")
        for state, job in jobs
    ]
    return "\n".join([f"{told}; there are", *lines])


def _call(jobtype: str, args: Sequence[object]) -> str:
    return f"{jobtype}({', '.join(map(repr, args))})"
