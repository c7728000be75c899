"""Every error of this package: one root, and a branch for each party that can be at fault.

The caller: `InvalidJob`, `InvalidSettings`. Nobody, where a policy asks for it: `DuplicateJob`. The
store: `StoreUnavailable`, `StoreError`. Faktory, or the way to it: `CommandRefused`, `CommandNotSent`,
`CommandOutcomeUnknown`, which between them say what is known of a command that did not end in a good
reply. Those three are pyfaktory's protocol error too, so that an `except` written for pyfaktory
still catches them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._pyfaktory import StockProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .results import PushResult


class FaktoryUniqueError(Exception):
    """The root of all errors raised by this package."""


class BatchError(FaktoryUniqueError):
    """A push was stopped by an error.

    Attributes:
        results: one `PushResult` for each job of the call, in its order; empty where the error
            came before anything was tried.
    """

    results: Sequence[PushResult]

    def __init__(self, message: str, *, results: Sequence[PushResult] = ()) -> None:
        super().__init__(message)
        self.results = tuple(results)


class InvalidJob(BatchError, ValueError):
    """The job cannot be carried faithfully, or would be lost. Nothing was locked or pushed.

    But where a middleware within `Unique` refuses some of a list of more than 200: others may have
    been pushed before; `results` tells.
    """


class InvalidSettings(FaktoryUniqueError, ValueError):
    """A setting or policy is unknown or impossible; the message names it."""


class StoreError(BatchError):
    """The lock store answered with an error, such as out of memory or no permission.

    Attributes:
        done: the changes of the batch that are known to have happened all the same.
    """

    done: Sequence[Any] = ()  # of `Transition`, which is above this module


class StoreUnavailable(StoreError, ConnectionError):
    """The lock store gave no answer in time. The jobs this concerned were not pushed."""


class FaktoryError(FaktoryUniqueError, StockProtocolError):
    """A command to Faktory did not end in a good reply."""


class CommandRefused(FaktoryError):
    """Faktory answered and did not carry the command out."""


class CommandNotSent(FaktoryError, ConnectionError):
    """No byte of the command left this process: no connection could be made."""


class AuthenticationFailed(CommandNotSent):
    """Faktory does not let this client in: wrong or missing password, or another protocol."""


class CommandOutcomeUnknown(FaktoryError, ConnectionError):
    """The command was sent, wholly or in part, and no whole reply came back."""


class DuplicateJob(BatchError):
    """An equal job is there already, and the policy says `on_conflict="raise"`.

    It was not pushed. `results` tells which job is there; of a bulk, the others were pushed.
    """


class PushRefused(BatchError, CommandRefused):
    """Faktory refused the job. Its lock was given back."""


class PushNotSent(BatchError, CommandNotSent):
    """The job never left this process. Its lock was given back."""


class PushOutcomeUnknown(BatchError, CommandOutcomeUnknown):
    """The job may or may not be on the server. Its lock is leased until that is past doubt.

    Push the same Job object again, if it is unique: it keeps its lock and goes out under a new jid.
    One that is not unique goes out under the same, which can destroy reservations; make a new Job.
    """
