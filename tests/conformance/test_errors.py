"""Error replies of each command: missing arguments, unknown verbs, QUEUE, MUTATE, odd bytes."""

import pytest

from .tables import by_command
from .wire import beginning

# The server slices a line after its verb without checking the length, and recovers from the
# panic (server/server.go:408-416).
NO_ARGUMENTS = [
    ("PUSH", "-ERR internal error"),
    ("PUSHB", "-ERR internal error"),
    ("ACK", "-ERR internal error"),
    ("FAIL", "-ERR internal error"),
    ("BEAT", "-ERR internal error"),
    ("FETCH", "-ERR must call fetch with at least one queue"),
    ("QUEUE", "-ERR internal error"),
    ("QUEUE PAUSE", "-ERR internal error"),
    ("QUEUE RESUME", "-ERR internal error"),
    ("QUEUE REMOVE", "-ERR internal error"),
]

# A verb is the text before the first space, in its own case (server/server.go:388-396).
UNKNOWN = [
    ('HELLO {"v":2}', "-ERR unknown command HELLO"),
    ("HI", "-ERR unknown command HI"),
    ("push {}", "-ERR unknown command push"),
    ("Push {}", "-ERR unknown command Push"),
    ("PUSHB{}", "-ERR unknown command PUSHB{}"),
    ("PUSH{}", "-ERR unknown command PUSH{}"),
    ("", "-ERR unknown command "),
    (" ", "-ERR unknown command "),
    (" PUSH", "-ERR unknown command "),
    ("PING", "-ERR unknown command PING"),
    ("info", "-ERR unknown command info"),
    ("ack {}", "-ERR unknown command ack"),
    ('ACKx{"jid":"x"}', '-ERR unknown command ACKx{"jid":"x"}'),
]

ENTERPRISE = [
    ("TRACK", "-ERR tracking subsystem is only available in Faktory Enterprise"),
    ("TRACK GET x", "-ERR tracking subsystem is only available in Faktory Enterprise"),
    ("BATCH", "-ERR batch subsystem is only available in Faktory Enterprise"),
    ("BATCH NEW {}", "-ERR batch subsystem is only available in Faktory Enterprise"),
    ("BATCH COMMIT", "-ERR batch subsystem is only available in Faktory Enterprise"),
]

# QUEUE takes its subcommand in any case, and unknown names (server/commands.go:40).
QUEUE = [
    ("QUEUE LATENCY", "{}"),
    ("QUEUE LATENCY *", "-ERR QUEUE LATENCY does not support wildcards"),
    ("QUEUE LATENCY * a", '{"*":0,"a":0}'),
    ("QUEUE LATENCY a a", '{"a":0}'),
    ("QUEUE FOO", "-ERR no such QUEUE subcommand: FOO"),
    ("QUEUE foo bar", "-ERR no such QUEUE subcommand: FOO"),
    ("QUEUE ", "-ERR no such QUEUE subcommand: "),
    ("QUEUE  pause", "-ERR no such QUEUE subcommand: "),
    ("QUEUE PAUSE ", "+OK"),
    ("QUEUE straße ŉ ﬁ", "-ERR no such QUEUE subcommand: STRAßE"),
    ("QUEUE straße", "-ERR no such QUEUE subcommand: STRAßE"),
    ("QUEUE ŉǰﬁΐ", "-ERR no such QUEUE subcommand: ŉǰﬁΐ"),
    ("QUEUE ǆ", "-ERR no such QUEUE subcommand: Ǆ"),
    ("QUEUE \u0131\u017f", "-ERR no such QUEUE subcommand: IS"),
    ("QUEUE pause *", "+OK"),
    ("QUEUE Pause nope", "+OK"),
    ("QUEUE PAUSE * a", "+OK"),
]

# MUTATE splits at every space, even within its JSON (server/mutate.go:118-122).
MUTATE = [
    ("MUTATE", "-ERR invalid format"),
    ("MUTATE ", "-ERR not JSON"),
    ("MUTATE {}", "-ERR unknown mutate operation"),
    ("MUTATE null", "-ERR unknown mutate operation"),
    ("MUTATE {", "-ERR not JSON"),
    ('MUTATE {"cmd":"clear"}', "-ERR invalid target for mutation command"),
    ('MUTATE {"cmd":"clear","target":"queues"}', "-ERR invalid target for mutation command"),
    ('MUTATE {"cmd":"kill","target":"nope"}', "-ERR invalid target for mutation command"),
    ('MUTATE {"cmd":"requeue","target":""}', "-ERR invalid target for mutation command"),
    ('MUTATE {"cmd":"discard","target":"Retries"}', "-ERR invalid target for mutation command"),
    (
        'MUTATE {"cmd":"discard","target":"working","filter":{"jids":["a"]}}',
        "-ERR invalid target for mutation command",
    ),
    ('MUTATE {"cmd":"Clear","target":"retries"}', "-ERR unknown mutate operation"),
    ('MUTATE {"cmd":"clear", "target":"retries"}', "-ERR invalid format"),
    ('MUTATE {"cmd":"clear","target":"retries"} ', "-ERR invalid format"),
    ('MUTATE  {"cmd":"clear","target":"retries"}', "-ERR invalid format"),
    ("MUTATE clear", "-ERR not JSON"),
]

# JSON of a wrong type. Nothing of Faktory's stands before Go's error here.
MUTATE_TYPES = [
    "[]",
    '"x"',
    "5",
    '{"cmd":5,"target":"retries"}',
    '{"cmd":"clear","target":5}',
    '{"cmd":"clear","target":"retries","filter":5}',
    '{"cmd":"clear","target":"retries","filter":{"jids":"x"}}',
    '{"cmd":"clear","target":"retries","filter":{"jids":[1]}}',
    '{"cmd":"clear","target":"retries","filter":{"regexp":1}}',
    '{"cmd":"clear","target":"retries","filter":{"jobtype":{}}}',
]

# Bytes that are not UTF-8: an error repeats a line as it was sent, but decoded text with U+FFFD.
BYTES = [
    (b"QUEUE \xff\xe9a", "-ERR no such QUEUE subcommand: ��A"),
    (b"ACK {\xff}", "-ERR invalid ACK {\udcff}"),
    (b"FAIL \xff", "-ERR invalid FAIL \udcff"),
    (b"\xffPUSH x", "-ERR unknown command \udcffPUSH"),
    (b"PUSH \xff", "-ERR invalid JSON: not JSON"),
    (
        b'PUSH {"jid":"\xff\xfe345678","jobtype":"\xe2\x82"}',
        "-ERR jobs must have an args parameter",
    ),
    (b"FOO\x00 x", "-ERR unknown command FOO\x00"),
    (b'BEAT {"wid":"\xff"}', "-ERR unknown worker �"),
    (b"MUTATE \xff", "-ERR not JSON"),
    (b"PUSH {}\r", "-ERR jobs must have a reasonable jid parameter"),
    (b"FOO\r", "-ERR unknown command FOO\r"),
]


@by_command(NO_ARGUMENTS)
def test_verb_without_its_arguments(server, command, reply):
    """A verb without its arguments is an error, mostly an internal one."""
    assert server.worker().ask(command) == reply


@by_command(UNKNOWN)
def test_unknown_verb(line, command, reply):
    """A verb in another case, or without its space, is unknown."""
    assert line.ask(command) == reply


@by_command(ENTERPRISE)
def test_verb_of_the_enterprise_server(line, command, reply):
    """Batches and tracking are refused."""
    assert line.ask(command) == reply


@by_command(QUEUE)
def test_queue(line, command, reply):
    """QUEUE works and fails without any known queue."""
    assert line.ask(command) == reply


@by_command(MUTATE)
def test_mutate(line, command, reply):
    """MUTATE refuses spaces and unknown names, the operation before the target."""
    assert beginning(line.ask(command)) == reply


@pytest.mark.parametrize("operation", MUTATE_TYPES)
def test_mutate_of_wrong_types(line, operation):
    """MUTATE refuses JSON of a wrong type."""
    assert beginning(line.ask(f"MUTATE {operation}")) == "-ERR json: cannot unmarshal"


@by_command(BYTES)
def test_bytes_that_are_no_text(worker, command, reply):
    """Bytes that are not UTF-8 are returned as they were, or as U+FFFD."""
    assert beginning(worker.ask(command)) == reply


@pytest.mark.parametrize("verb", ["PUSH", "PUSHB", "ACK", "FAIL", "BEAT", "MUTATE"])
def test_connection_survives_errors(worker, verb):
    """After an error, even an internal one, the connection stays open."""
    assert worker.ask(verb).startswith("-ERR ")
    assert worker.ask("FLUSH") == "+OK"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_end_of_line(line, end):
    """A line ends with a newline; one carriage return before it is dropped."""
    line.send(f"ONE{end}TWO\r{end}")
    assert [line.reply(), line.reply()] == [
        "-ERR unknown command ONE",
        "-ERR unknown command TWO" + ("\r" if end == "\r\n" else ""),
    ]


def test_many_commands_at_once(line):
    """A client may send commands before it has read earlier replies."""
    line.send("FLUSH\r\nNO\r\nPUSHB []\r\nQUEUE LATENCY\r\n")
    replies = [line.reply() for _ in range(4)]
    assert replies == ["+OK", "-ERR unknown command NO", "{}", "{}"]


def test_command_in_pieces(line):
    """A command may be sent in pieces."""
    for piece in ("PU", "SHB", " [", "]\r"):
        line.send(piece)
    assert line.ask("") == "{}"
