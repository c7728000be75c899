"""`LocalConsumer`: a consumer for tests. Its handlers run in this process: any callable works."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from faktory_unique.worker.consumer import Consumer
from faktory_unique.worker.consumer_run import ConsumerRun
from faktory_unique.worker.handler_call import perform

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.worker.handler_call import HandlerCall, JobResult
    from faktory_unique.worker.reservation import Reservation


class _LocalRun(ConsumerRun):
    """A run that fetches and processes each job in the thread that calls `run`."""

    @staticmethod
    def check_platform() -> None:
        """Accept any platform: there are no processes."""

    def start(self) -> None:
        """Start nothing: there are no processes."""

    def fetch(self, fetch_jobs: Callable[[], None], is_over: Callable[[], bool]) -> None:
        """Run the loop in this thread."""
        del is_over
        fetch_jobs()

    def _dispatch(self, reservation: Reservation) -> None:
        self._process(reservation)

    def _perform(self, call: HandlerCall) -> JobResult:
        return perform(call)


class LocalConsumer(Consumer):
    """A consumer whose handlers run in this process, so they can be any callable.

    For tests, on a fake or a real server. It runs one job at a time, in the thread that calls
    `run`.
    """

    _run_class: ClassVar[type[ConsumerRun]] = _LocalRun

    def _check_picklable(self, value: object, name: str, hint: str) -> None:
        """Accept any value: nothing is sent to another process."""
