"""What a job says itself of being unique, in the words of Faktory Enterprise's unique jobs.

Its contract (the wiki's page "Ent Unique Jobs"): `custom.unique_for`, in seconds, makes a job
unique by class, args and queue for that long, its delay added, whatever becomes of the attempt;
`custom.unique_until` is "success", the default, or "start".
"""

from __future__ import annotations

from typing import Any

from faktory_unique._durations import MAX_SECONDS
from faktory_unique._util import short_repr
from faktory_unique.errors import InvalidJob

from .policy import Policy, Until

_FOR, _UNTIL = "unique_for", "unique_until"


def job_policy(job: dict[str, Any], policy: Policy | None) -> Policy | None:
    """The policy of one job: what it says itself, else that of its jobtype.

    Its own words say what the key is and how long the lock lives; from the policy of its jobtype
    comes what Enterprise has no words for, such as `on_conflict`.

    Args:
        job: the payload.
        policy: of its jobtype, if it has one.

    Raises:
        InvalidJob: it says something else than Enterprise takes; the message names it.
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
            f"custom.{_UNTIL}: {short_repr(until)} stands without {_FOR}; "
            f"add the seconds for which the job is unique, as custom.{_FOR}"
        )
    if isinstance(unique_for, bool) or not isinstance(unique_for, int | float):
        raise InvalidJob(
            f"custom.{_FOR}: {short_repr(unique_for)} is no number of seconds; write for example 600, "
            "or false for a job that is not to be unique"
        )
    if not 1 <= unique_for <= MAX_SECONDS:
        raise InvalidJob(
            f"custom.{_FOR}: {short_repr(unique_for)} seconds; it is 1 to {MAX_SECONDS}, "
            "or false for a job that is not to be unique"
        )
    if until not in (None, "success", "start"):  # a tuple, since it may be a list
        raise InvalidJob(
            f'custom.{_UNTIL}: {short_repr(until)} is neither "success" nor "start"; '
            "for more, give its jobtype a Policy"
        )
    return _with_own_words(policy or Policy(), float(unique_for), until or "success")


def _with_own_words(policy: Policy, unique_for: float, until: Until) -> Policy:
    own = {"ttl": unique_for, "until": until, "renew": False, "on_death": "release"}
    selection = {"per_queue": True, "scope": None, "by": None, "key": None}
    return policy.model_copy(update={**own, **selection})
