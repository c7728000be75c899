"""The handshake HI and HELLO: protocol version, password hash, and errors of a failed login."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from faktory_unique.errors import AuthenticationFailed

from .server_errors import is_temporary

if TYPE_CHECKING:
    from .address import Address
    from .stream import Stream

_PROTOCOL_VERSION = 2


def log_in(
    stream: Stream, address: Address, hello_fields: dict[str, Any], deadline: float | None
) -> None:
    """Exchange HI and HELLO, in version 2 of Faktory's protocol.

    Args:
        stream: a new connection.
        address: the server's address, with the password.
        hello_fields: fields of HELLO besides the protocol version and the password hash.
        deadline: a time of `time.monotonic`; None for no limit.

    Raises:
        AuthenticationFailed: the server does not let this client in.
        OSError: the server does not reply, or accepts no clients for now.
        ValueError: a reply is malformed.
    """
    try:
        first_reply = stream.read_reply(deadline)
    except ValueError as exc:
        raise AuthenticationFailed(_no_greeting_message(address, str(exc))) from exc
    _check_available(first_reply)
    if not first_reply.startswith("+HI "):
        raise AuthenticationFailed(_no_greeting_message(address, repr(first_reply[:80])))
    greeting = _parse_greeting(first_reply[4:])
    if greeting.get("v") != _PROTOCOL_VERSION:
        raise AuthenticationFailed(
            f"Faktory at {address!r} speaks protocol version {greeting.get('v')}; "
            f"this client needs version {_PROTOCOL_VERSION}"
        )
    hello = {"v": _PROTOCOL_VERSION, **hello_fields}
    if "s" in greeting:
        if not address.password:
            raise AuthenticationFailed(
                f"Faktory at {address!r} asks for a password; put it into the URL: "
                "tcp://:password@host:port"
            )
        hello["pwdhash"] = _password_hash(address.password, greeting["s"], greeting.get("i", 1))
    stream.send(f"HELLO {json.dumps(hello)}", deadline)
    reply = stream.read_reply(deadline)
    _check_available(reply)
    if reply != "+OK":
        raise AuthenticationFailed(f"Faktory at {address!r} refused the login: {reply[1:]}")


def _no_greeting_message(address: Address, received: str) -> str:
    return f"no Faktory greeting from {address!r}, check host and port; received: {received}"


def _parse_greeting(text: str) -> dict[str, Any]:
    """Return the fields of HI.

    Raises:
        ValueError: the text is not a JSON object, or its iteration count is not a number.
    """
    try:
        greeting = json.loads(text)
    except RecursionError as exc:
        raise ValueError(f"the greeting HI is not JSON: {exc}") from exc
    if not isinstance(greeting, dict) or not isinstance(greeting.get("i", 1), int):
        raise ValueError(f"the greeting HI has wrong fields: {text[:80]!r}")  # noqa: TRY004  # a bad reply, like the others
    return greeting


def _check_available(reply: str) -> None:
    """Check that the server accepts clients.

    Raises:
        ConnectionRefusedError: it accepts none for now.
    """
    if is_temporary(reply.removeprefix("-ERR ")):
        raise ConnectionRefusedError(reply[5:])


def _password_hash(password: str, salt: str, iterations: int) -> str:
    digest = f"{password}{salt}".encode()
    for _ in range(iterations):
        digest = sha256(digest).digest()
    return digest.hex()
