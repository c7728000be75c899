"""`RedisStore`: locks in Redis (6.2 or newer) or Valkey; what a call sends, and how it fails."""

from __future__ import annotations

import re
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    RedisError,
    ResponseError,
)

from faktory_unique.errors import StoreError, StoreUnavailable

from .breaker import CircuitBreaker
from .redis_commands import command_for
from .redis_connection import ClientConnection, RedisConnection
from .redis_errors import ErrorReply, error_replies
from .redis_options import server_options
from .redis_pool import RedisPool
from .redis_scripts import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import redis

    from faktory_unique.locks.transition import Transition

    from .redis_commands import Command
    from .redis_connection import Connection, Reply
    from .redis_pool import Exchange

_SCAN_COUNT = 1_000  # keys that one SCAN looks at: well under a millisecond of Redis' time


class RedisStore:
    """A `Store` on one Redis or Valkey server.

    Args:
        server: a `redis://`, `rediss://` or `unix://` URL with redis-py's options, or a ready
            `redis.Redis`. Its address, login, TLS, time-outs and `max_connections` are copied. The
            store opens connections of its own.

    Raises:
        ValueError: a part of the URL is not allowed, or an option is unknown. The message names it.
    """

    def __init__(self, server: str | redis.Redis) -> None:
        self._options = server_options(server)
        # One deadline for a whole call: waiting for a connection, opening it, and all replies.
        self._seconds = self._options.connect_seconds + self._options.reply_seconds
        self._address = self._options.address
        limit, longest_idle = self._options.max_connections, self._options.longest_idle
        self._pool = RedisPool(self._open, limit, longest_idle)
        self._breaker = CircuitBreaker(f"Redis at {self._address}")
        self._has_set_nx_get = True  # Redis ≥ 7.0; False once a server has replied with an error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._address}>"

    def run(self, transitions: Sequence[Transition]) -> list[str | None]:
        """Apply each transition; see `Store.run`."""
        if not transitions:
            return []
        replies: dict[int, Reply] = {}  # by the transition's place
        try:
            self._call(partial(self._send_transitions, transitions, replies))
        except StoreError as exc:
            _note_outcomes(exc, transitions, replies)
            raise
        return [_text(replies[i]) for i in range(len(transitions))]

    def read(self, keys: Sequence[str]) -> list[tuple[str, float] | None]:
        """Return the value of each lock and the seconds until it lapses; see `Store.read`."""
        commands = [command for key in keys for command in (("GET", key), ("PTTL", key))]

        def exchange(connection: Connection, deadline: float) -> list[Reply]:
            replies = self._send(connection, deadline, commands)
            # A key of another type is not a lock: another program wrote it.
            return [None if _is_wrong_type(reply) else reply for reply in replies]

        replies = self._call(exchange)
        return [
            # -1: the key has no TTL. Another program removed it: every lock of ours has one.
            value and (value.decode("utf-8", "replace"), inf if left < 0 else left / 1_000)
            for value, left in zip(replies[::2], replies[1::2], strict=True)
        ]

    def scan(self, prefix: str) -> Iterator[Sequence[str]]:
        """Yield the keys that start with a prefix, in pages; see `Store.scan`."""
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
        cursor = b"0"
        while True:
            command = ("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
            [(cursor, keys)] = self._call(partial(self._send, commands=[command]))
            yield [key.decode("utf-8", "replace") for key in keys]
            if cursor == b"0":
                return

    def close(self) -> None:
        """Close idle connections; a later `run` opens new ones."""
        self._pool.close_idle()

    def allow_probe(self) -> None:
        """Let the next call try to reach the server, even if the calls before it failed."""
        self._breaker.allow_probe()

    def _open(self, deadline: float) -> Connection:
        connection = self._options.connection(max(deadline - monotonic(), 0.001))
        if self._options.is_redis_py:
            return RedisConnection(connection, deadline)
        return ClientConnection(connection)

    def _call(self, exchange: Exchange) -> list[Reply]:
        """Return the replies of an exchange, none of which is an error.

        Raises:
            StoreUnavailable: there was no reply in time, the server cannot serve now, or it has
                not served for a while.
            StoreError: Redis refused the login, or a command.
        """
        return self._breaker.call(partial(self._exchange, exchange))

    def _exchange(self, exchange: Exchange) -> list[Reply]:
        deadline = monotonic() + self._seconds
        try:
            replies = self._pool.use(exchange, deadline)
            errors = error_replies(replies)
            if errors and any(reply.rule.reconnects for reply in errors):
                replies = self._pool.use(exchange, deadline)
                errors = error_replies(replies)
        except (AuthenticationError, AuthorizationError, ResponseError) as exc:
            reply = ErrorReply.of(exc)
            if reply.rule.unavailable:
                raise self._unavailable(reply) from exc
            raise StoreError(f"Redis at {self._address} refused the login: {reply}") from exc
        except (RedisError, OSError) as exc:
            raise StoreUnavailable(f"no reply from Redis at {self._address}: {exc}") from exc
        for reply in errors:
            if reply.rule.unavailable:
                raise self._unavailable(reply) from reply
        if errors:
            raise StoreError(
                f"Redis at {self._address} refused {len(errors)} of {len(replies)} commands: "
                f"{errors[0]}"
            ) from errors[0]
        return replies

    def _unavailable(self, reply: ErrorReply) -> StoreUnavailable:
        return StoreUnavailable(f"Redis at {self._address} is unavailable: {reply}")

    def _send(
        self, connection: Connection, deadline: float, commands: Iterable[Command]
    ) -> list[Reply]:
        """Send commands and return their replies. Poll only if no other thread waits for a reply.

        Polling would take the processor from the other thread.
        """
        return connection.exchange(commands, deadline, busy_poll=self._pool.busy == 1)

    def _send_transitions(
        self,
        transitions: Sequence[Transition],
        outcomes: dict[int, Reply],
        connection: Connection,
        deadline: float,
    ) -> list[Reply]:
        """Send the transitions that are not known to be applied, and return their replies.

        Args:
            transitions: all transitions of the call.
            outcomes: the replies by the transition's place; the new ones are added.
            connection: the connection to send them on.
            deadline: when the last reply must be there.
        """
        places = [
            i
            for i, transition in enumerate(transitions)
            if i not in outcomes or not _is_applied(transition, outcomes[i])
        ]
        left = [transitions[i] for i in places]
        replies = self._send(connection, deadline, self._commands(left))
        if error_replies(replies):
            self._send_again(connection, deadline, left, replies)
        outcomes.update(zip(places, replies, strict=True))
        return replies

    def _send_again(
        self,
        connection: Connection,
        deadline: float,
        transitions: Sequence[Transition],
        replies: list[Reply],
    ) -> None:
        """Send again the commands that an older or restarted server did not know.

        Their first send changed nothing. Their new replies replace the old ones in `replies`.
        """
        errors = {i: r for i, r in enumerate(replies) if isinstance(r, ErrorReply)}
        if any(reply.is_syntax_error for reply in errors.values()):
            self._has_set_nx_get = False
        unknown = [i for i, r in errors.items() if r.word == "NOSCRIPT" or r.is_syntax_error]
        if not unknown:
            return
        loads = [("SCRIPT", "LOAD", script.text) for script in SCRIPTS]
        commands = [*loads, *self._commands([transitions[i] for i in unknown])]
        new_replies = self._send(connection, deadline, commands)
        refusals = error_replies(new_replies[: len(loads)])
        for i, reply in zip(unknown, new_replies[len(loads) :], strict=True):
            is_cause = refusals and isinstance(reply, ErrorReply) and reply.word == "NOSCRIPT"
            replies[i] = refusals[0] if is_cause else reply

    def _commands(self, transitions: Iterable[Transition]) -> Iterator[Command]:
        nx_get = self._has_set_nx_get
        return (command_for(transition, nx_get=nx_get) for transition in transitions)


def _note_outcomes(
    exc: StoreError, transitions: Sequence[Transition], replies: dict[int, Reply]
) -> None:
    """Set what is known of each transition after an error: carried out, applied or refused."""
    known = [(transitions[i], reply) for i, reply in replies.items()]
    errors = [(t, reply) for t, reply in known if isinstance(reply, ErrorReply)]
    exc.found = {t: _text(reply) for t, reply in known if not isinstance(reply, ErrorReply)}
    exc.done = tuple(t for t, found in exc.found.items() if t.applied(found))
    exc.refused = tuple(t for t, reply in errors if reply.rule.is_final)


def _is_applied(transition: Transition, reply: Reply) -> bool:
    return not isinstance(reply, ErrorReply) and transition.applied(_text(reply))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _is_wrong_type(reply: Reply) -> bool:
    return isinstance(reply, ErrorReply) and reply.word == "WRONGTYPE"
