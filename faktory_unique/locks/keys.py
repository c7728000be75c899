"""The Redis key of a job's lock, from jobtype and args; and the keys of tombstones and run locks.

A key is `<prefix>:<jobtype or scope>:<digest>`. The digest is the first 16 bytes of a SHA-256. It
is computed from the RFC 8785 bytes of an object with the jobtype and (a selection of) the args.
docs/design.md §6 is the specification; any language can compute it.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from faktory_unique._util import is_text
from faktory_unique.errors import InvalidJob
from faktory_unique.policy.policy import MAX_NAME_BYTES, is_position

from .canonical_json import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.policy.policy import Policy

PREFIX = "unique:1"

_DIGEST_BYTES = 16

# The base64 of RFC 4648 section 5. base64.urlsafe_b64encode does the same and takes a third longer.
_URL_SAFE = bytes.maketrans(b"+/", b"-_")

# A Redis Cluster chooses a key's slot by the text in its first pair of braces. Side keys are
# `{<key>}:gone:…`, so braces in the key itself are escaped, and so is the escape character.
_ESCAPE_PAIRS = (("{", "%7B"), ("}", "%7D"), ("%", "%25"))
_ESCAPE_TABLE = str.maketrans(dict(_ESCAPE_PAIRS))

# A name without braces, and the 22 characters of the digest. An escape makes a name longer.
_LOCK_KEY = re.compile(rf"{PREFIX}:[^{{}}]+:[A-Za-z0-9_-]{{22}}")
_MAX_KEY_BYTES = len(f"{PREFIX}::") + 3 * MAX_NAME_BYTES + 22


def lock_key(policy: Policy, job: dict[str, Any]) -> str:
    """Return the Redis key of the job's lock.

    Args:
        policy: the policy of the job.
        job: a payload with `jobtype`, `args` and, if the policy says `per_queue`, `queue`.

    Raises:
        InvalidJob: a selected value is missing, Faktory cannot carry an argument unchanged, or the
            function of `Policy.key` raised. The message names it.
    """
    scope = policy.scope
    name, prefix = _name_and_prefix(job["jobtype"] if scope is None else scope)
    args: list[Any] = job["args"]
    # All args are checked, also those that the policy does not select: Faktory gets all of them.
    whole = canonical_json(args, path="args")
    queue = _queue_member(job) if policy.per_queue else b""
    if policy.by is not None:
        selected = canonical_json([_selected_value(args, path) for path in policy.by], path="args")
        by = canonical_json(policy.by, path="by")
        work = b'{"args":%b,"by":%b,"jobtype":%b%b}' % (selected, by, name, queue)
    elif policy.key is not None:
        work = b'{"jobtype":%b,"key":%b%b}' % (name, _key_function_json(policy.key, args), queue)
    else:
        work = b'{"args":%b,"jobtype":%b%b}' % (whole, name, queue)
    digest = b2a_base64(sha256(work).digest()[:_DIGEST_BYTES], newline=False)
    return prefix + digest.translate(_URL_SAFE, b"=").decode()


@lru_cache(maxsize=1_024)  # of bounded names; this saves a quarter of the time of a key
def _name_and_prefix(name: str) -> tuple[bytes, str]:
    """Return the JSON of a jobtype or scope, and the prefix of its keys."""
    return canonical_json(name, path="jobtype"), key_prefix(name)


def name_in_key(key: str) -> str | None:
    """Return the jobtype or scope in the key of a lock; None if it is not a key of a lock."""
    name, _, _ = key.removeprefix(f"{PREFIX}:").rpartition(":")
    if not name or not key.startswith(f"{PREFIX}:"):
        return None
    for sign, escaped in _ESCAPE_PAIRS:
        name = name.replace(escaped, sign)
    return name


def is_lock_key(key: object) -> bool:
    """Return whether a value is the key of a lock: it has the format, and its name is not too long.

    A stamp comes from whoever may push to Faktory. It must not name other keys of the same Redis.
    """
    return is_text(key, _MAX_KEY_BYTES) and _LOCK_KEY.fullmatch(key) is not None


def key_prefix(name: str | None) -> str:
    """Return the common prefix of the lock keys of a jobtype or scope; of all locks if None."""
    return f"{PREFIX}:" if name is None else f"{PREFIX}:{name.translate(_ESCAPE_TABLE)}:"


def side_key_prefix(name: str | None) -> str:
    """Return the common prefix of the side keys of a jobtype or scope; of all if None."""
    return "{" + key_prefix(name)


def tombstone_key(key: str, owner: str) -> str:
    """Return the key of an owner's tombstone, which says that its job has been replaced."""
    return f"{{{key}}}:gone:{owner}"


def run_key(key: str) -> str:
    """Return the key of the run lock that belongs to a lock's key."""
    return f"{{{key}}}:run"


def key_of_run_lock(key: str) -> str | None:
    """Return the key of the lock to which a run lock belongs; None if it is no run lock's key."""
    return key[1:-5] if key.startswith(f"{{{PREFIX}:") and key.endswith("}:run") else None


def is_side_key(key: str) -> bool:
    """Return whether a key is a side key: of a tombstone or a run lock."""
    return key.startswith("{")


def _selected_value(args: list[Any], path: int | str) -> object:
    """Return the value that a path of `Policy.by` selects. Raise InvalidJob if there is none."""
    value: Any = args
    place = "args"
    for step in str(path).split("."):
        if isinstance(value, dict) and step in value:
            value, place = value[step], f"{place}.{step}"
        elif isinstance(value, list | tuple) and is_position(step) and int(step) < len(value):
            value, place = value[int(step)], f"{place}[{step}]"
        else:
            raise InvalidJob(
                f"{place}: has no {step!r}, which `by` {path!r} selects; push the job with it, "
                "or change `by` in its policy"
            )
    return value


def _queue_member(job: dict[str, Any]) -> bytes:
    """Return the member `"queue"` of the JSON object, with a comma before it."""
    return b',"queue":%b' % canonical_json(job.get("queue") or "default", path="queue")


def _key_function_json(key: Callable[[list[Any]], object], args: list[Any]) -> bytes:
    """Return the JSON of the value that the function of `Policy.key` returns for the args."""
    try:
        value = key(args)
    except Exception as exc:
        # Only the type, since the text may contain args.
        raise InvalidJob(f"key: the policy's function raised {type(exc).__name__}") from exc
    return canonical_json(value, path="key")
