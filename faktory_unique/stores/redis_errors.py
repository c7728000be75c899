"""What each error reply of Redis means: reconnect or not, unavailable or refused, final or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from redis.connection import DefaultParser

from faktory_unique._util import short_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis.exceptions import RedisError


class ErrorRule(NamedTuple):
    """What an error reply means. The command that got it was not executed, so it can be repeated.

    Attributes:
        reconnects: whether a fresh connection may lead to another server, or log in again.
        unavailable: whether the server cannot serve anyone now. If not, it refused this command.
        is_final: whether the same command will be refused again, however long one waits.
    """

    reconnects: bool
    unavailable: bool
    is_final: bool


_WRONG_SERVER = ErrorRule(reconnects=True, unavailable=True, is_final=False)
_NO_LOGIN = ErrorRule(reconnects=True, unavailable=False, is_final=False)
_OTHER_NODE = ErrorRule(reconnects=True, unavailable=False, is_final=True)
_BUSY = ErrorRule(reconnects=False, unavailable=True, is_final=False)
_NOT_NOW = ErrorRule(reconnects=False, unavailable=False, is_final=False)
_REFUSED = ErrorRule(reconnects=False, unavailable=False, is_final=True)

# By the first word of the reply. Any other word is a refusal for good.
_RULES = {
    "READONLY": _WRONG_SERVER,  # a replica: the primary was demoted, or the address moved
    "MASTERDOWN": _WRONG_SERVER,  # a replica that has lost its primary
    "LOADING": _WRONG_SERVER,  # a server that has just started
    "CLUSTERDOWN": _WRONG_SERVER,
    "TRYAGAIN": _WRONG_SERVER,  # a slot that is being moved to another node
    "NOAUTH": _NO_LOGIN,  # the server was given a password after this connection was opened
    "WRONGPASS": _NO_LOGIN,
    "MOVED": _OTHER_NODE,  # a node of a Cluster, which is not supported yet
    "ASK": _OTHER_NODE,
    "BUSY": _BUSY,  # somebody's script runs for too long
    "OOM": _NOT_NOW,
    "MISCONF": _NOT_NOW,  # its disk is full, for example
    "NOREPLICAS": _NOT_NOW,
}

# Redis 6.2 wraps the error of a command that a script called:
# `ERR Error running script (call to f_…): @user_script:17: @user_script: 17: -READONLY You can't …`
_IN_SCRIPT = re.compile(r"ERR Error running script .*?: -?(?=[A-Z]{2,} )")

# redis-py removes the first word, and says it by the class of its exception.
_WORDS = {
    kind: word for word, kind in DefaultParser.EXCEPTION_CLASSES.items() if isinstance(kind, type)
}


class ErrorReply(Exception):  # a reply, kept as a value beside the other replies
    """An error reply, with the server's own words as its text.

    Args:
        text: the reply as it was received, without its leading `-`.

    Attributes:
        word: the first word of the reply, such as `READONLY`.
    """

    def __init__(self, text: str) -> None:
        text = _IN_SCRIPT.sub("", text)
        super().__init__(short_text(text))
        self.word = text.partition(" ")[0]

    @classmethod
    def of(cls, error: RedisError) -> ErrorReply:
        """Return the reply from which redis-py made an exception."""
        text, word = str(error), _WORDS.get(type(error))
        return cls(text if word is None else f"{word} {text}")

    @property
    def rule(self) -> ErrorRule:
        """What the reply means."""
        return _RULES.get(self.word, _REFUSED)

    @property
    def is_syntax_error(self) -> bool:
        """Whether the server does not know an option of the command: it is older than Redis 7."""
        return str(self).lower().startswith(("err syntax error", "syntax error"))


def error_replies(replies: Iterable[object]) -> list[ErrorReply]:
    """Return the replies that are errors."""
    return [reply for reply in replies if isinstance(reply, ErrorReply)]
