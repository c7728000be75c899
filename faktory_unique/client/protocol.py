"""The text of Faktory's protocol: writes PUSHB as JSON; parses bulk replies and rejections."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from faktory_unique._util import visible_text
from faktory_unique.errors import CommandOutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faktory_unique._pyfaktory import StockClient


def parse_bulk(reply: str) -> str | None:
    """Return the content of a bulk reply; None for a null bulk or a reply of another kind."""
    return reply.partition("\r\n")[2] if reply.startswith("$") and reply != "$-1" else None


def pushb_command(payloads: Sequence[dict[str, Any]]) -> str:
    """Return the PUSHB command for these jobs.

    Raises:
        TypeError: a payload cannot be written as JSON.
        ValueError: likewise.
    """
    return f"PUSHB {json.dumps(payloads, allow_nan=False)}"


def parse_rejections(reply: str) -> dict[str, str]:
    """Return the error of each job that PUSHB did not enqueue, by jid.

    Raises:
        CommandOutcomeUnknown: the reply is not a JSON object.
    """
    try:
        rejections = json.loads(parse_bulk(reply) or "")
    except ValueError:
        rejections = None
    if not isinstance(rejections, dict):
        raise CommandOutcomeUnknown(
            f"Faktory's reply to PUSHB is not a JSON object of jids: {reply[:80]!r}"
        )
    return {jid: visible_text(str(error)) for jid, error in rejections.items()}


def parse_job(reply: str) -> dict[str, Any] | None:
    """Return the payload in a reply to FETCH; None if the queues were empty.

    Raises:
        CommandOutcomeUnknown: the reply is not JSON.
    """
    content = parse_bulk(reply)
    if content is None:
        return None
    try:
        payload: dict[str, Any] = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise CommandOutcomeUnknown(f"Faktory's reply to FETCH is not JSON: {exc}") from exc
    return payload


def client_url(client: StockClient) -> str:
    """Return the URL of a client's server, with the password."""
    host = client.host or ""
    host = f"[{host}]" if ":" in host else host
    # A stock client uses the password exactly as it is written in its URL.
    login = f":{quote(client.password, safe='')}@" if client.password else ""
    return f"{client.scheme}://{login}{host}:{client.port}"
