"""`Inspection`: the jobs of a fake by queue and state, `assert_enqueued`, `refute_enqueued`."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .server.go_json import decode
from .server.schemas import RESERVATION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faktory_unique.middleware import Payload

    from .server.core import Core


class Inspection:
    """The part of `FakeFaktory` that reads its jobs and changes nothing.

    Args:
        core: the state of the fake.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def jobs(self) -> list[Payload]:
        """The jobs that wait in queues, each queue in the order in which its jobs run."""
        with self._caught_up() as core:
            return [
                json.loads(text) for _, queue in core.manager.queues for text in reversed(queue)
            ]

    def jobs_for(self, jobtype: str) -> list[Payload]:
        """Return the jobs of one jobtype that wait in queues."""
        return [job for job in self.jobs if job["jobtype"] == jobtype]

    def queue(self, name: str) -> list[Payload]:
        """Return the jobs that wait in one queue, in the order in which they run."""
        with self._caught_up() as core:
            return [json.loads(text) for text in reversed(core.manager.queues.payloads(name))]

    @property
    def scheduled(self) -> list[Payload]:
        """The jobs that are not due yet, the earliest first."""
        with self._caught_up() as core:
            return [json.loads(text) for text in core.manager.scheduled]

    @property
    def retries(self) -> list[Payload]:
        """The jobs that wait for a retry, the earliest first; `failure` has the reason."""
        with self._caught_up() as core:
            return [json.loads(text) for text in core.manager.retries]

    @property
    def dead(self) -> list[Payload]:
        """The jobs without retries left, in the order in which they will be deleted."""
        with self._caught_up() as core:
            return [json.loads(text) for text in core.manager.dead]

    @property
    def working(self) -> list[Payload]:
        """The jobs that workers have reserved, the first to expire first."""
        with self._caught_up() as core:
            return [decode(text.encode(), RESERVATION)["job"] for text in core.manager.working]

    def assert_enqueued(
        self,
        jobtype: str,
        *,
        args: Sequence[object] | None = None,
        queue: str | None = None,
        count: int | None = None,
    ) -> list[Payload]:
        """Assert that a job waits in a queue or is scheduled.

        Args:
            jobtype: the job's type.
            args: its arguments; None: any. 1 equals 1.0, but True does not equal 1.
            queue: its queue; None: any.
            count: the number of such jobs; None: one or more.

        Returns:
            The jobs that match.

        Raises:
            AssertionError: the number differs. The message lists all enqueued jobs.
            TypeError: jobtype is not a str, or args is not a list.
        """
        __tracebackhide__ = True
        check_types(jobtype, args)
        enqueued = [("enqueued", job) for job in self.jobs]
        enqueued += [("scheduled", job) for job in self.scheduled]
        found = matching_jobs(enqueued, jobtype, args, queue)
        if len(found) != count if count is not None else not found:
            message = mismatch_message(enqueued, jobtype, args, queue, len(found), count)
            retries = len(self.retries)
            raise AssertionError(f"{message}\n({retries} in retries)" if retries else message)
        return found

    def refute_enqueued(
        self, jobtype: str, *, args: Sequence[object] | None = None, queue: str | None = None
    ) -> None:
        """Assert that no such job waits in a queue or is scheduled.

        Raises:
            AssertionError: there is such a job. The message lists all enqueued jobs.
            TypeError: jobtype is not a str, or args is not a list.
        """
        __tracebackhide__ = True
        self.assert_enqueued(jobtype, args=args, queue=queue, count=0)

    @contextmanager
    def _caught_up(self) -> Iterator[Core]:
        """Run the tasks that are due. Hold the mutex of the state during the block."""
        with self._core.mutex:
            self._core.catch_up()
            yield self._core


def matching_jobs(
    jobs: Sequence[tuple[str, Payload]],
    jobtype: str,
    args: Sequence[object] | None,
    queue: str | None,
) -> list[Payload]:
    """Return the jobs that match jobtype, args and queue. For the last two, None matches all.

    Args:
        jobs: pairs of state ("enqueued" or "scheduled") and job.
        jobtype: the jobtype.
        args: the arguments.
        queue: the queue's name.
    """
    return [
        job
        for _, job in jobs
        if job["jobtype"] == jobtype
        and (args is None or is_same_json(list(args), job["args"]))
        and (queue is None or job["queue"] == queue)
    ]


def check_types(jobtype: object, args: object) -> None:
    """Refuse values that no job can match: `refute_enqueued` would always pass with them.

    Raises:
        TypeError: jobtype is not a str, or args is not a list.
    """
    if not isinstance(jobtype, str):
        raise TypeError(f"jobtype: {jobtype!r} is not a str; pass the jobtype as it is pushed")
    if not isinstance(args, list | tuple | None):
        raise TypeError(f"args: {args!r} is not a list; pass all arguments as args=[…]")


def is_same_json(expected: object, actual: object) -> bool:
    """Return whether both values are equal as JSON.

    A tuple equals a list, 1 equals 1.0, but True does not equal 1. The expected
    value may contain objects with their own `==`, such as `unittest.mock.ANY`.
    """
    match expected, actual:
        case (list() | tuple(), list()):
            return len(expected) == len(actual) and all(map(is_same_json, expected, actual))
        case (dict(), dict()):
            return expected.keys() == actual.keys() and all(
                is_same_json(value, actual[name]) for name, value in expected.items()
            )
        case (bool(), _) | (int() | float(), bool()):
            return expected is actual
    return expected == actual


def mismatch_message(  # noqa: PLR0913, PLR0917  # the question and its result
    jobs: Sequence[tuple[str, Payload]],
    jobtype: str,
    args: Sequence[object] | None,
    queue: str | None,
    found: int,
    count: int | None,
) -> str:
    """Return the message of a failed assertion: the expected job, and all enqueued jobs."""
    expected = jobtype if args is None else _call_text(jobtype, args)
    where = f" in queue {queue!r}" if queue is not None else ""
    number = "at least one" if count is None else str(count)
    message = f"expected {number} {expected}{where} to be enqueued, found {found}"
    if not jobs:
        return f"{message}; nothing is enqueued"
    lines = [
        f"  {job['queue']}: {_call_text(job['jobtype'], job['args'])}"
        + (f" at {job['at']}" if state == "scheduled" else "")
        for state, job in jobs
    ]
    return "\n".join([f"{message}; there are", *lines])


def _call_text(jobtype: str, args: Sequence[object]) -> str:
    return f"{jobtype}({', '.join(map(repr, args))})"
