"""What the server decodes and encodes: Go's structs of the protocol, as shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.testing.go.encode import encode
from faktory_unique.testing.go.json import decode
from faktory_unique.testing.go.shapes import (
    ANY,
    FLOAT64,
    INT,
    INT64,
    STRING,
    UINT8,
    Field,
    Map,
    Pointer,
    Slice,
    String,
    Struct,
)

if TYPE_CHECKING:
    from faktory_unique.testing.go.shapes import Shape, Value

FAILURE = Struct(  # client/job.go:23-31
    "client.Failure",
    (
        Field("failed_at", STRING),
        Field("next_at", STRING, omit_empty=True),
        Field("message", STRING, omit_empty=True),
        Field("errtype", STRING, omit_empty=True),
        Field("backtrace", Slice(STRING), omit_empty=True),
        Field("retry_count", INT),
        Field("remaining", INT),
    ),
)

JOB = Struct(  # client/job.go:33-50
    "client.Job",
    (
        Field("retry", Pointer(INT)),
        Field("failure", Pointer(FAILURE), omit_empty=True),
        Field("custom", Map(ANY), omit_empty=True),
        Field("jid", STRING),
        Field("queue", STRING),
        Field("jobtype", STRING),
        Field("created_at", STRING, omit_empty=True),
        Field("enqueued_at", STRING, omit_empty=True),
        Field("at", STRING, omit_empty=True),
        Field("args", Slice(ANY)),
        Field("reserve_for", INT, omit_empty=True),
        Field("backtrace", INT, omit_empty=True),
    ),
)

JOBS = Slice(JOB)

RESERVATION = Struct(  # manager/working.go:21-30
    "manager.Reservation",
    (
        Field("job", Pointer(JOB)),
        Field("reserved_at", STRING),
        Field("expires_at", STRING),
        Field("wid", STRING),
    ),
)

ACKNOWLEDGED = Map(STRING)  # server/commands.go:269

REFUSED = Map(STRING)  # server/commands.go:178
LATENCIES = Map(FLOAT64)  # server/commands.go:113

FAILED = Struct(  # manager/retry.go:15-20
    "manager.FailPayload",
    (
        Field("jid", STRING),
        Field("message", STRING),
        Field("errtype", STRING),
        Field("backtrace", Slice(STRING)),
    ),
)

BEAT = Struct(  # server/commands.go:325-329
    "server.ClientBeat",
    (Field("current_state", STRING), Field("wid", STRING), Field("rss_kb", INT64)),
)

HELLO = Struct(  # server/workers.go:46-61
    "server.ClientData",
    (
        Field("StartedAt", STRING),  # a time.Time, which no client has any business with
        Field("hostname", STRING),
        Field("wid", STRING),
        Field("pwdhash", STRING),
        Field("username", STRING),
        Field("labels", Slice(STRING)),
        Field("pid", INT),
        Field("rss_kb", INT64),
        Field("v", UINT8),
    ),
)

_FILTER = Struct(  # client/mutate.go:20-24
    "client.JobFilter",
    (Field("regexp", STRING), Field("jobtype", STRING), Field("jids", Slice(STRING))),
)

OPERATION = Struct(  # client/mutate.go:92-96
    "client.Operation",
    (
        Field("filter", Pointer(_FILTER)),
        Field("cmd", STRING),
        Field("target", String("client.Structure")),
    ),
)


def decoded(payload: str, shape: Shape) -> Value:
    """What the server itself has written, read again."""
    return decode(payload.encode(), shape)


def encoded(value: object, shape: Shape) -> str:
    """A value as the server writes it."""
    return encode(value, shape)
