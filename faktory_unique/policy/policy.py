"""`Policy`: what "unique" means for a jobtype: the fields, their limits and their errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from faktory_unique._durations import MAX_SECONDS, parse_duration
from faktory_unique._util import is_text, short_repr

if TYPE_CHECKING:
    from datetime import timedelta

    from pydantic.functional_validators import ModelWrapValidatorHandler

# A path is part of the key, as JSON, which rounds larger integers.
_LAST_POSITION = 2**53 - 1

# The longest jobtype, scope or jid of a unique job, in bytes of UTF-8. These limits also bound the
# key and the owner in a stamp.
MAX_NAME_BYTES = 512

Seconds = Annotated[
    float, BeforeValidator(parse_duration), Field(ge=1, le=MAX_SECONDS, allow_inf_nan=False)
]

Until: TypeAlias = Literal["success", "start", "expiry"]
OnConflict: TypeAlias = Literal["skip", "raise", "replace"]
OnDeath: TypeAlias = Literal["release", "keep"]
OnStoreError: TypeAlias = Literal["raise", "push"]


class Policy(BaseModel):
    """The meaning of "unique" for the jobs of one jobtype.

    Attributes:
        ttl: how long a job may wait in its queue before its lock lapses, in seconds, counted from
            when the job is due. With until="expiry", how long the lock lasts. From 1 second to ten
            years, as `90`, `"90s"`, `"1h30m"`, `"PT1H30M"` or a timedelta.
        until: when the lock is released. "success": when Faktory has acknowledged the job.
            "start": when a worker starts the job, so that a push while it runs is no duplicate.
            "expiry": never; only the ttl ends the lock.
        exclusive: whether two jobs with the same key never run at the same time. The second job is
            requeued for some seconds, without spending a retry. The first one is protected for its
            `reserve_for`; Faktory does not stop a job that runs longer. With until="start", one
            job can wait while another runs. This is no mutex for different work: jobs with the
            same key are duplicates.
        on_conflict: what a push does if an equal job is already queued or running. "skip": do not
            push, and return the status `duplicate`. "raise": raise `DuplicateJob`. "replace": push
            the job; a worker then acknowledges the older job without running it. With `at`, this
            is debouncing: the newest job runs once the pushes stop. It cannot be combined with
            until="expiry": that lock outlives the job, so no push would be a duplicate.
        enforce: False only observes. Every job is pushed and run, and a job that would be a
            duplicate emits the event `observed`. A push still waits for the store's time-out if
            the store is unavailable.
        renew: whether the lock of a fetched job lasts for as long as the attempt, one retry and the
            wait for it can take. Without it, the ttl counts from the push, and a job that takes
            longer runs without a lock.
        on_death: "release" the lock of a job that has no retries left, or "keep" it for ttl. While
            it is kept, an equal job is a duplicate, and somebody can revive the dead job safely.
        on_store_error: what a push does if the store is unavailable: "raise" `StoreError` and push
            nothing, or "push" the job without a lock (status `unguarded`).
        lease: the time, in seconds, for which a new lock lasts until the push is confirmed. If a
            producer dies before that, its key stays locked for this long. It must be longer than a
            push takes. The same forms and limits as for `ttl`.
        per_queue: whether equal jobs in two queues are different work.
        scope: a name that replaces the jobtype in the key, so that several jobtypes exclude each
            other.
        by: the arguments that count, as paths into args, such as `(0, "1.user_id")`. All others
            are ignored.
        key: a function that takes the list of args. The JSON value that it returns counts instead
            of the args. It can be set only in code, not in the environment or a TOML file. A policy
            has `by` or `key`, not both.

    Raises:
        pydantic.ValidationError: a field is unknown, or its value is not allowed. The message names
            the field.
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
        # The types that the caller may pass: more than the types of the fields.
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

    @field_validator("scope")
    @classmethod
    def _bounded_scope(cls, scope: str | None) -> str | None:
        if scope is not None and not is_text(scope, MAX_NAME_BYTES):
            raise ValueError(
                f"{short_repr(scope)} is not Unicode text of at most {MAX_NAME_BYTES} bytes"
            )
        return scope

    @field_validator("by", mode="before")
    @classmethod
    def _paths(cls, by: object) -> object:
        """Return one spelling for each path: `"0"` and `0` are the same and must give one key."""
        if by is None:
            return None
        if isinstance(by, str | int) or not isinstance(by, list | tuple):
            raise ValueError(  # noqa: TRY004  # pydantic turns it into a ValidationError
                f"{short_repr(by)} is not a list of paths; write for example [0, '1.user_id']"
            )
        return tuple(_path(path) for path in by)

    @model_validator(mode="wrap")
    @classmethod
    def _name_known_fields(cls, fields: object, build: ModelWrapValidatorHandler[Self]) -> Self:
        """Add the names of the fields to the error about an unknown one."""
        try:
            return build(fields)
        except ValidationError as exc:
            raise ValidationError.from_exception_data(
                exc.title, [_with_known_fields(error) for error in exc.errors(include_url=False)]
            ) from None

    @model_validator(mode="after")
    def _expiry_replaces_nothing(self) -> Self:
        if self.until == "expiry" and self.on_conflict == "replace":
            raise ValueError(
                'on_conflict="replace" cannot be combined with until="expiry", whose lock outlives '
                'its job; use until="success", or on_conflict="skip"'
            )
        return self

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if self.by is not None and self.key is not None:
            raise ValueError("by and key both select what makes the key; set only one")
        return self


def is_position(step: str) -> bool:
    """Return whether a step of a path is a position in a list, in its only spelling.

    A position is part of the key, so "01" is no position.
    """
    return re.fullmatch(r"0|[1-9][0-9]{0,15}", step, re.ASCII) is not None


def _path(path: object) -> int | str:
    """Return a path in its only spelling: an int, or steps joined by dots."""
    if isinstance(path, str) and is_position(path):
        path = int(path)
    if isinstance(path, int) and not isinstance(path, bool) and 0 <= path <= _LAST_POSITION:
        return path
    if isinstance(path, str) and is_position(path.partition(".")[0]):
        _, *steps = path.split(".")
        if steps and all(steps):
            return path
    raise ValueError(
        f"{short_repr(path)} is not a path into args; begin with the position of an argument, "
        "counted from 0, then add keys or positions after dots: 0 or '1.user_id'"
    )


def _with_known_fields(error: ErrorDetails) -> InitErrorDetails:
    details = InitErrorDetails(
        type=error["type"], loc=error["loc"], input=error["input"], ctx=error.get("ctx", {})
    )
    if error["type"] == "extra_forbidden":
        known = list(Policy.model_fields)
        similar = get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean {similar[0]!r}? " if similar else ""
        message = f"no such field; {hint}the fields are {', '.join(known)}"
        details["type"] = PydanticCustomError("extra_forbidden", message)
    return details
