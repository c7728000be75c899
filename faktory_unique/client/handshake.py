"""HI and HELLO: how a connection begins."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from faktory_unique.errors import AuthenticationFailed

from .server_errors import is_for_now

if TYPE_CHECKING:
    from .address import Address
    from .stream import Stream

_PROTOCOL_VERSION = 2


def log_in(
    stream: Stream, server: Address, greeting: dict[str, Any], deadline: float | None
) -> None:
    """Exchanges HI and HELLO, of Faktory's protocol version 2.

    Args:
        stream: just connected.
        server: whose it is.
        greeting: what HELLO is to tell besides the protocol version and the password.
        deadline: of `time.monotonic`; None for no bound.

    Raises:
        AuthenticationFailed: the server does not let this client in.
        OSError: it does not answer, or lets nobody in at present; likewise ValueError.
    """
    try:
        hi = stream.read_reply(deadline)
    except ValueError as exc:
        raise AuthenticationFailed(f"Faktory at {server!r} does not greet: {exc}") from exc
    _refuse_for_now(hi)
    if not hi.startswith("+HI "):
        raise AuthenticationFailed(f"Faktory at {server!r} does not greet: {hi[:80]!r}")
    told = _greeting(hi[4:])
    if told.get("v") != _PROTOCOL_VERSION:
        raise AuthenticationFailed(f"Faktory at {server!r} speaks version {told.get('v')}, not 2")
    hello = {"v": _PROTOCOL_VERSION, **greeting}
    if "s" in told:
        if not server.password:
            raise AuthenticationFailed(
                f"Faktory at {server!r} asks for a password; put it into the URL: "
                "tcp://:password@host:port"
            )
        hello["pwdhash"] = _password_hash(server.password, told["s"], told.get("i", 1))
    stream.send(f"HELLO {json.dumps(hello)}", deadline)
    answer = stream.read_reply(deadline)
    _refuse_for_now(answer)
    if answer != "+OK":
        raise AuthenticationFailed(f"Faktory at {server!r} refuses the login: {answer[1:]}")


def _greeting(text: str) -> dict[str, Any]:
    """What HI tells; ValueError where that is nothing to go by."""
    try:
        told = json.loads(text)
    except RecursionError as exc:
        raise ValueError(f"HI tells no JSON: {exc}") from exc
    if not isinstance(told, dict) or not isinstance(told.get("i", 1), int):
        raise ValueError(f"HI tells {text[:80]!r}")  # noqa: TRY004  # of the reply, as all else
    return told


def _refuse_for_now(answer: str) -> None:
    """Raises OSError where the server lets nobody in at present."""
    if is_for_now(answer.removeprefix("-ERR ")):
        raise ConnectionRefusedError(answer[5:])


def _password_hash(password: str, salt: str, iterations: int) -> str:
    digest = f"{password}{salt}".encode()
    for _ in range(iterations):
        digest = sha256(digest).digest()
    return digest.hex()
