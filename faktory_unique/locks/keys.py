"""The key: which jobs are the same work.

`<prefix>:<jobtype or scope>:<digest>`, the digest being the first 16 bytes of the SHA-256 of the
RFC 8785 bytes of an object that holds the jobtype and (a selection of) the args. docs/design.md §6
is the specification; any language can compute it.
"""

from __future__ import annotations

from binascii import b2a_base64
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from faktory_unique.errors import InvalidJob
from faktory_unique.policy.policy import is_position

from .canonical_json import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.policy.policy import Policy

PREFIX = "unique:1"

_DIGEST_BYTES = 16

# base64 as RFC 4648 section 5 has it; base64.urlsafe_b64encode takes a third longer for the same.
_URL_SAFE = bytes.maketrans(b"+/", b"-_")

# A Redis Cluster places a key by what stands in its first pair of braces. Side keys are written
# `{<key>}:gone:…`, so the key itself must hold none; the escape sign is escaped along with them.
_ESCAPED = (("{", "%7B"), ("}", "%7D"), ("%", "%25"))
_ESCAPES = str.maketrans(dict(_ESCAPED))


def lock_key(policy: Policy, job: dict[str, Any]) -> str:
    """The Redis key that stands for the work of this job.

    Args:
        policy: what unique means for the job's jobtype.
        job: a payload with `jobtype`, `args` and, where the policy says `per_queue`, `queue`.

    Raises:
        InvalidJob: a selected value is missing, or is not JSON that Faktory carries faithfully.
    """
    scope = policy.scope
    jobtype, beginning = _named(job["jobtype"] if scope is None else scope)
    args: list[Any] = job["args"]
    # What Faktory cannot carry is refused in every argument, selected or not: the job goes whole.
    whole = canonical_json(args, path="args")
    queue = _queue(job) if policy.per_queue else b""
    if policy.by is not None:
        selected = canonical_json([_select(args, path) for path in policy.by], path="args")
        by = canonical_json(policy.by, path="by")
        work = b'{"args":%b,"by":%b,"jobtype":%b%b}' % (selected, by, jobtype, queue)
    elif policy.key is not None:
        work = b'{"jobtype":%b,"key":%b%b}' % (jobtype, _chosen(policy.key, args), queue)
    else:
        work = b'{"args":%b,"jobtype":%b%b}' % (whole, jobtype, queue)
    digest = b2a_base64(sha256(work).digest()[:_DIGEST_BYTES], newline=False)
    return beginning + digest.translate(_URL_SAFE, b"=").decode()


@lru_cache(maxsize=1_024)  # names are few, and it saves a quarter of what a key costs
def _named(name: str) -> tuple[bytes, str]:
    """The JSON of a jobtype or scope, and what the keys of its locks begin with."""
    return canonical_json(name, path="jobtype"), key_prefix(name)


def name_in_key(key: str) -> str | None:
    """The jobtype, or scope, that stands in the key of a lock; None where it is none of ours."""
    name, _, _ = key.removeprefix(f"{PREFIX}:").rpartition(":")
    if not name or not key.startswith(f"{PREFIX}:"):
        return None
    for sign, escaped in _ESCAPED:
        name = name.replace(escaped, sign)
    return name


def key_prefix(name: str | None) -> str:
    """What the keys of all locks of a jobtype or scope begin with; of all locks, without one."""
    return f"{PREFIX}:" if name is None else f"{PREFIX}:{name.translate(_ESCAPES)}:"


def tombstone_key(key: str, owner: str) -> str:
    """Where it stands that an owner's job has been replaced: beside the lock of its work."""
    return f"{{{key}}}:gone:{owner}"


def run_key(key: str) -> str:
    """The lock of the run that is going on, beside the lock of its work."""
    return f"{{{key}}}:run"


def is_side_key(key: str) -> bool:
    """Whether this is no lock of a work, but stands beside one."""
    return key.startswith("{")


def _select(args: list[Any], path: int | str) -> object:
    """The value that a path of `Policy.by` leads to."""
    found: Any = args
    walked = "args"
    for step in str(path).split("."):
        if isinstance(found, dict) and step in found:
            found, walked = found[step], f"{walked}.{step}"
        elif isinstance(found, list | tuple) and is_position(step) and int(step) < len(found):
            found, walked = found[int(step)], f"{walked}[{step}]"
        else:
            raise InvalidJob(
                f"{walked}: has no {step!r}, which `by` {path!r} selects; push the job with it, "
                "or change `by` in its policy"
            )
    return found


def _queue(job: dict[str, Any]) -> bytes:
    return b',"queue":%b' % canonical_json(job.get("queue") or "default", path="queue")


def _chosen(key: Callable[[list[Any]], object], args: list[Any]) -> bytes:
    try:
        chosen = key(args)
    except Exception as exc:
        # Its type alone: the text may hold args.
        raise InvalidJob(f"key: the policy's function raised {type(exc).__name__}") from exc
    return canonical_json(chosen, path="key")
