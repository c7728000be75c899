"""The chain: what middleware is, what it is given and what it answers.

A middleware has a method for each verb of a job's life and calls on, through `call_next`, to the
next one inwards; innermost stands the verb itself. The first of a list is outermost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

from ._durations import MAX_SECONDS, parse_duration
from .results import PushResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

Payload: TypeAlias = dict[str, Any]
"""A job as Faktory's JSON has it: `jid`, `jobtype`, `args`, `queue`, `custom`, …"""


@dataclass(frozen=True, slots=True)
class Run:
    """A fetch answer: run the job."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """A fetch answer: put the job back, due again in `delay` seconds; no retry is spent.

    Raises:
        ValueError: delay is no number of seconds, 0 or more.
    """

    delay: float

    def __post_init__(self) -> None:
        delay: object = self.delay  # of a middleware that need not be type-checked
        if not isinstance(delay, int | float) or not 0 <= delay <= MAX_SECONDS:
            raise ValueError(f"{self.delay!r}: a delay is a number of seconds, 0 to {MAX_SECONDS}")


class RetryLater(Exception):
    """Raised by a handler to have its job again after a while, without spending a retry.

    A copy of the job is pushed, under a jid of its own and with the lock of this one, and this one
    is acknowledged. For what is not there yet and no failure: a rate limit, a file still being
    written.

    Args:
        delay: when the job is due again: seconds, or any form that `Policy.ttl` takes.

    Raises:
        ValueError: the delay is no duration from 0 to ten years.
    """

    def __init__(self, delay: float | str | timedelta) -> None:
        self.requeue = Requeue(parse_duration(delay))
        super().__init__(delay)


@dataclass(frozen=True, slots=True)
class Drop:
    """A fetch answer: acknowledge the job unrun; the reason is logged."""

    reason: str


FetchDecision: TypeAlias = Run | Requeue | Drop


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, as Faktory is told: a value, since not every exception can be pickled.

    Attributes:
        errtype: name of the exception's class.
        message: its text.
        backtrace: formatted lines, outermost first.
    """

    errtype: str
    message: str
    backtrace: tuple[str, ...] = ()


class ReportStatus(Enum):
    """What is known of an ACK or FAIL that was to be sent.

    The server answers +OK to an ACK of a job whose reservation has expired, too
    (manager/working.go:157-162 of Faktory 1.10): it counts as ACCEPTED only within reserve_for.
    """

    ACCEPTED = "accepted"
    LATE = "late"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    WITHHELD = "withheld"


class Middleware:
    """Base of all middleware: each method calls on and changes nothing. Override what you need.

    Attributes:
        owns_locks: whether it acquires and releases the locks of jobs, as `Unique` does. A chain
            has at most one: a job bears one stamp, so no worker would know of a second lock.
    """

    owns_locks: ClassVar[bool] = False

    def push(
        self, jobs: Sequence[Payload], call_next: Callable[[Sequence[Payload]], list[PushResult]]
    ) -> list[PushResult]:
        """Around PUSHB of a batch, one job being a batch of one; a result for each job, in order.

        Payloads belong to the chain and may be replaced, not changed in place. Raise `InvalidJob`
        to veto before calling on; any other exception leaves the outcome open.
        """
        return call_next(jobs)

    def fetch(self, job: Payload, call_next: Callable[[Payload], FetchDecision]) -> FetchDecision:
        """After FETCH: decides whether the job runs. An exception fails it."""
        return call_next(job)

    def perform(self, job: Payload, call_next: Callable[[Payload], object]) -> object:
        """Around the handler, in its process: a middleware with this method must pickle."""
        return call_next(job)

    def ack(self, job: Payload, call_next: Callable[[Payload], ReportStatus]) -> ReportStatus:
        """Around ACK. Code after `call_next` runs once Faktory has answered, or will not."""
        return call_next(job)

    def fail(
        self, job: Payload, error: JobError, call_next: Callable[[Payload, JobError], ReportStatus]
    ) -> ReportStatus:
        """Around FAIL. Code after `call_next` runs once Faktory has answered, or will not."""
        return call_next(job, error)

    def requeue(
        self, job: Payload, delay: float, call_next: Callable[[Payload, float], ReportStatus]
    ) -> ReportStatus:
        """Around a put-back: a copy is pushed, due in `delay` seconds, and the job acknowledged.

        It is done for a fetch middleware's `Requeue`, a handler's `RetryLater`, and what a worker
        that stops has not finished. `refused`: there is no copy, and a FAIL follows.
        """
        return call_next(job, delay)


Verb: TypeAlias = Literal["push", "fetch", "perform", "ack", "fail", "requeue"]

R = TypeVar("R")


class PendingPush(Protocol):
    """A batch that is written and not sent yet. Call `send`, then `receive`, once each."""

    def send(self) -> None:
        """Send the batch without waiting for the reply."""
        ...

    def receive(self) -> list[PushResult]:
        """Wait for the reply. Return a result for each job, in order."""
        ...


@dataclass(frozen=True, slots=True)
class InnermostPush:
    """The push at the inner end of a chain, which can be split into steps.

    A middleware that has no other within it can do other work between the steps, while Faktory is
    busy. All others call it like any `call_next`.

    Attributes:
        begin: writes a batch that is to be sent. Raises `InvalidJob`.
    """

    begin: Callable[[Sequence[Payload]], PendingPush]

    def __call__(self, jobs: Sequence[Payload]) -> list[PushResult]:
        """Push payloads. Return a result for each, in order."""
        pending = self.begin(jobs)
        pending.send()
        return pending.receive()


def overrides(middleware: Middleware, verb: Verb) -> bool:
    """Whether this middleware does anything at this verb."""
    return getattr(type(middleware), verb) is not getattr(Middleware, verb)


def compose(
    middleware: Iterable[Middleware], verb: Verb, innermost: Callable[..., R]
) -> Callable[..., R]:
    """One callable for a verb: the middlewares around `innermost`, the first outermost.

    Those that do nothing at this verb are left out; with none left it is `innermost` itself.
    """
    call = innermost
    for each in reversed([m for m in middleware if overrides(m, verb)]):
        call = partial(_step, getattr(each, verb), call)
    return call


def _step(method: Callable[..., R], call_next: Callable[..., R], *given: object) -> R:
    return method(*given, call_next)


def validated_chain(middleware: Iterable[object]) -> tuple[Middleware, ...]:
    """The middlewares as a tuple.

    Raises:
        TypeError: one is no instance of `Middleware`; the message names it.
        ValueError: one stands there twice.
    """
    if not isinstance(middleware, Iterable):
        raise TypeError(f"middleware is a list: pass [{middleware!r}]")
    chain: list[Middleware] = []
    for each in middleware:
        if not isinstance(each, Middleware):
            hint = f"; pass {each.__name__}()" if isinstance(each, type) else ""
            raise TypeError(f"{each!r} is no instance of a Middleware subclass{hint}")
        if each in chain:
            raise ValueError(f"{each!r} stands twice in the chain; it would undo its own work")
        chain.append(each)
    if sum(each.owns_locks for each in chain) > 1:
        raise ValueError("two Unique in one chain: give one of them the policies of both")
    return tuple(chain)


def require_one_result_each(results: list[PushResult], jobs: Sequence[Payload]) -> list[PushResult]:
    """The results as they are.

    Raises:
        RuntimeError: there is not one for each job: a push middleware breaks its contract.
    """
    given: object = results  # of a middleware that need not be type-checked
    # A result is a tuple itself.
    is_list = isinstance(given, list | tuple) and not isinstance(given, PushResult)
    answered = len(results) if is_list else "no list of"
    if answered != len(jobs):
        raise RuntimeError(
            f"a push middleware answered {answered} results for {len(jobs)} jobs; "
            "return one PushResult for each job, in order"
        )
    return results
