"""Every error of this package: one root, and a branch for each party that can be at fault.

The caller: `InvalidJob`, `InvalidSettings`. The store: `StoreUnavailable`, `StoreError`. Faktory, or the way
to it: `Refused`, `NotSent`, `OutcomeUnknown`, which between them say what is known of a command that
did not end in a good reply. Those three also are pyfaktory's protocol error, so that an
`except` written for pyfaktory still catches them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._pyfaktory import pyfaktory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .chain import PushResult

_ProtocolError: type[Exception] = pyfaktory.FaktroyWorkProtocolError


class FaktoryUniqueError(Exception):
    """The root of all errors raised by this package."""


class _WithResults:
    """What a batch had come to when the error stopped it.

    Attributes:
        results: one `PushResult` for each job of the call, in its order; empty where the error
            came before anything was tried.
    """

    results: Sequence[PushResult] = ()


class InvalidJob(FaktoryUniqueError, ValueError):
    """The job cannot be carried faithfully, or would be lost. Nothing was locked or pushed."""


class InvalidSettings(FaktoryUniqueError, ValueError):
    """A setting or policy is unknown or impossible; the message names it."""


class StoreError(_WithResults, FaktoryUniqueError):
    """The lock store answered with an error, such as out of memory or no permission."""


class StoreUnavailable(StoreError, ConnectionError):
    """The lock store gave no answer in time. The jobs this concerned were not pushed."""


class FaktoryError(FaktoryUniqueError, _ProtocolError):
    """A command to Faktory did not end in a good reply."""


class Refused(FaktoryError):
    """Faktory answered and did not carry the command out."""


class NotSent(FaktoryError, ConnectionError):
    """No byte of the command left this process: no connection could be made."""


class OutcomeUnknown(FaktoryError, ConnectionError):
    """The command was sent, wholly or in part, and no whole reply came back."""


class PushRefused(_WithResults, Refused):
    """Faktory refused the job. Its lock was given back."""


class PushNotSent(_WithResults, NotSent):
    """The job never left this process. Its lock was given back."""


class PushOutcomeUnknown(_WithResults, OutcomeUnknown):
    """The job may or may not be on the server. Its lock is leased until that is past doubt.

    Push the same Job object again: it keeps its lock and goes out under a new jid.
    """
