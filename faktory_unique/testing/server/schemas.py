"""The JSON objects of jobs and commands: the fields of the server's structs, in their order."""

from __future__ import annotations

from .go_json import Integer, ListOf, MapOf, Nullable, Scalar, Struct

_STRING, _ANY, _INT = Scalar.STRING, Scalar.ANY, Integer()

FAILURE = Struct(  # client/job.go:23-31
    {
        "failed_at": _STRING,
        "next_at": _STRING,
        "message": _STRING,
        "errtype": _STRING,
        "backtrace": ListOf(_STRING),
        "retry_count": _INT,
        "remaining": _INT,
    },
    omit_empty=frozenset({"next_at", "message", "errtype", "backtrace"}),
)

JOB = Struct(  # client/job.go:33-50
    {
        "retry": Nullable(_INT),
        "failure": Nullable(FAILURE),
        "custom": MapOf(_ANY),
        "jid": _STRING,
        "queue": _STRING,
        "jobtype": _STRING,
        "created_at": _STRING,
        "enqueued_at": _STRING,
        "at": _STRING,
        "args": ListOf(_ANY),
        "reserve_for": _INT,
        "backtrace": _INT,
    },
    omit_empty=frozenset(
        {"failure", "custom", "created_at", "enqueued_at", "at", "reserve_for", "backtrace"}
    ),
)

JOBS = ListOf(JOB)

RESERVATION = Struct(  # manager/working.go:21-30
    {"job": Nullable(JOB), "reserved_at": _STRING, "expires_at": _STRING, "wid": _STRING}
)

ACK = MapOf(_STRING)  # server/commands.go:269

FAIL = Struct(  # manager/retry.go:15-20
    {"jid": _STRING, "message": _STRING, "errtype": _STRING, "backtrace": ListOf(_STRING)}
)

BEAT = Struct(  # server/commands.go:325-329
    {"current_state": _STRING, "wid": _STRING, "rss_kb": _INT}
)

HELLO = Struct(  # server/workers.go:46-61
    {
        "startedat": _STRING,  # a time, which the server sets itself
        "hostname": _STRING,
        "wid": _STRING,
        "pwdhash": _STRING,
        "username": _STRING,
        "labels": ListOf(_STRING),
        "pid": _INT,
        "rss_kb": _INT,
        "v": Integer(0, 255),
    }
)

_FILTER = Struct(  # client/mutate.go:20-24
    {"regexp": _STRING, "jobtype": _STRING, "jids": ListOf(_STRING)}
)

MUTATION = Struct(  # client/mutate.go:92-96
    {"filter": Nullable(_FILTER), "cmd": _STRING, "target": _STRING}
)
