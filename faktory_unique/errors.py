"""Every exception of the package, grouped by the party at fault.

- The caller: `InvalidJob`, `InvalidSettings`.
- Nobody, when the policy says `on_conflict="raise"`: `DuplicateJob`.
- The lock store: `StoreUnavailable`, `StoreError`.
- Faktory, or the connection to it: `CommandRefused`, `CommandNotSent`, `CommandOutcomeUnknown`.

The last three say what is known of a command that got no good reply. They are also pyfaktory's
protocol error, so an `except` written for pyfaktory still catches them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ._pyfaktory import StockProtocolError
from ._util import visible_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .results import PushResult


# A message names the wrong value, which may be foreign, and says what to do.
_MAX_MESSAGE_LENGTH = 2_000


class FaktoryUniqueError(Exception):
    """The base class of all exceptions of this package.

    Its text is one line: foreign text in it, such as a jobtype or a server's reply, is escaped.
    """

    def __str__(self) -> str:
        return visible_text(super().__str__(), _MAX_MESSAGE_LENGTH)


class BatchError(FaktoryUniqueError):
    """An error stopped a push.

    Attributes:
        results: one `PushResult` for each job of the call, in the same order. It is empty if the
            error came before any job was tried.
    """

    results: Sequence[PushResult]

    def __init__(self, message: str, *, results: Sequence[PushResult] = ()) -> None:
        super().__init__(message)
        self.results = tuple(results)


class InvalidJob(BatchError, ValueError):
    """Faktory cannot carry the job unchanged, or would lose it. Nothing was locked or pushed.

    There is one exception: a middleware inside `Unique` may refuse a job of a list of more than
    200. Other jobs of that list may have been pushed before. `results` has the status of each job.
    """


class InvalidSettings(FaktoryUniqueError, ValueError):
    """A setting or a policy field is unknown, or its value is not allowed. The message names it."""


class StoreError(BatchError):
    """The lock store replied with an error, such as out of memory or no permission.

    Attributes:
        done: the lock transitions that are known to be applied although others failed.
        found: the values found by the transitions that are known to be carried out.
        refused: the transitions that Redis refused, and would refuse again at any later time.
    """

    # Of `Transition`, which is above this module.
    done: Sequence[Any] = ()
    found: Mapping[Any, str | None] = MappingProxyType({})
    refused: Sequence[Any] = ()


class StoreUnavailable(StoreError, ConnectionError):
    """The lock store did not reply in time, or a signal handler must not wait for it.

    If a push raises it, the jobs that needed the store were not pushed.
    """


class FaktoryError(FaktoryUniqueError, StockProtocolError):
    """A command to Faktory got no good reply."""


class CommandRefused(FaktoryError):
    """Faktory replied with an error and did not execute the command."""


class CommandNotSent(FaktoryError, ConnectionError):
    """The command was not sent, or Faktory accepts no commands for now and has not executed it.

    Most often no connection could be made in time. The message says why.
    """


class AuthenticationFailed(CommandNotSent):
    """Faktory rejected this client: its password is wrong or missing."""


class CommandOutcomeUnknown(FaktoryError, ConnectionError):
    """The command was sent, at least in part, and no complete reply was received."""


class DuplicateJob(BatchError):
    """An equal job is queued or running, and the policy says `on_conflict="raise"`.

    The job was not pushed. `results` has the jid of the equal job. If the call pushed a list, the
    other jobs of the list were pushed.
    """


class PushRefused(BatchError, CommandRefused):
    """Faktory refused the job. Its lock was rolled back."""


class PushNotSent(BatchError, CommandNotSent):
    """The job was not sent, or not accepted by a Faktory that stops. Its lock was rolled back."""


class PushOutcomeUnknown(BatchError, CommandOutcomeUnknown):
    """It is unknown whether Faktory has the job. Its lock stays leased until the lease lapses.

    If the job is unique, push the same Job object again: it keeps its lock and gets a new jid. A
    job that is not unique would keep its jid, which can destroy reservations: make a new Job.
    """
