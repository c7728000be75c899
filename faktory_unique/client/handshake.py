"""The handshake HI and HELLO: protocol version, password hash, and errors of a failed login.

Only a missing or refused password is final. Anything else can come from a load balancer whose
server is away, or from a server that is being upgraded: the next connection can reach Faktory.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from faktory_unique._util import short_repr
from faktory_unique.errors import AuthenticationFailed

from .server_errors import is_wrong_password
from .stream import seconds_left

if TYPE_CHECKING:
    from .address import Address
    from .stream import Stream

_PROTOCOL_VERSION = 2

# How often the password is hashed. Faktory draws 4,000 to 8,095 (server/server.go:252 of Faktory
# 1.10), and HI without a number means once. With less than 1, HELLO would send the password itself.
_MAX_ITERATIONS = 100_000

# The number of hashes between two looks at the clock: less than a millisecond.
_ITERATIONS_PER_CHECK = 1_000


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
        AuthenticationFailed: the password is wrong or missing.
        OSError: the server does not reply in time, or does not let this client in for now.
        ValueError: the greeting is not Faktory's.
    """
    greeting = _read_greeting(stream, address, deadline)
    hello = {"v": _PROTOCOL_VERSION, **hello_fields}
    if "s" in greeting:
        if not address.password:
            raise AuthenticationFailed(
                f"Faktory at {address!r} asks for a password; put it into the URL: "
                "tcp://:password@host:port"
            )
        iterations = greeting.get("i", 1)
        hello["pwdhash"] = _password_hash(address.password, greeting["s"], iterations, deadline)
    stream.send(f"HELLO {json.dumps(hello)}", deadline)
    reply = stream.read_reply(deadline)
    if reply != "+OK":
        error = reply.removeprefix("-ERR ")
        if is_wrong_password(error):
            raise AuthenticationFailed(f"Faktory at {address!r} refused the login: {error}")
        raise ConnectionRefusedError(f"the login was refused: {short_repr(error)}")


def _read_greeting(stream: Stream, address: Address, deadline: float | None) -> dict[str, Any]:
    """Return the fields of HI.

    Raises:
        OSError: no greeting came in time.
        ValueError: it is not a greeting of Faktory, or asks for another protocol version.
    """
    try:
        first_reply = stream.read_reply(deadline)
        greeting = _parse_greeting(first_reply)
    except (ValueError, RecursionError) as exc:
        raise ValueError(
            f"no Faktory greeting from {address!r}, check host and port; received: {exc}"
        ) from exc
    if greeting["v"] != _PROTOCOL_VERSION:
        raise ValueError(
            f"Faktory at {address!r} speaks protocol version {greeting['v']}; "
            f"this client needs version {_PROTOCOL_VERSION}"
        )
    return greeting


def _parse_greeting(reply: str) -> dict[str, Any]:
    """Return the fields of HI, after a check of their types and of the number of hashes.

    Raises:
        ValueError: this is no greeting.
        RecursionError: it is nested too deep.
    """
    verb, _, fields = reply.partition(" ")
    greeting = json.loads(fields) if verb == "+HI" else None
    if (
        not isinstance(greeting, dict)
        or type(greeting.get("v")) is not int
        or not isinstance(greeting.get("s", ""), str)
        or type(iterations := greeting.get("i", 1)) is not int  # bool is a subclass of int
        or not 1 <= iterations <= _MAX_ITERATIONS
    ):
        raise ValueError(short_repr(reply))
    return greeting


def _password_hash(password: str, salt: str, iterations: int, deadline: float | None) -> str:
    """Return the hash for HELLO.

    Raises:
        TimeoutError: the deadline passed meanwhile.
    """
    digest = f"{password}{salt}".encode()
    for n in range(iterations):
        if n % _ITERATIONS_PER_CHECK == 0:
            seconds_left(deadline)
        digest = sha256(digest).digest()
    return digest.hex()
