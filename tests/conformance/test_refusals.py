"""What a push is refused for, word for word, alone and in bulk (manager/manager.go:193-258)."""

import json

import pytest

LAYOUT = "2006-01-02T15:04:05.999999999Z07:00"

# What is no JSON, and what Go says of it.
SYNTAX = [
    ("", "unexpected end of JSON input"),
    ("{", "unexpected end of JSON input"),
    ("nul", "invalid character ' ' in literal null (expecting 'l')"),
    ('{"a"}', "invalid character '}' after object key"),
    ('{"a":}', "invalid character '}' looking for beginning of value"),
    ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
    ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
    ("{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
    ('{"a":1}}', "invalid character '}' after top-level value"),
    ('{"a":1} x', "invalid character 'x' after top-level value"),
    ('{"a":01}', "invalid character '1' after object key:value pair"),
    ('{"a":1.}', "invalid character '}' after decimal point in numeric literal"),
    ('{"a":-}', "invalid character '}' in numeric literal"),
    ('{"a":1e}', "invalid character '}' in exponent of numeric literal"),
    ('{"a":+1}', "invalid character '+' looking for beginning of value"),
    ('{"a":.5}', "invalid character '.' looking for beginning of value"),
    ('{"a":NaN}', "invalid character 'N' looking for beginning of value"),
    ('{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
    ('{"a":truE}', "invalid character 'E' in literal true (expecting 'e')"),
    ('{"a":"\\x"}', "invalid character 'x' in string escape code"),
    ('{"a":"\\u12g4"}', "invalid character 'g' in \\u hexadecimal character escape"),
    ('{"a":"\t"}', "invalid character '\\t' in string literal"),
    ('{"a":[1 2]}', "invalid character '2' after array element"),
]

# Fields of a job, or all of one, with what does not fit which type.
TYPES = [
    ("[]", "array", "value of type client.Job"),
    ('"x"', "string", "value of type client.Job"),
    ("5", "number", "value of type client.Job"),
    ("true", "bool", "value of type client.Job"),
    ('{"jid":5}', "number", "Job.jid of type string"),
    ('{"jid":"12345678","jobtype":"x","args":{}}', "object", "Job.args of type []interface {}"),
    ('{"jid":"12345678","jobtype":"x","args":"x"}', "string", "Job.args of type []interface {}"),
    ('{"jid":"12345678","jobtype":5,"args":[]}', "number", "Job.jobtype of type string"),
    ('{"jid":"12345678","jobtype":"x","args":[1e400]}', "number 1e400", "Job.args of type float64"),
    ('"custom":{"a":-1e400}', "number -1e400", "Job.custom of type float64"),
    ('"custom":[]', "array", "Job.custom of type map[string]interface {}"),
    ('"custom":"x"', "string", "Job.custom of type map[string]interface {}"),
    ('"retry":"5"', "string", "Job.retry of type int"),
    ('"retry":5.0', "number 5.0", "Job.retry of type int"),
    ('"retry":1e2', "number 1e2", "Job.retry of type int"),
    ('"retry":true', "bool", "Job.retry of type int"),
    ('"retry":9223372036854775808', "number 9223372036854775808", "Job.retry of type int"),
    ('"retry":-9223372036854775809', "number -9223372036854775809", "Job.retry of type int"),
    ('"reserve_for":"60"', "string", "Job.reserve_for of type int"),
    ('"reserve_for":60.5', "number 60.5", "Job.reserve_for of type int"),
    ('"backtrace":true', "bool", "Job.backtrace of type int"),
    ('"at":5', "number", "Job.at of type string"),
    ('"queue":5', "number", "Job.queue of type string"),
    ('"failure":5', "number", "Job.failure of type client.Failure"),
    ('"failure":{"retry_count":"1"}', "string", "Failure.failure.retry_count of type int"),
    ('"failure":{"backtrace":"1"}', "string", "Failure.failure.backtrace of type []string"),
    ('"created_at":5', "number", "Job.created_at of type string"),
    ('"enqueued_at":5', "number", "Job.enqueued_at of type string"),
]

# What is well-formed and yet refused.
REFUSED = [
    ("{}", "jobs must have a reasonable jid parameter"),
    ("null", "jobs must have a reasonable jid parameter"),
    ('{"jid":"1234567"}', "jobs must have a reasonable jid parameter"),
    ('{"jid":"ééé7"}', "jobs must have a reasonable jid parameter"),
    ('{"jid":"éééé","args":[]}', "jobs must have a jobtype parameter"),
    ('{"jid":"12345678"}', "jobs must have a jobtype parameter"),
    ('{"jid":"12345678","jobtype":""}', "jobs must have a jobtype parameter"),
    ('{"jid":"12345678","jobtype":"x"}', "jobs must have an args parameter"),
    ('{"jid":"12345678","jobtype":"x","args":null}', "jobs must have an args parameter"),
    ('"reserve_for":86401', "jobs cannot be reserved for more than one day"),
]

# Names that a queue cannot have: other than A-Z, a-z, 0-9, `.`, `_` and `-` (storage/redis.go:253).
BAD_NAMES = ["a b", "é", "*", "a\n", 'a"b']

# Times that Go does not take, with what it says, and whether it names the layout.
TIMES = [
    ("x", 'cannot parse "x" as "2006"', True),
    ("2030-13-01T00:00:00Z", "month out of range", False),
    ("2030-02-30T00:00:00Z", "day out of range", False),
    ("2030-01-01T24:00:00Z", "hour out of range", False),
    ("2030-01-01T00:60:00Z", "minute out of range", False),
    ("2030-01-01T00:00:60Z", "second out of range", False),
    ("2030-01-01T00:00:00", 'cannot parse "" as "Z07:00"', True),
    ("2030-01-01 00:00:00Z", 'cannot parse " 00:00:00Z" as "T"', True),
    ("2030-01-01", 'cannot parse "" as "T"', True),
    ("2030-01-01T00:00:00+0100", 'cannot parse "+0100" as "Z07:00"', True),
    ("2030-01-01T00:00:00+25:00", "time zone offset hour out of range", False),
    ("2030-01-01T00:00:00Zulu", 'extra text: "ulu"', False),
    ("2030-01-01T00:00:00z", 'cannot parse "z" as "Z07:00"', True),
    ("10000-01-01T00:00:00Z", 'cannot parse "0-01-01T00:00:00Z" as "-"', True),
    (" 2030-01-01T00:00:00Z", 'cannot parse " 2030-01-01T00:00:00Z" as "2006"', True),
    ("2030-01-01T00:00:00.Z", 'cannot parse ".Z" as "Z07:00"', True),
]

# The argument of PUSHB and its reply, whole: errors by jid, in the order of the jids' bytes.
TYPE = "jobs must have a jobtype parameter"
OF_JID = "json: cannot unmarshal number into Go struct field Job.jid of type string"
OF_RETRY = "json: cannot unmarshal string into Go struct field Job.retry of type int"
BAD_NAME = r"queue names must match \\A[a-zA-Z0-9._-]+\\z"
JOB = '"jobtype":"x","args":[]'
BULK = [
    ("", "-ERR invalid JSON: unexpected end of JSON input"),
    ("{}", "-ERR invalid JSON: json: cannot unmarshal object into Go value of type []client.Job"),
    ("[]", "{}"),
    ("null", "{}"),
    ("[null]", '{"":"jobs must have a reasonable jid parameter"}'),
    ("[{}]", '{"":"jobs must have a reasonable jid parameter"}'),
    ("[{}", "-ERR invalid JSON: unexpected end of JSON input"),
    ("[1]", "-ERR invalid JSON: json: cannot unmarshal number into Go value of type client.Job"),
    ('["x"]', "-ERR invalid JSON: json: cannot unmarshal string into Go value of type client.Job"),
    ("[[]]", "-ERR invalid JSON: json: cannot unmarshal array into Go value of type client.Job"),
    ('[{"jid":5}]', f"-ERR invalid JSON: {OF_JID}"),
    (f'[{{"jid":"12345678",{JOB},"retry":"x"}},{{}}]', f"-ERR invalid JSON: {OF_RETRY}"),
    (
        '[{"jid":"b2345678"},{"jid":"é2345678"},{"jid":"a2345678"},{"jid":"<2345678"}]',
        rf'{{"\u003c2345678":"{TYPE}","a2345678":"{TYPE}","b2345678":"{TYPE}","é2345678":"{TYPE}"}}',
    ),
    (
        f'[{{"jid":"12345678",{JOB},"queue":"<a>"}}]',
        rf'{{"12345678":"cannot get \"\u003ca\u003e\" queue: {BAD_NAME}"}}',
    ),
    (
        f'[{{"jid":"12345678",{JOB},"reserve_for":90000}}]',
        '{"12345678":"jobs cannot be reserved for more than one day"}',
    ),
]


def whole(fields):
    """The job with these fields; a whole job as it is."""
    if fields.startswith('"') and fields != '"x"':
        return f'{{"jid":"12345678","jobtype":"x","args":[],{fields}}}'
    return fields


def refusal(line, verb, text):
    """What is said of a job: after -ERR, or within the map of PUSHB."""
    if verb == "PUSH":
        return line.ask(f"PUSH {text}").removeprefix("-ERR ")
    reply = line.ask(f"PUSHB [{text}]")
    if reply.startswith("-ERR "):
        return reply.removeprefix("-ERR ")
    return "".join(json.loads(reply).values())


both_verbs = pytest.mark.parametrize("verb", ["PUSH", "PUSHB"])


@pytest.mark.parametrize(("text", "error"), SYNTAX)
def test_no_json(line, text, error):
    """What is no JSON is refused with Go's words for why."""
    assert line.ask(f"PUSH {text}") == f"-ERR invalid JSON: {error}"


@both_verbs
@pytest.mark.parametrize(("fields", "what", "where"), TYPES)
def test_wrong_type(line, verb, fields, what, where):
    """A field of another type is refused; in bulk, the whole command is."""
    where = where if where.startswith("value") else f"struct field {where}"
    assert refusal(line, verb, whole(fields)) == (
        f"invalid JSON: json: cannot unmarshal {what} into Go {where}"
    )


@both_verbs
@pytest.mark.parametrize(("fields", "error"), REFUSED)
def test_refused(line, verb, fields, error):
    """A job that lacks something is refused for the first thing that it lacks."""
    assert refusal(line, verb, whole(fields)) == error


@both_verbs
@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_queue(line, verb, name):
    """A queue with a name that is none is refused."""
    job = {"jid": "12345678", "jobtype": "x", "args": [], "queue": name}
    quoted = json.dumps(name, ensure_ascii=False)
    assert refusal(line, verb, json.dumps(job)) == (
        f"cannot get {quoted} queue: queue names must match \\A[a-zA-Z0-9._-]+\\z"
    )


@both_verbs
@pytest.mark.parametrize(("at", "error", "with_layout"), TIMES)
def test_bad_time(line, verb, at, error, with_layout):
    """A time that Go cannot read is refused with Go's words for why."""
    job = {"jid": "12345678", "jobtype": "x", "args": [], "at": at}
    layout = f' as "{LAYOUT}"' if with_layout else ""
    assert refusal(line, verb, json.dumps(job)) == (
        f'invalid timestamp for \'at\': "{at}": parsing time "{at}"{layout}: {error}'
    )


def test_bad_time_beyond_ascii(line):
    """The time is quoted twice, in two ways of Go: the second one spells out its bytes."""
    job = {"jid": "12345678", "jobtype": "x", "args": [], "at": 'a "é"'}
    assert refusal(line, "PUSH", json.dumps(job)) == (
        'invalid timestamp for \'at\': "a \\"é\\"": '
        f'parsing time "a \\"\\xc3\\xa9\\"" as "{LAYOUT}": '
        'cannot parse "a \\"\\xc3\\xa9\\"" as "2006"'
    )


@pytest.mark.parametrize(
    ("depth", "reply"),
    [(9_999, "+OK"), (10_000, "-ERR invalid JSON: invalid character '[' exceeded max depth")],
)
def test_depth(line, depth, reply):
    """Go reads ten thousand levels of JSON, that of the job included."""
    args = "[" * depth + "]" * depth
    assert line.ask(f'PUSH {{"jid":"12345678","jobtype":"x","args":{args}}}') == reply


@pytest.mark.parametrize(("jobs", "reply"), BULK)
def test_bulk(line, jobs, reply):
    """PUSHB answers a map of what was refused, or an error for its JSON."""
    assert line.ask(f"PUSHB {jobs}") == reply


def test_time_is_looked_at_before_the_queue(line):
    """Of a bad time and a bad queue, the time is told."""
    job = {"jid": "12345678", "jobtype": "x", "args": [], "at": "x", "queue": "a b"}
    assert refusal(line, "PUSH", json.dumps(job)).startswith("invalid timestamp")


def test_refused_jobs_are_not_stored(line):
    """What is refused leaves nothing behind, not even a queue."""
    line.ask('PUSH {"jid":"12345678","jobtype":"x","queue":"q"}')
    line.ask('PUSHB [{"jid":"12345678","jobtype":"x","args":[],"queue":"a b"}]')
    assert line.queues() == {}
