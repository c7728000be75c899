"""ACK, FAIL and BEAT with bad arguments: their error replies (server/commands.go:266-360)."""

from .tables import by_command

# ACK is a map of strings: its key has case, and every value must be one (server/commands.go:269).
ACK = [
    ("ACK ", "-ERR invalid ACK "),
    ("ACK {}", "-ERR invalid ACK {}"),
    ("ACK null", "-ERR invalid ACK null"),
    ("ACK []", "-ERR invalid ACK []"),
    ('ACK "x"', '-ERR invalid ACK "x"'),
    ('ACK {"jid":5}', '-ERR invalid ACK {"jid":5}'),
    ('ACK {"jid":null}', "+OK"),
    ('ACK {"jid":""}', "+OK"),
    ('ACK {"jid":"x"}', "+OK"),
    ('ACK {"JID":"x"}', '-ERR invalid ACK {"JID":"x"}'),
    ('ACK {"jid":"x","n":5}', '-ERR invalid ACK {"jid":"x","n":5}'),
    ('ACK {"jid":"x","n":null}', "+OK"),
    ('ACK {"jid":"x"', '-ERR invalid ACK {"jid":"x"'),
    ('ACK {"jid":"x"} y', '-ERR invalid ACK {"jid":"x"} y'),
    ('ACK  {"jid":"x"}', "+OK"),
]

FAIL = [
    ("FAIL ", "-ERR invalid FAIL "),
    ("FAIL {}", "-ERR missing JID"),
    ("FAIL null", "-ERR missing JID"),
    ("FAIL []", "-ERR invalid FAIL []"),
    ('FAIL {"jid":5}', '-ERR invalid FAIL {"jid":5}'),
    ('FAIL {"jid":null}', "-ERR missing JID"),
    ('FAIL {"jid":""}', "-ERR missing JID"),
    ('FAIL {"jid":"x"}', "-ERR Job not found x"),
    ('FAIL {"JID":"x"}', "-ERR Job not found x"),
    ('FAIL {"jid":"x","message":5}', '-ERR invalid FAIL {"jid":"x","message":5}'),
    ('FAIL {"jid":"x","errtype":[]}', '-ERR invalid FAIL {"jid":"x","errtype":[]}'),
    ('FAIL {"jid":"x","backtrace":"a"}', '-ERR invalid FAIL {"jid":"x","backtrace":"a"}'),
    ('FAIL {"jid":"x","backtrace":[5]}', '-ERR invalid FAIL {"jid":"x","backtrace":[5]}'),
    ('FAIL {"jid":"x","backtrace":null}', "-ERR Job not found x"),
    ('FAIL {"jid":"a\\nb"}', "-ERR Job not found a\nb"),
    ('FAIL {"jid":"x"', '-ERR invalid FAIL {"jid":"x"'),
    ("FAIL x y", "-ERR invalid FAIL x y"),
]

BEAT = [
    ("BEAT ", "-ERR invalid BEAT "),
    ("BEAT {}", "-ERR unknown worker "),
    ("BEAT null", "-ERR unknown worker "),
    ("BEAT []", "-ERR invalid BEAT []"),
    ('BEAT {"wid":5}', '-ERR invalid BEAT {"wid":5}'),
    ('BEAT {"wid":null}', "-ERR unknown worker "),
    ('BEAT {"wid":"nobody"}', "-ERR unknown worker nobody"),
    ('BEAT {"WID":"nobody"}', "-ERR unknown worker nobody"),
    ('BEAT {"wid":"nobody","rss_kb":1.5}', '-ERR invalid BEAT {"wid":"nobody","rss_kb":1.5}'),
    ('BEAT {"wid":"nobody","rss_kb":"1"}', '-ERR invalid BEAT {"wid":"nobody","rss_kb":"1"}'),
    (
        'BEAT {"wid":"nobody","current_state":5}',
        '-ERR invalid BEAT {"wid":"nobody","current_state":5}',
    ),
    ('BEAT {"wid":"nobody"', '-ERR invalid BEAT {"wid":"nobody"'),
    ('BEAT {"wid":"é<\\u0007>"}', "-ERR unknown worker é<\x07>"),
]


@by_command(ACK)
def test_ack(worker, command, reply):
    """ACK refuses all but a map of strings with a jid."""
    assert worker.ask(command) == reply


@by_command(FAIL)
def test_fail(worker, command, reply):
    """FAIL refuses wrong types, and a job that is not reserved."""
    assert worker.ask(command) == reply


@by_command(BEAT)
def test_beat(worker, command, reply):
    """BEAT refuses wrong types, and unknown workers."""
    assert worker.ask(command) == reply
