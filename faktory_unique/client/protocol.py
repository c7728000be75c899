"""The text of Faktory's protocol: writes PUSHB; parses jobs, rejections and state changes.

A reply that is JSON of another shape than Faktory's is an unknown outcome, like no JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from faktory_unique._util import visible_text
from faktory_unique.errors import CommandOutcomeUnknown

from .stream import MAX_BULK_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faktory_unique._pyfaktory import StockClient

_NULL_BULK = "$-1"

# The fields of a fetched job that this package reads, as the server's struct has them
# (client/job.go:33-50 of Faktory 1.10). It omits those that may be None.
_JOB_FIELDS = {
    "jid": str,
    "jobtype": str,
    "args": list,
    "queue": str | None,
    "custom": dict | None,
    "failure": dict | None,
    "retry": int | None,
    "reserve_for": int | None,
    "backtrace": int | None,
}


def pushb_command(payloads: Sequence[dict[str, Any]]) -> str:
    """Return the PUSHB command for these jobs.

    Raises:
        TypeError: a payload cannot be written as JSON.
        ValueError: likewise.
    """
    return f"PUSHB {json.dumps(payloads, allow_nan=False)}"


def check_sizes(payloads: Sequence[dict[str, Any]]) -> None:
    """Check that a worker can fetch each of these jobs.

    Raises:
        ValueError: a job is larger than any reply may be.
    """
    for payload in payloads:
        size = len(pushb_command([payload]))
        if size > MAX_BULK_BYTES:
            raise ValueError(
                f"it has {size} bytes, and no worker accepts more than {MAX_BULK_BYTES}; "
                "push a reference to the data instead"
            )


def parse_rejections(reply: str) -> dict[str, str]:
    """Return the error of each job that PUSHB did not enqueue, by jid.

    Raises:
        CommandOutcomeUnknown: the reply is not a JSON object of texts.
    """
    rejections = _parse_object(reply, "PUSHB")
    if not all(isinstance(error, str) for error in rejections.values()):
        raise _unknown_outcome("PUSHB", "has an error that is no text")
    return {jid: visible_text(error) for jid, error in rejections.items()}


def parse_job(reply: str) -> dict[str, Any] | None:
    """Return the payload in a reply to FETCH; None if the queues were empty.

    Raises:
        CommandOutcomeUnknown: the reply is not JSON, or not a job.
    """
    if reply == _NULL_BULK:
        return None
    payload = _parse_object(reply, "FETCH")
    for name, kind in _JOB_FIELDS.items():
        if not isinstance(payload.get(name), kind):
            raise _unknown_outcome("FETCH", f"is no job: its field {name!r} has a wrong type")
    return payload


def parse_state_change(reply: str) -> str | None:
    """Return the state that a reply to BEAT asks for; None if it asks for none.

    Raises:
        CommandOutcomeUnknown: the reply is not +OK or a JSON object with a state.
    """
    if reply == "+OK":
        return None
    state = _parse_object(reply, "BEAT").get("state")
    if not isinstance(state, str):
        raise _unknown_outcome("BEAT", "has no state")
    return state


def _parse_object(reply: str, verb: str) -> dict[str, Any]:
    """Return the JSON object in a bulk reply.

    Raises:
        CommandOutcomeUnknown: the reply is not a bulk with a JSON object.
    """
    content = reply.partition("\r\n")[2] if reply.startswith("$") else ""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise _unknown_outcome(verb, f"is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise _unknown_outcome(verb, "is not a JSON object")
    return value


def _unknown_outcome(verb: str, problem: str) -> CommandOutcomeUnknown:
    # Without the reply: a job has args, which no log contains.
    return CommandOutcomeUnknown(f"Faktory's reply to {verb} {problem}")


def client_url(client: StockClient) -> str:
    """Return the URL of a client's server, with the password."""
    host = client.host or ""
    host = f"[{host}]" if ":" in host else host
    # A stock client uses the password exactly as it is written in its URL.
    login = f":{quote(client.password, safe='')}@" if client.password else ""
    return f"{client.scheme}://{login}{host}:{client.port}"
