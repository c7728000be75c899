"""How things are written: a server's URL, PUSHB, and replies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from faktory_unique.errors import CommandOutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faktory_unique._pyfaktory import StockClient


def bulk(reply: str) -> str | None:
    """The content of a bulk reply; None for a null one, and for a reply of another kind."""
    return reply.partition("\r\n")[2] if reply.startswith("$") and reply != "$-1" else None


def pushb(payloads: Sequence[dict[str, Any]]) -> str:
    """The command that pushes jobs; TypeError or ValueError where one is not JSON."""
    return f"PUSHB {json.dumps(payloads, allow_nan=False)}"


def refused_of(reply: str) -> dict[str, str]:
    """What an answer to PUSHB says of each job that was not enqueued, by jid."""
    try:
        said = json.loads(bulk(reply) or "")
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise CommandOutcomeUnknown(f"Faktory's answer to PUSHB is no map of jids: {reply[:80]!r}")
    return said


def url_of(client: StockClient) -> str:
    """The URL of a client's server, with the password."""
    host = client.host or ""
    host = f"[{host}]" if ":" in host else host
    # A stock client uses the password just as it stands in its URL.
    login = f":{quote(client.password, safe='')}@" if client.password else ""
    return f"{client.scheme}://{login}{host}:{client.port}"


def fetched(reply: str) -> dict[str, Any] | None:
    """The payload that an answer to FETCH brings; None where the queues were empty."""
    content = bulk(reply)
    if content is None:
        return None
    try:
        payload: dict[str, Any] = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise CommandOutcomeUnknown(f"Faktory's answer to FETCH is no JSON: {exc}") from exc
    return payload
