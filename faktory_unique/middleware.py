"""Middleware of producers and consumers: base class, Run, Requeue, Drop, RetryLater, chains.

Here are `Middleware`, `Run`, `Requeue`, `Drop`, `RetryLater`, `ReportStatus`, `JobError`,
and `compose`. A middleware has one method for each verb of a job's life. The method
calls the next middleware through `call_next`; the last `call_next` is the verb itself. The first
middleware of a list is the outermost.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

from ._durations import MAX_SECONDS, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from .results import PushResult

Payload: TypeAlias = dict[str, Any]
"""A job as in Faktory's JSON: `jid`, `jobtype`, `args`, `queue`, `custom`, …"""


# The job whose handler runs in this thread; see `current_job`. A push finds here that the equal job
# is the one that pushes.
running_job: ContextVar[Payload | None] = ContextVar("faktory_unique_running_job", default=None)


@dataclass(frozen=True, slots=True)
class Run:
    """A fetch decision: run the job."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """A fetch decision: queue the job again in `delay` seconds, without spending a retry.

    Args:
        delay: seconds until the job is due again.
        reason: why, for the log.

    Raises:
        ValueError: the delay is not a number of seconds from 0 to ten years.
    """

    delay: float
    reason: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        delay: object = self.delay  # from a middleware, which may not be type-checked
        if not isinstance(delay, int | float) or not 0 <= delay <= MAX_SECONDS:
            raise ValueError(
                f"delay: {self.delay!r} is not a number of seconds from 0 to {MAX_SECONDS}"
            )


class RetryLater(Exception):
    """Raised by a handler: queue the job again after a delay, without spending a retry.

    Use it if the job cannot run yet and nothing has failed: a rate limit is reached, or a file is
    still being written. A copy of the job is pushed under a new jid and keeps the lock. Then this
    job is acknowledged.

    Args:
        delay: the time until the job is due: seconds, or any other form that `Policy.ttl` takes.

    Raises:
        ValueError: the delay is not a duration from 0 to ten years.
    """

    def __init__(self, delay: float | str | timedelta) -> None:
        self.requeue = Requeue(parse_duration(delay), "its handler raised RetryLater")
        super().__init__(delay)


@dataclass(frozen=True, slots=True)
class Drop:
    """A fetch decision: acknowledge the job without running it. The reason is logged."""

    reason: str


FetchDecision: TypeAlias = Run | Requeue | Drop


@dataclass(frozen=True, slots=True)
class JobError:
    """The error of a failed job, as FAIL reports it. A value: not every exception can be pickled.

    Attributes:
        errtype: the name of the exception's class.
        message: the exception's text.
        backtrace: formatted lines, outermost call first.
    """

    errtype: str
    message: str
    backtrace: tuple[str, ...] = ()


class ReportStatus(Enum):
    """The status of an ACK or a FAIL, as far as it is known.

    - `ACCEPTED`: Faktory replied +OK within `reserve_for`.
    - `LATE`: Faktory replied +OK after that. The reservation may have expired.
    - `REFUSED`: Faktory replied with an error.
    - `UNKNOWN`: no complete reply was received.
    - `WITHHELD`: nothing was sent. It was too late, or no connection could be made in time.

    Faktory also replies +OK to the ACK of a job that is no longer reserved
    (manager/working.go:157-162 of Faktory 1.10). So only a reply in time is ACCEPTED.
    """

    ACCEPTED = "accepted"
    LATE = "late"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    WITHHELD = "withheld"


class Middleware:
    """Base class of all middleware. Override the methods that you need.

    Each method gets `call_next`, which runs the rest of the chain, and returns its result. The
    methods of this class only call `call_next`. A payload is shared by the chain: pass on a copy
    if you need to change it.

    Attributes:
        owns_locks: whether the middleware acquires and releases the locks of jobs, as `Unique`
            does. A chain has at most one such middleware: a job carries one stamp, so a worker
            would not know of a second lock.
    """

    owns_locks: ClassVar[bool] = False

    def on_producer(self, client_timeout: float | None) -> None:
        """Check the settings when a `Producer` is made with this middleware. Do no I/O.

        Args:
            client_timeout: seconds that a push may take; None for no limit.
        """

    def on_consumer_start(self) -> None:
        """Prepare for jobs when a `Consumer` starts to run. An exception ends its `run`."""

    def push(
        self, jobs: Sequence[Payload], call_next: Callable[[Sequence[Payload]], list[PushResult]]
    ) -> list[PushResult]:
        """Wrap PUSHB. Return a result for each job, in order.

        A single push is a batch of one job. To veto the push, raise `InvalidJob` before
        `call_next`: locks are rolled back. After any other exception the outcome counts as
        unknown, and locks stay leased.
        """
        return call_next(jobs)

    def fetch(self, job: Payload, call_next: Callable[[Payload], FetchDecision]) -> FetchDecision:
        """Decide, after FETCH, whether the job runs. Return `Run`, `Requeue` or `Drop`.

        An exception fails the job.
        """
        return call_next(job)

    def perform(self, job: Payload, call_next: Callable[[Payload], object]) -> object:
        """Wrap the handler, in the handler's process.

        A middleware that overrides this method must be picklable.
        """
        return call_next(job)

    def ack(self, job: Payload, call_next: Callable[[Payload], ReportStatus]) -> ReportStatus:
        """Wrap ACK. After `call_next`, Faktory has replied, or no reply is expected any more."""
        return call_next(job)

    def fail(
        self, job: Payload, error: JobError, call_next: Callable[[Payload, JobError], ReportStatus]
    ) -> ReportStatus:
        """Wrap FAIL. After `call_next`, Faktory has replied, or no reply is expected any more."""
        return call_next(job, error)

    def requeue(
        self, job: Payload, delay: float, call_next: Callable[[Payload, float], ReportStatus]
    ) -> ReportStatus:
        """Wrap a requeue: a copy is pushed, due in `delay` seconds, and the job acknowledged.

        A job is requeued if a fetch middleware returns `Requeue`, if its handler raises
        `RetryLater`, or if the worker stops before the job has finished. `REFUSED` means that
        there is no copy: a FAIL follows.
        """
        return call_next(job, delay)


Verb: TypeAlias = Literal["push", "fetch", "perform", "ack", "fail", "requeue"]

R = TypeVar("R")


def overrides(middleware: Middleware, verb: Verb) -> bool:
    """Return whether the middleware overrides the method of this verb."""
    return getattr(type(middleware), verb) is not getattr(Middleware, verb)


def compose(
    middleware: Iterable[Middleware], verb: Verb, innermost: Callable[..., R]
) -> Callable[..., R]:
    """Return one callable that runs a verb through the middlewares, the first outermost.

    Middlewares that do not override the verb are left out. If none is left, the callable is
    `innermost` itself.
    """
    call = innermost
    for each in reversed([m for m in middleware if overrides(m, verb)]):
        call = partial(_call_with_next, getattr(each, verb), call)
    return call


def _call_with_next(method: Callable[..., R], call_next: Callable[..., R], *args: object) -> R:
    return method(*args, call_next)


def validated_chain(middleware: Iterable[object]) -> tuple[Middleware, ...]:
    """Return the middlewares as a tuple.

    Raises:
        TypeError: an item is not an instance of `Middleware`. The message names it.
        ValueError: an item is in the list twice, or two middlewares own locks.
    """
    if not isinstance(middleware, Iterable):
        raise TypeError(f"middleware is a list: pass [{middleware!r}]")
    chain: list[Middleware] = []
    for each in middleware:
        if not isinstance(each, Middleware):
            hint = f"; pass {each.__name__}()" if isinstance(each, type) else ""
            raise TypeError(f"{each!r} is not an instance of a Middleware subclass{hint}")
        if each in chain:
            raise ValueError(f"{each!r} is in the chain twice; pass it once")
        chain.append(each)
    if sum(each.owns_locks for each in chain) > 1:
        raise ValueError("two Unique in one chain: pass one, with the policies of both")
    return tuple(chain)
