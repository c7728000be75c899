"""A consumer without processes: its handlers run where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.faktory.consumer import Consumer
from faktory_unique.faktory.handling import settlement
from faktory_unique.faktory.perform import perform

if TYPE_CHECKING:
    from faktory_unique.chain import Payload
    from faktory_unique.faktory.handling import Perform, Settlement
    from faktory_unique.faktory.reservation import Reservation
    from faktory_unique.faktory.worker_process import WorkerProcesses


class LocalConsumer(Consumer):
    """A consumer whose handlers run in this process: closures and mocks will do.

    For tests, on a fake or a real server: one job at a time, in the thread that calls `run`.
    """

    def _check_sent(self, sent: object, name: str, hint: str) -> None:
        """Nothing is sent anywhere."""

    def _start_processes(self) -> None:
        """There are none."""

    def _begin(self, reservation: Reservation) -> None:
        self._handle(reservation, self._slots, self._processes)

    def _perform(
        self,
        job: Payload,
        step: Perform,
        processes: WorkerProcesses,  # noqa: ARG002  # there are none
    ) -> Settlement:
        return settlement(
            perform(
                self.performing,
                step.handler,
                job,
                bind=step.bind,
                tell_sentry=self.sentry_capture_exception,
            )
        )
