"""What unique means for a jobtype: `Policy`, and which policy a jobtype has: `Policies`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from faktory_unique._durations import MAX_SECONDS, parse_duration
from faktory_unique._util import short_repr

if TYPE_CHECKING:
    from datetime import timedelta

_LAST_POSITION = 2**53 - 1  # a path stands in the key, in JSON, which rounds what is beyond


Seconds = Annotated[
    float, BeforeValidator(parse_duration), Field(ge=1, le=MAX_SECONDS, allow_inf_nan=False)
]


Until: TypeAlias = Literal["success", "start", "expiry"]
OnConflict: TypeAlias = Literal["skip", "raise", "replace"]
OnDeath: TypeAlias = Literal["release", "keep"]
OnStoreError: TypeAlias = Literal["raise", "push"]


class Policy(BaseModel):
    """What unique means for the jobs of one jobtype.

    Attributes:
        ttl: seconds that a job may wait in its queue, counted from when it is due there, before
            its lock lapses. Any form that `parse_duration` reads; 1 second to ten years.
        until: what frees the lock: "success", that Faktory has acknowledged the job; "start", that
            a worker begins it, so that a push while it runs is no duplicate; "expiry", nothing but
            its ttl.
        exclusive: whether no two jobs of one key may run at once: one that would is put back for
            some seconds, without spending a retry. For as long as `reserve_for`, which nobody
            enforces. With until="start", one can wait while another runs. It is no mutex for
            different work: what has one key is one piece of work, and else a duplicate.
        on_conflict: what a push does whose equal is there: "skip" it, and answer `duplicate`;
            "raise" `DuplicateJob`; or "replace" the job that is there, which then steps aside when a
            worker gets it. With `at`, that is debouncing: the newest runs, once it is quiet. Not
            with until="expiry", whose lock stands when its job is done: each push would go out.
        enforce: False observes: nothing is kept from being pushed or run, and what would be a
            duplicate is told as an `observed` event. A store that is away costs its time-out.
        renew: whether a fetched job's lock lives for as long as the attempt, a retry and its wait
            can take. Without that its time is counted from the push alone, and a job that takes
            longer goes on unguarded.
        on_death: "release", or "keep" the lock of a job that has run out of retries, for ttl: its
            equal is then a duplicate, and the dead job can be brought back without a rival.
        on_store_error: what a push does when the store is away: "raise" `StoreError`, nothing
            having been pushed, or "push" the job unguarded.
        lease: seconds that a lock lives until Faktory has confirmed the push: the longest that a
            producer which dies in between blocks its key. Longer than a push can take.
        per_queue: the same work in two queues is two works.
        scope: a name that stands in for the jobtype, so that several jobtypes exclude each other.
        by: paths into args, such as `(0, "1.user_id")`: only these make the key.
        key: called with the list of args; the JSON value that it returns makes the key. Code only.

    Raises:
        pydantic.ValidationError: a field is unknown or its value impossible; it names the field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ttl: Seconds = 3_600.0
    until: Until = "success"
    exclusive: bool = False
    on_conflict: OnConflict = "skip"
    enforce: bool = True
    renew: bool = True
    on_death: OnDeath = "release"
    on_store_error: OnStoreError = "raise"
    lease: Seconds = 60.0
    per_queue: bool = False
    scope: str | None = Field(default=None, min_length=1)
    by: tuple[int | str, ...] | None = Field(default=None, min_length=1)
    key: Callable[[list[Any]], object] | None = None

    if TYPE_CHECKING:
        # What may be written, which is more than what is kept.
        def __init__(  # noqa: PLR0913  # a field each
            self,
            *,
            ttl: float | str | timedelta = ...,
            until: Until = ...,
            exclusive: bool = ...,
            on_conflict: OnConflict = ...,
            enforce: bool = ...,
            renew: bool = ...,
            on_death: OnDeath = ...,
            on_store_error: OnStoreError = ...,
            lease: float | str | timedelta = ...,
            per_queue: bool = ...,
            scope: str | None = ...,
            by: Sequence[int | str] | None = ...,
            key: Callable[[list[Any]], object] | None = ...,
        ) -> None: ...

    @field_validator("by", mode="before")
    @classmethod
    def _paths(cls, by: object) -> object:
        """One spelling for a path: `"0"` and `0` select the same and must give the same key."""
        if by is None:
            return None
        if isinstance(by, str | int) or not isinstance(by, list | tuple):
            raise ValueError(  # noqa: TRY004  # pydantic makes a ValidationError of it
                f"{short_repr(by)} is not a list of paths; write for example [0, '1.user_id']"
            )
        return tuple(_path(path) for path in by)

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if self.by is not None and self.key is not None:
            raise ValueError("by and key both select what makes the key; set one of them")
        return self


def is_position(step: str) -> bool:
    """Whether a step of a path is a position in a list: in one spelling, since it makes the key."""
    return re.fullmatch(r"0|[1-9][0-9]{0,15}", step, re.ASCII) is not None


def _path(path: object) -> int | str:
    if isinstance(path, str) and is_position(path):
        path = int(path)
    if isinstance(path, int) and not isinstance(path, bool) and 0 <= path <= _LAST_POSITION:
        return path
    if isinstance(path, str) and is_position(path.partition(".")[0]):
        _, *steps = path.split(".")
        if steps and all(steps):
            return path
    raise ValueError(
        f"{short_repr(path)} is not a path into args; begin with the position of an argument, counted "
        "from 0, and go on with keys or positions behind dots: 0 or '1.user_id'"
    )


class Policies:
    """Which policy a jobtype has: by its name, else by the most telling glob that fits.

    That is the one with the most characters that are no wildcard, so that it does not matter in
    which of the sources of settings it stands; of equals, the first.
    """

    def __init__(self, policies: Mapping[str, Policy], default: Policy | None = None) -> None:
        self._exact = dict(policies)
        globs = [(name, p) for name, p in policies.items() if any(c in name for c in "*?[")]
        self._globs = sorted(globs, key=lambda glob: -len(re.sub(r"\[[^]]*\]|[*?]", "", glob[0])))
        self._default = default

    def for_jobtype(self, jobtype: str) -> Policy | None:
        """The policy of this jobtype; None when its jobs are not unique."""
        policy = self._exact.get(jobtype)
        if policy is not None:
            return policy
        for glob, policy in self._globs:
            if fnmatchcase(jobtype, glob):
                return policy
        return self._default
