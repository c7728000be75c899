"""A job's own options `custom.unique_for` and `custom.unique_until`, as in Faktory Enterprise.

The page "Ent Unique Jobs" of Faktory's wiki defines them. `unique_for` is a number of seconds. It
makes a job unique by jobtype, args and queue for that long plus its delay, whatever the result of
an attempt. `unique_until` is "success" (the default) or "start".
"""

from __future__ import annotations

from typing import Any

from faktory_unique._durations import MAX_SECONDS
from faktory_unique._util import short_repr
from faktory_unique.errors import InvalidJob

from .policy import Policy, Until

_FOR, _UNTIL = "unique_for", "unique_until"


def job_policy(job: dict[str, Any], policy: Policy | None) -> Policy | None:
    """Return the policy of one job: from its own options, else the policy of its jobtype.

    The job's own options decide the key and how long the lock lasts. The other fields, which
    Enterprise does not have, such as `on_conflict`, come from the policy of the jobtype.

    Args:
        job: the payload.
        policy: the policy of its jobtype; None if there is none.

    Returns:
        None if the job is not unique.

    Raises:
        InvalidJob: Enterprise would not accept the options. The message names the field.
    """
    custom = job.get("custom")
    if not isinstance(custom, dict) or (_FOR not in custom and _UNTIL not in custom):
        return policy
    unique_for, until = custom.get(_FOR), custom.get(_UNTIL)
    if unique_for is False:
        return None
    if unique_for is None:
        if until is None:
            return policy
        raise InvalidJob(
            f"custom.{_UNTIL}: {short_repr(until)} needs {_FOR}; "
            f"add the seconds for which the job is unique, as custom.{_FOR}"
        )
    if isinstance(unique_for, bool) or not isinstance(unique_for, int | float):
        raise InvalidJob(
            f"custom.{_FOR}: {short_repr(unique_for)} is not a number of seconds; "
            "write for example 600, or false for a job that is not unique"
        )
    if not 1 <= unique_for <= MAX_SECONDS:
        raise InvalidJob(
            f"custom.{_FOR}: {short_repr(unique_for)} seconds; write 1 to {MAX_SECONDS}, "
            "or false for a job that is not unique"
        )
    if until not in (None, "success", "start"):  # a tuple, not a set: the value may be a list
        raise InvalidJob(
            f'custom.{_UNTIL}: {short_repr(until)} is neither "success" nor "start"; '
            "for other values, give its jobtype a Policy"
        )
    return _with_own_options(policy or Policy(), float(unique_for), until or "success")


def _with_own_options(policy: Policy, unique_for: float, until: Until) -> Policy:
    """Return the policy with a job's own options, and without a selection of arguments."""
    own = {"ttl": unique_for, "until": until, "renew": False, "on_death": "release"}
    selection = {"per_queue": True, "scope": None, "by": None, "key": None}
    return policy.model_copy(update={**own, **selection})
