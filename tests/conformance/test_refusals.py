"""PUSH and PUSHB refuse: bad JSON, wrong types, missing fields (manager/manager.go:193-258)."""

import json

import pytest

from .wire import beginning

# Texts that are not JSON.
SYNTAX = [
    "",
    "{",
    "nul",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    "{a:1}",
    "{'a':1}",
    '{"a":1}}',
    '{"a":1} x',
    '{"a":01}',
    '{"a":1.}',
    '{"a":-}',
    '{"a":1e}',
    '{"a":+1}',
    '{"a":.5}',
    '{"a":NaN}',
    '{"a":tru}',
    '{"a":truE}',
    '{"a":"\\x"}',
    '{"a":"\\u12g4"}',
    '{"a":"\t"}',
    '{"a":[1 2]}',
]

# Fields of a job, or a whole job, with a value of a wrong type.
TYPES = [
    "[]",
    '"x"',
    "5",
    "true",
    '{"jid":5}',
    '{"jid":"12345678","jobtype":"x","args":{}}',
    '{"jid":"12345678","jobtype":"x","args":"x"}',
    '{"jid":"12345678","jobtype":5,"args":[]}',
    '{"jid":"12345678","jobtype":"x","args":[1e400]}',
    '"custom":{"a":-1e400}',
    '"custom":[]',
    '"custom":"x"',
    '"retry":"5"',
    '"retry":5.0',
    '"retry":1e2',
    '"retry":true',
    '"retry":9223372036854775808',
    '"retry":-9223372036854775809',
    '"reserve_for":"60"',
    '"reserve_for":60.5',
    '"backtrace":true',
    '"at":5',
    '"queue":5',
    '"failure":5',
    '"failure":{"retry_count":"1"}',
    '"failure":{"backtrace":"1"}',
    '"created_at":5',
    '"enqueued_at":5',
]

# Well-formed jobs that are refused.
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

# Names that a queue cannot have (storage/redis.go:253).
BAD_NAMES = ["a b", "é", "*", "a\n", 'a"b']

# Texts that are not times.
TIMES = [
    "x",
    "2030-13-01T00:00:00Z",
    "2030-02-30T00:00:00Z",
    "2030-01-01T24:00:00Z",
    "2030-01-01T00:60:00Z",
    "2030-01-01T00:00:60Z",
    "2030-01-01T00:00:00",
    "2030-01-01 00:00:00Z",
    "2030-01-01",
    "2030-01-01T00:00:00+0100",
    "2030-01-01T00:00:00+25:00",
    "2030-01-01T00:00:00Zulu",
    "2030-01-01T00:00:00z",
    "10000-01-01T00:00:00Z",
    " 2030-01-01T00:00:00Z",
    "2030-01-01T00:00:00.Z",
    'a "é"',
]

# The argument of PUSHB and its whole reply: errors by jid, in the order of the jids' bytes.
TYPE = "jobs must have a jobtype parameter"
WRONG_TYPE = "-ERR invalid JSON: json: cannot unmarshal"
BAD_NAME = r"queue names must match \\A[a-zA-Z0-9._-]+\\z"
JOB = '"jobtype":"x","args":[]'
BULK = [
    ("", "-ERR invalid JSON: not JSON"),
    ("{}", WRONG_TYPE),
    ("[]", "{}"),
    ("null", "{}"),
    ("[null]", '{"":"jobs must have a reasonable jid parameter"}'),
    ("[{}]", '{"":"jobs must have a reasonable jid parameter"}'),
    ("[{}", "-ERR invalid JSON: not JSON"),
    ("[1]", WRONG_TYPE),
    ('["x"]', WRONG_TYPE),
    ("[[]]", WRONG_TYPE),
    ('[{"jid":5}]', WRONG_TYPE),
    (f'[{{"jid":"12345678",{JOB},"retry":"x"}},{{}}]', WRONG_TYPE),
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
    """Return a job with these fields; a whole job as it is."""
    if fields.startswith('"') and fields != '"x"':
        return f'{{"jid":"12345678","jobtype":"x","args":[],{fields}}}'
    return fields


def refusal(line, verb, text):
    """Return the error of a job: the text after -ERR, or in the map of PUSHB."""
    if verb == "PUSH":
        return beginning(line.ask(f"PUSH {text}")).removeprefix("-ERR ")
    reply = beginning(line.ask(f"PUSHB [{text}]"))
    if reply.startswith("-ERR "):
        return reply.removeprefix("-ERR ")
    return "".join(json.loads(reply).values())


both_verbs = pytest.mark.parametrize("verb", ["PUSH", "PUSHB"])


@pytest.mark.parametrize("text", SYNTAX)
def test_not_json(line, text):
    """A text that is not JSON is refused."""
    assert beginning(line.ask(f"PUSH {text}")) == "-ERR invalid JSON: not JSON"


@both_verbs
@pytest.mark.parametrize("fields", TYPES)
def test_wrong_type(line, verb, fields):
    """A value of a wrong type is refused; in bulk, the whole command is."""
    assert refusal(line, verb, whole(fields)) == "invalid JSON: json: cannot unmarshal"


@both_verbs
@pytest.mark.parametrize(("fields", "error"), REFUSED)
def test_refused(line, verb, fields, error):
    """A job that lacks something is refused for the first thing that it lacks."""
    assert refusal(line, verb, whole(fields)) == error


@both_verbs
@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_queue(line, verb, name):
    """A job is refused if a queue cannot have its queue's name."""
    job = {"jid": "12345678", "jobtype": "x", "args": [], "queue": name}
    quoted = json.dumps(name, ensure_ascii=False)
    assert refusal(line, verb, json.dumps(job)) == (
        f"cannot get {quoted} queue: queue names must match \\A[a-zA-Z0-9._-]+\\z"
    )


@both_verbs
@pytest.mark.parametrize("at", TIMES)
def test_bad_time(line, verb, at):
    """A job is refused if its `at` is not a time."""
    job = {"jid": "12345678", "jobtype": "x", "args": [], "at": at}
    assert refusal(line, verb, json.dumps(job)) == "invalid timestamp for 'at'"


@pytest.mark.parametrize(("depth", "reply"), [(100, "+OK"), (10_000, "-ERR invalid JSON")])
def test_depth(line, depth, reply):
    """The server takes 9,999 levels of arrays and objects, the fake takes 100."""
    args = "[" * depth + "]" * depth
    job = f'{{"jid":"12345678","jobtype":"x","args":{args}}}'
    assert line.ask(f"PUSH {job}").startswith(reply)


@pytest.mark.parametrize(("jobs", "reply"), BULK)
def test_bulk(line, jobs, reply):
    """PUSHB replies with a map of the refused jobs, or with an error for its JSON."""
    assert beginning(line.ask(f"PUSHB {jobs}")) == reply


def test_time_is_checked_before_the_queue(line):
    """A job with a bad time and a bad queue is refused for its time."""
    job = {"jid": "12345678", "jobtype": "x", "args": [], "at": "x", "queue": "a b"}
    assert refusal(line, "PUSH", json.dumps(job)).startswith("invalid timestamp")


def test_refused_jobs_are_not_stored(line):
    """A refused job leaves nothing, not even a queue."""
    line.ask('PUSH {"jid":"12345678","jobtype":"x","queue":"q"}')
    line.ask('PUSHB [{"jid":"12345678","jobtype":"x","args":[],"queue":"a b"}]')
    assert line.queues() == {}
