"""pyfaktory's Producer with middleware, and with an answer for each job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from faktory_unique._pyfaktory import Job, StockProducer
from faktory_unique.errors import (
    CommandNotSent,
    CommandOutcomeUnknown,
    CommandRefused,
    DuplicateJob,
    InvalidJob,
    PushNotSent,
    PushOutcomeUnknown,
    PushRefused,
)
from faktory_unique.middleware import InnermostPush, checked, compose, one_each
from faktory_unique.results import PushResult, PushStatus

from .client import Client
from .server_errors import is_not_unique, is_refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faktory_unique.middleware import Middleware, Payload, PendingPush

    from .client import PendingBatch


class BulkResult(dict[str, str]):
    """What became of a bulk: as pyfaktory has it, jid → error of each job that was refused.

    Attributes:
        results: a `PushResult` for each job, in order.
    """

    def __init__(self, results: Sequence[PushResult]) -> None:
        super().__init__(
            {r.submitted_jid: r.error or "" for r in results if r.status is PushStatus.REFUSED}
        )
        self.results = tuple(results)

    @property
    def pushed(self) -> list[PushResult]:
        """The results of the jobs that were pushed."""
        return [result for result in self.results if result]

    @property
    def duplicates(self) -> list[PushResult]:
        """The results of the jobs that were there already."""
        return [r for r in self.results if r.status is PushStatus.DUPLICATE]


class Producer(StockProducer):
    """pyfaktory's Producer whose pushes go through a chain of middleware.

    Every push is a PUSHB, one job being a batch of one. Safe over threads.

    Args:
        client: a `Client` whose role is "producer" or "both".
        middleware: the chain, the first outermost.
    """

    client: Client

    def __init__(self, client: Client, middleware: Iterable[Middleware] = ()) -> None:
        if not isinstance(client, Client):
            raise TypeError(
                f"{client!r} is not faktory_unique's Client; make one with the same arguments, "
                "or use Producer.wrap"
            )
        super().__init__(client)
        self.middleware = checked(middleware)
        self._push_chain = compose(self.middleware, "push", InnermostPush(self._begin))

    @classmethod
    def wrap(cls, producer: StockProducer, middleware: Iterable[Middleware] = ()) -> Self:
        """A producer with middleware that pushes to the same server as a stock one.

        It has a connection of its own, opened now; end it with `producer.client.disconnect()`.

        Raises:
            CommandNotSent: no connection could be made.
        """
        if not isinstance(producer, StockProducer):
            raise TypeError(f"wrap takes a pyfaktory Producer, not {type(producer).__name__}")
        client = Client.like(producer.client, role="producer")
        client.connect()
        return cls(client, middleware)

    def push(self, job: Job) -> PushResult:  # type: ignore[override]  # true when pushed
        """Pushes a job, or finds that its equal is there already.

        Returns:
            A result that is true when the job was pushed, and tells which job stands for the work.

        Raises:
            InvalidJob: the job cannot be carried faithfully. Nothing was locked or pushed.
            DuplicateJob: its equal is there, and the policy says `on_conflict="raise"`.
            StoreError: no lock could be taken (`StoreUnavailable`: no answer). Nothing was pushed.
            PushRefused: Faktory refused the job; the lock was given back.
            PushNotSent: no connection could be made; the lock was given back.
            PushOutcomeUnknown: the job may be on the server; push the same Job again.
        """
        results = self._push_all([job])
        result = results[0]
        if result.status is PushStatus.REFUSED:
            raise PushRefused(f"Faktory refused the job: {result.error}", results=results)
        return result

    def push_bulk(self, jobs: Iterable[Job]) -> BulkResult:
        """Pushes those of the jobs whose equal is not there already, nor earlier in the list.

        Returns:
            A dict of jid → error of the refused jobs, with `.results`, `.pushed`, `.duplicates`.

        Raises:
            InvalidJob: a job cannot be carried faithfully: nothing of the list was pushed. Or a
                middleware refuses it, perhaps after others: `.results` tells.
            StoreError: locks could not be taken; `.results` tells what was pushed before that.
            DuplicateJob: an equal of some is there, and their policy says `on_conflict="raise"`; the
                others were pushed; `.results` as above.
            PushNotSent: no connection could be made; `.results` as above.
            PushOutcomeUnknown: some may be on the server; `.results` as above. Push the same Job
                objects again: what is there is a duplicate, what is not goes out.
        """
        given: object = jobs  # by a caller that need not be type-checked
        if isinstance(given, Job):  # which can be iterated over: by its fields
            raise TypeError("push_bulk takes a list of jobs: push_bulk([job]), or push(job)")
        return BulkResult(self._push_all(list(jobs)))

    def _push_all(self, jobs: list[Job]) -> list[PushResult]:
        for job in jobs:
            if not isinstance(job, Job):
                raise TypeError(
                    f"push takes a Job, not {type(job).__name__}: Job(jobtype=…, args=[…])"
                )
        payloads = [job.model_dump(exclude_none=True) for job in jobs]
        results = one_each(self._push_chain(payloads), payloads)
        unknown = [r for r in results if r.status is PushStatus.UNKNOWN]
        if unknown:
            told = f"{unknown[0].error}; push the same Job again"
            raise PushOutcomeUnknown(told, results=results)
        not_sent = [r for r in results if r.status is PushStatus.NOT_SENT]
        if not_sent:
            raise PushNotSent(not_sent[0].error or "not tried", results=results)
        conflicts = [r for r in results if r.status is PushStatus.DUPLICATE and r.error]
        if conflicts:
            told = f"{len(conflicts)} of {len(results)} jobs not pushed: {conflicts[0].error}"
            raise DuplicateJob(told, results=results)
        return results

    def _begin(self, jobs: Sequence[Payload]) -> PendingPush:
        try:
            return _Push(jobs, self.client.begin_batch(jobs) if jobs else None)
        except (TypeError, ValueError, RecursionError) as exc:
            raise InvalidJob(f"a job is not JSON: {exc}") from exc


class _Push:
    """PUSHB at the inner end of the chain: its outcomes are results, not exceptions."""

    def __init__(self, jobs: Sequence[Payload], batch: PendingBatch | None) -> None:
        self._jobs = jobs
        self._batch = batch
        self._not_sent: str | None = None

    def send(self) -> None:
        if self._batch is not None:
            try:
                self._batch.send()
            except CommandNotSent as exc:
                self._not_sent = str(exc)

    def receive(self) -> list[PushResult]:
        jobs = self._jobs
        if self._batch is None:
            return []
        if self._not_sent is not None:
            return _all(jobs, PushStatus.NOT_SENT, self._not_sent)
        try:
            rejected = self._batch.receive()
        except CommandRefused as exc:
            return [_result(job, str(exc)) for job in jobs]
        except CommandNotSent as exc:
            return _all(jobs, PushStatus.NOT_SENT, str(exc))
        except CommandOutcomeUnknown as exc:
            return _all(jobs, PushStatus.UNKNOWN, str(exc))
        return [_result(job, rejected.get(job["jid"])) for job in jobs]


def _result(job: Payload, error: str | None) -> PushResult:
    jid = job["jid"]
    if error is None:
        return PushResult(PushStatus.PUSHED, jid, jid)
    if is_not_unique(error):  # it does not say which job is there
        return PushResult(status=PushStatus.DUPLICATE, jid="", submitted_jid=jid)
    status = PushStatus.REFUSED if is_refusal(error) else PushStatus.UNKNOWN
    return PushResult(status=status, jid=jid, submitted_jid=jid, confirmed=False, error=error)


def _all(jobs: Sequence[Payload], status: PushStatus, error: str) -> list[PushResult]:
    return [
        PushResult(
            status=status, jid=job["jid"], submitted_jid=job["jid"], confirmed=False, error=error
        )
        for job in jobs
    ]
