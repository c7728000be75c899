"""A consumer without processes: its handlers run where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.worker.consumer import Consumer
from faktory_unique.worker.consumer_run import ConsumerRun
from faktory_unique.worker.perform import perform
from faktory_unique.worker.processor import settlement
from faktory_unique.worker.reservation import Reservation

if TYPE_CHECKING:
    from faktory_unique.middleware import Payload
    from faktory_unique.worker.processor import Perform, Settlement


class LocalConsumer(Consumer):
    """A consumer whose handlers run in this process: closures and mocks will do.

    For tests, on a fake or a real server: one job at a time, in the thread that calls `run`.
    """

    def _check_sent(self, sent: object, name: str, hint: str) -> None:
        """Nothing is sent anywhere."""

    def _new_shift(self) -> ConsumerRun:
        return _LocalShift(self)


class _LocalShift(ConsumerRun):
    """Handles each job in the thread that fetches."""

    def start(self) -> None:
        """There are no processes."""

    def begin(self, job: Payload, since: tuple[float, float]) -> None:
        self.handle(Reservation(self._consumer.client, job, since, self._giving_up))

    def perform(self, job: Payload, step: Perform) -> Settlement:
        consumer = self._consumer
        return settlement(
            perform(
                consumer.performing,
                step.handler,
                job,
                bind=step.bind,
                tell_sentry=consumer.sentry_capture_exception,
            )
        )
