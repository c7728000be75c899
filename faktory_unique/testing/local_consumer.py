"""A consumer without processes: its handlers run where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.faktory.consumer import Consumer
from faktory_unique.faktory.handling import End, Perform
from faktory_unique.faktory.perform import perform

if TYPE_CHECKING:
    from faktory_unique.faktory.reservation import Reservation


class LocalConsumer(Consumer):
    """A consumer whose handlers run in this process: closures and mocks will do.

    For tests, on a fake or a real server: one job at a time, in the thread that calls `run`.
    """

    def _check_sent(self, sent: object, name: str, hint: str) -> None:
        """Nothing is sent anywhere."""

    def _start_pool(self) -> None:
        """There is none."""

    def _schedule(self, reservation: Reservation, step: Perform) -> None:
        error = perform(
            self.performing,
            step.handler,
            reservation.job,
            bind=step.bind,
            tell_sentry=self.sentry_capture_exception,
        )
        self._settle(reservation, End(error))
