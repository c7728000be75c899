"""Looking at what a fake holds: its locks, and which of its jobs an assertion means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faktory_unique import lifecycle

if TYPE_CHECKING:
    from faktory_unique.chain import Payload
    from faktory_unique.store import MemoryStore


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock of a fake's store.

    Attributes:
        owner: the jid under which the work was first pushed.
        leased: whether the push is still unconfirmed.
        ttl: seconds that it has left.
    """

    owner: str
    leased: bool
    ttl: float


class Locks(Mapping[str, Lock]):
    """The locks of a store as they are now, by key."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getitem__(self, key: str) -> Lock:
        value, ttl = self._store.values()[key], self._store.ttl(key)
        return Lock(lifecycle.owner_of(value), lifecycle.is_leased(value), ttl or 0.0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.values())

    def __len__(self) -> int:
        return len(self._store.values())

    def __repr__(self) -> str:
        return f"<Locks {dict(self)!r}>"


def matching(
    jobs: Sequence[tuple[str, Payload]],
    jobtype: str,
    args: Sequence[object] | None,
    queue: str | None,
) -> list[Payload]:
    """The jobs of a jobtype, with these args and in this queue where they are given."""
    return [
        job
        for _, job in jobs
        if job["jobtype"] == jobtype
        and (args is None or same(list(args), job["args"]))
        and (queue is None or job["queue"] == queue)
    ]


def check_wanted(jobtype: object, args: object) -> None:
    """Refuses what could never fit, and would pass as a refutation.

    Raises:
        TypeError: jobtype is no text, or args no list.
    """
    if not isinstance(jobtype, str):
        raise TypeError(f"jobtype: {jobtype!r} is no text; name it as it is pushed")
    if not isinstance(args, list | tuple | None):
        raise TypeError(f"args: {args!r} is no list; pass args=[…], all of them")


def same(expected: object, actual: object) -> bool:
    """Whether JSON carries the one as the other: a tuple is a list, 1 is 1.0, True is not 1.

    What is expected may be an object that compares as it likes, such as `unittest.mock.ANY`.
    """
    match expected, actual:
        case (list() | tuple(), list()):
            return len(expected) == len(actual) and all(map(same, expected, actual))
        case (dict(), dict()):
            return expected.keys() == actual.keys() and all(
                same(value, actual[name]) for name, value in expected.items()
            )
        case (bool(), _) | (int() | float(), bool()):
            return expected is actual
    return expected == actual


def describe(  # noqa: PLR0913, PLR0917  # what was asked, and what came of it
    jobs: Sequence[tuple[str, Payload]],
    jobtype: str,
    args: Sequence[object] | None,
    queue: str | None,
    found: int,
    count: int | None,
) -> str:
    """What an assertion says when it fails: what it wanted, and all that is enqueued."""
    wanted = jobtype if args is None else _call(jobtype, args)
    where = f" in queue {queue!r}" if queue is not None else ""
    number = "at least one" if count is None else str(count)
    told = f"expected {number} {wanted}{where} to be enqueued, found {found}"
    if not jobs:
        return f"{told}; nothing is enqueued"
    lines = [
        f"  {job['queue']}: {_call(job['jobtype'], job['args'])}"
        + (f" at {job['at']}" if state == "scheduled" else "")
        for state, job in jobs
    ]
    return "\n".join([f"{told}; there are", *lines])


def _call(jobtype: str, args: Sequence[object]) -> str:
    return f"{jobtype}({', '.join(map(repr, args))})"
