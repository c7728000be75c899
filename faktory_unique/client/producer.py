"""`Producer`: push and push_bulk; raises DuplicateJob, PushRefused, … from the jobs' results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from faktory_unique._pyfaktory import Job, StockProducer
from faktory_unique.errors import (
    CommandNotSent,
    CommandOutcomeUnknown,
    CommandRefused,
    DuplicateJob,
    FaktoryError,
    InvalidJob,
    PushNotSent,
    PushOutcomeUnknown,
    PushRefused,
)
from faktory_unique.middleware import compose, validated_chain
from faktory_unique.results import PushResult, PushStatus, require_one_result_each

from .client import Client
from .pending_push import InnermostPush
from .protocol import check_sizes, parse_rejections, pushb_command
from .server_errors import is_not_unique, is_refusal
from .stream import MAX_BULK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faktory_unique.middleware import Middleware, Payload

    from .commands import Commands
    from .shared_stream import PendingReply


class BulkResult(dict[str, str]):
    """The result of `Producer.push_bulk`: the error of each job that was refused, by jid.

    The dict has the same content as the return value of pyfaktory's `push_bulk`.

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
        """The results of the duplicates, which were not pushed."""
        return [r for r in self.results if r.status is PushStatus.DUPLICATE]


class Producer(StockProducer):
    """pyfaktory's Producer, whose pushes go through a chain of middleware.

    Every push is a PUSHB; a single job is a batch of one. It is thread-safe.

    Args:
        client: a `Client` whose role is "producer" or "both".
        middleware: the chain, the first outermost.

    Raises:
        TypeError: the client or a middleware is of another type.
        ValueError: a middleware is listed twice, or two middlewares own locks.
    """

    client: Client

    def __init__(self, client: Client, middleware: Iterable[Middleware] = ()) -> None:
        if not isinstance(client, Client):
            raise TypeError(
                f"{client!r} is not faktory_unique's Client; make one with the same arguments, "
                "or use Producer.wrap"
            )
        super().__init__(client)
        self.middleware = validated_chain(middleware)
        for each in self.middleware:
            each.on_producer(client.timeout)
        self._push_chain = compose(self.middleware, "push", InnermostPush(self._pending_push))

    @classmethod
    def wrap(cls, producer: StockProducer, middleware: Iterable[Middleware] = ()) -> Self:
        """Return a producer with middleware that pushes to the same server as a stock one.

        Its own connection is opened now; close it with `producer.client.disconnect()`.

        Raises:
            CommandNotSent: no connection could be made.
            TypeError: the producer or a middleware is of another type.
        """
        if not isinstance(producer, StockProducer):
            raise TypeError(f"wrap takes a pyfaktory Producer, not {type(producer).__name__}")
        client = Client.like(producer.client, role="producer")
        client.connect()
        return cls(client, middleware)

    def push(self, job: Job) -> PushResult:  # type: ignore[override]  # true when pushed
        """Push a job, unless an equal job is queued or running.

        Returns:
            A result that is true if the job was pushed. It has the jid of the job that stands for
            the work.

        Raises:
            InvalidJob: Faktory cannot carry the job unchanged. Nothing was locked or pushed.
            TypeError: the argument is not a `Job`.
            DuplicateJob: an equal job is queued or running, and the policy says
                `on_conflict="raise"`.
            StoreError: the lock could not be acquired (`StoreUnavailable`: the store did not
                reply). Nothing was pushed.
            PushRefused: Faktory refused the job; the lock was rolled back.
            PushNotSent: no connection could be made; the lock was rolled back.
            PushOutcomeUnknown: the job may be on the server; push the same Job again.
        """
        results = self._push_all([job])
        result = results[0]
        if result.status is PushStatus.REFUSED:
            message = f"{job.jobtype} was not pushed: Faktory refused it: {result.error}"
            raise PushRefused(message, results=results)
        return result

    def push_bulk(self, jobs: Iterable[Job]) -> BulkResult:
        """Push jobs, except those that have an equal job on the server or earlier in the list.

        Returns:
            A dict with the error of each refused job, by jid; it has `.results`, `.pushed` and
            `.duplicates`.

        Raises:
            InvalidJob: Faktory cannot carry a job unchanged, and no job of the list was pushed. Or
                a middleware refused a job, perhaps after others were pushed: see `.results`.
            TypeError: an item is not a `Job`. Nothing was pushed.
            StoreError: locks could not be acquired; `.results` has what was pushed before that.
            DuplicateJob: some jobs are duplicates, and their policy says `on_conflict="raise"`. The
                others were pushed; see `.results`.
            PushNotSent: no connection could be made; see `.results`.
            PushOutcomeUnknown: some jobs may be on the server; see `.results`. Push the same Job
                objects again: those on the server are duplicates, the others are pushed.
        """
        given: object = jobs  # from a caller that need not be type-checked
        if isinstance(given, Job):  # a Job is iterable, too: over its fields
            raise TypeError("push_bulk takes a list of jobs: push_bulk([job]), or push(job)")
        return BulkResult(self._push_all(list(jobs)))

    def _push_all(self, jobs: list[Job]) -> list[PushResult]:
        for job in jobs:
            if not isinstance(job, Job):
                raise TypeError(
                    f"push takes a Job, not {type(job).__name__}: Job(jobtype=…, args=[…])"
                )
        payloads = [job.model_dump(exclude_none=True) for job in jobs]
        results = require_one_result_each(self._push_chain(payloads), payloads)
        unknown = [r for r in results if r.status is PushStatus.UNKNOWN]
        if unknown:
            message = f"{unknown[0].error}; push the same Job again"
            raise PushOutcomeUnknown(message, results=results)
        not_sent = [r for r in results if r.status is PushStatus.NOT_SENT]
        if not_sent:
            raise PushNotSent(not_sent[0].error or "the job was not sent", results=results)
        conflicts = [
            (job.jobtype, result.error)
            for job, result in zip(jobs, results, strict=True)
            if result.status is PushStatus.DUPLICATE and result.error
        ]
        if conflicts:
            jobtype, error = conflicts[0]
            message = f"{jobtype} was not pushed: {error}"
            if len(conflicts) > 1:
                message = f"{len(conflicts)} of {len(jobs)} jobs were not pushed, first: {message}"
            raise DuplicateJob(message, results=results)
        return results

    def _pending_push(self, payloads: Sequence[Payload]) -> _PendingBatch:
        try:
            return _PendingBatch(self.client._commands, payloads)  # noqa: SLF001  # internal
        except (TypeError, ValueError, RecursionError) as exc:
            raise InvalidJob(f"a job cannot be pushed as JSON: {exc}") from exc


class _PendingBatch:
    """A PUSHB in two steps, innermost in the chain. Its errors become results.

    Args:
        commands: the client's commands.
        payloads: the jobs. If there are none, nothing is sent.

    Raises:
        TypeError: a payload cannot be written as JSON.
        ValueError: likewise, or it is larger than 64 MiB.
    """

    def __init__(self, commands: Commands, payloads: Sequence[Payload]) -> None:
        self._commands = commands
        self._payloads = payloads
        self._command = pushb_command(payloads) if payloads else ""
        if len(self._command) > MAX_BULK_BYTES:
            check_sizes(payloads)
        self._reply: PendingReply | FaktoryError = CommandNotSent("PUSHB was not sent")

    def send(self) -> None:
        """Send the command without waiting for the reply; `receive` reports an error."""
        if self._command:
            try:
                self._reply = self._commands.send(self._command)
            except FaktoryError as exc:
                self._reply = exc
            self._command = ""  # the text of a whole batch: free its memory

    def receive(self) -> list[PushResult]:
        """Wait for the reply. Return a result for each job, in order."""
        if not self._payloads:
            return []
        try:
            rejections = self._rejections()
        except CommandRefused as exc:
            return [_job_result(job, str(exc)) for job in self._payloads]
        except CommandNotSent as exc:
            return [_failed_result(job, PushStatus.NOT_SENT, str(exc)) for job in self._payloads]
        except CommandOutcomeUnknown as exc:
            return [_failed_result(job, PushStatus.UNKNOWN, str(exc)) for job in self._payloads]
        return [_job_result(job, rejections.get(job["jid"])) for job in self._payloads]

    def _rejections(self) -> dict[str, str]:
        if isinstance(self._reply, FaktoryError):
            raise self._reply
        return parse_rejections(self._reply.receive())


def _job_result(job: Payload, error: str | None) -> PushResult:
    jid = job["jid"]
    if error is None:
        return PushResult(PushStatus.PUSHED, jid, jid)
    if is_not_unique(error):  # the error has no jid of the equal job
        return PushResult(status=PushStatus.DUPLICATE, jid="", submitted_jid=jid)
    return _failed_result(
        job, PushStatus.REFUSED if is_refusal(error) else PushStatus.UNKNOWN, error
    )


def _failed_result(job: Payload, status: PushStatus, error: str) -> PushResult:
    jid = job["jid"]
    return PushResult(status=status, jid=jid, submitted_jid=jid, confirmed=False, error=error)
