"""PUSH and PUSHB: the stored payload, times, the default of retry, refusals in bulk."""

import json
import re

import pytest

from .wire import compact, job

# Numbers become float64, and text is escaped for HTML (client/job.go:46).
ARGS = [
    ("[]", "[]"),
    ("[1.0]", "[1]"),
    ("[9007199254740993]", "[9007199254740992]"),
    ("[1e20]", "[100000000000000000000]"),
    ("[1e21]", "[1e+21]"),
    ("[0.000001]", "[0.000001]"),
    ("[0.0000001]", "[1e-7]"),
    ("[-0]", "[-0]"),
    ("[-0.0]", "[-0]"),
    ("[1e-400]", "[0]"),
    ("[-1E+5]", "[-100000]"),
    ("[0.1, 123456789.123456789]", "[0.1,123456789.12345679]"),
    ("[1.7976931348623157e308]", "[1.7976931348623157e+308]"),
    ("[5e-324]", "[5e-324]"),
    (r'["é", "\u00e9", "\/"]', '["é","é","/"]'),
    ('["<a>&\'"]', r"""["\u003ca\u003e\u0026'"]"""),
    (r'["\u2028\u2029"]', r'["\u2028\u2029"]'),
    (r'["\ud83d\ude00"]', '["😀"]'),
    (r'["\ud83d", "\ude00\ud83d", "\ud83d\u0041"]', '["\ufffd","\ufffd\ufffd","\ufffdA"]'),
    (r'["\u0000\b\f\n\r\t\u001f\u007f"]', '["\\u0000\\b\\f\\n\\r\\t\\u001f\x7f"]'),
    ('[{"b": 1, "a": 2, "B": 3}]', '[{"B":3,"a":2,"b":1}]'),
    ('[{"a": 1, "a": 2}]', '[{"a":2}]'),
    ('[{"é": 1, "z": 2, "😀": 3, "\ufffd": 4}]', '[{"z":2,"é":1,"\ufffd":4,"😀":3}]'),
    ("[ null , true ,false ]", "[null,true,false]"),
    ('[[[]], {}, {"": {}}]', '[[[]],{},{"":{}}]'),
]

# The fields of a job as pushed, and the payload as fetched, without its times.
JOB = '"jid":"job-number-1","jobtype":"work","args":[]'
STORED = '"jid":"job-number-1","queue":"default","jobtype":"work",TIMES"args":[]'
FAILURE = (
    '"failure":{"failed_at":"","next_at":"n","errtype":"E","backtrace":["b"],'
    '"retry_count":0,"remaining":-3}'
)
FIELDS = [
    (f'"retry":null,{JOB}', f'{{"retry":25,{STORED}}}'),
    (f'"retry":-1,{JOB}', f'{{"retry":-1,{STORED}}}'),
    (f'"queue":"",{JOB}', f'{{"retry":25,{STORED}}}'),
    (f'"queue":null,"custom":null,"failure":null,{JOB}', f'{{"retry":25,{STORED}}}'),
    (f'"unknown":1,"enqueued_at":"x",{JOB}', f'{{"retry":25,{STORED}}}'),
    (f'"custom":{{}},"reserve_for":0,"backtrace":0,"at":"",{JOB}', f'{{"retry":25,{STORED}}}'),
    (
        f'"custom":{{"b":1.0,"a":[{{}}]}},{JOB}',
        f'{{"retry":25,"custom":{{"a":[{{}}],"b":1}},{STORED}}}',
    ),
    (f'"custom":{{"a":null}},{JOB}', f'{{"retry":25,"custom":{{"a":null}},{STORED}}}'),
    (f'{JOB},"reserve_for":86400', f'{{"retry":25,{STORED},"reserve_for":86400}}'),
    (f'{JOB},"reserve_for":-5', f'{{"retry":25,{STORED},"reserve_for":-5}}'),
    (f'{JOB},"backtrace":7', f'{{"retry":25,{STORED},"backtrace":7}}'),
    (f'{JOB},"backtrace":-7', f'{{"retry":25,{STORED},"backtrace":-7}}'),
    (f'{JOB},"RETRY":3,"Queue":"default"', f'{{"retry":3,{STORED}}}'),
    (f'{JOB},"cu\u017ftom":{{"a":1}}', f'{{"retry":25,"custom":{{"a":1}},{STORED}}}'),
    (f'{JOB},"bac\u212atrace":1', f'{{"retry":25,{STORED},"backtrace":1}}'),
    (f'"jid":"job-number-0","jobtype":"play",{JOB}', f'{{"retry":25,{STORED}}}'),
    (f'{JOB},"args":null,"args":[]', f'{{"retry":25,{STORED}}}'),
    (f'{JOB},"jid":null,"jobtype":null', f'{{"retry":25,{STORED}}}'),
    (
        f'{JOB},"custom":{{"a":1,"b":2}},"custom":{{"b":3}}',
        f'{{"retry":25,"custom":{{"a":1,"b":3}},{STORED}}}',
    ),
    (
        f'{JOB},"failure":{{}}',
        f'{{"retry":25,"failure":{{"failed_at":"","retry_count":0,"remaining":0}},{STORED}}}',
    ),
    (
        f'{JOB},"failure":{{"remaining":-3,"backtrace":["b"],"errtype":"E","next_at":"n"}}',
        f'{{"retry":25,{FAILURE},{STORED}}}',
    ),
]

PAST = [
    "2020-01-01T00:00:00Z",
    "2020-02-29T23:59:59.999999999Z",
    "2020-01-01T5:00:00Z",
    "2020-01-01T00:00:00,5Z",
    "2020-01-01T00:00:00.12345678901234567890Z",
    "2020-01-01T00:00:00+24:60",
    "2020-01-01T00:00:00-00:00",
    "0000-01-01T00:00:00Z",
]
FUTURE = [
    "2090-01-01T00:00:00Z",
    "2090-01-01T5:00:00,25-23:60",
    "9999-12-31T23:59:59.999999999-24:00",
]


def fetched(worker):
    """Fetch a job and return its text without both times."""
    text = worker.ask("FETCH default")
    return re.sub(r'"created_at":"[^"]+","enqueued_at":"[^"]+",', "TIMES", text)


@pytest.mark.parametrize(("pushed", "stored"), ARGS)
def test_args(worker, pushed, stored):
    """Arguments are stored as Go's encoding/json writes them after reading."""
    worker.ask(f'PUSH {{"jid":"job-number-1","jobtype":"work","args":{pushed}}}')
    assert fetched(worker) == f'{{"retry":25,{STORED}}}'.replace("[]", stored)


@pytest.mark.parametrize(("pushed", "stored"), [row for row in ARGS if row[0] != "[]"])
def test_custom(worker, pushed, stored):
    """Custom fields are stored as arguments are."""
    worker.ask(f'PUSHB [{{{JOB},"custom":{{"key":{pushed}}}}}]')
    assert fetched(worker) == f'{{"retry":25,"custom":{{"key":{stored}}},{STORED}}}'


@pytest.mark.parametrize(("pushed", "stored"), FIELDS)
@pytest.mark.parametrize("verb", ["PUSH", "PUSHB"])
def test_fields(worker, verb, pushed, stored):
    """Names are case-insensitive, the last one counts, null and unknown fields are dropped."""
    worker.ask(f"PUSH {{{pushed}}}" if verb == "PUSH" else f"PUSHB [{{{pushed}}}]")
    assert fetched(worker) == stored


def test_bytes_that_are_no_text(worker):
    """Each byte that is not UTF-8 becomes U+FFFD."""
    worker.ask(b'PUSH {"jid":"job-number-1","jobtype":"work","args":["\xff\xc3(\xe2\x82"]}')
    assert worker.fetch()["args"] == ["\ufffd\ufffd(\ufffd\ufffd"]


def test_jid_of_eight_bytes(worker):
    """The shortest jid has eight bytes, not characters."""
    assert worker.push("éééé") == "{}"
    assert worker.fetch()["jid"] == "éééé"


def test_times_of_a_push(server, worker):
    """The server adds the times of creation and of enqueueing, in UTC with nanoseconds."""
    before = server.time()
    worker.push()
    after = server.time()
    times = worker.fetch()
    for name in ("created_at", "enqueued_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z", times[name])
    assert before[:-6] <= times["created_at"] <= times["enqueued_at"] <= after


def test_created_at_is_kept(worker):
    """The client's created_at is not checked."""
    worker.push(created_at="yesterday")
    assert worker.fetch()["created_at"] == "yesterday"


def test_created_at_is_one_for_a_bulk(worker):
    """All jobs of a PUSHB have one created_at, but each its own enqueued_at."""
    worker.ask(f"PUSHB {compact([job('job-number-1'), job('job-number-2')])}")
    first, second = worker.fetch(), worker.fetch()
    assert first["created_at"] == second["created_at"]
    assert first["enqueued_at"] < second["enqueued_at"]


@pytest.mark.parametrize("at", PAST)
def test_at_in_the_past(worker, at):
    """A job that is due is enqueued, and keeps its `at`."""
    worker.push(at=at)
    assert worker.fetch()["at"] == at


@pytest.mark.parametrize("at", FUTURE)
def test_at_in_the_future(worker, at):
    """A job that is due later is scheduled, and in no queue."""
    assert worker.push(at=at) == "{}"
    assert (worker.sets(), worker.queues()) == ({"scheduled": 1}, {})


def test_scheduled_payload_is_stored_as_it_is(worker):
    """A scheduled job has no enqueued_at, unless its client has set it."""
    worker.push(at="2090-01-01T00:00:00Z", created_at="2020", args=[1.0, "<"])
    worker.mutate("requeue", "scheduled")
    assert worker.ask("FETCH default") == (
        '{"retry":25,"jid":"job-number-1","queue":"default","jobtype":"work",'
        r'"created_at":"2020","at":"2090-01-01T00:00:00Z","args":[1,"\u003c"]}'
    )


@pytest.mark.parametrize(("args", "size"), [([1], 1), ([2], 2)])
def test_scheduled_twice(line, args, size):
    """The same payload is scheduled once, even if it is pushed twice; another one is added."""
    at = "2090-01-01T00:00:00Z"
    line.push(at=at, created_at="2020", args=[1])
    line.push(at=at, created_at="2020", args=args)
    assert line.sets() == {"scheduled": size}


def test_enqueued_twice(worker):
    """The same job may be enqueued twice."""
    worker.push(created_at="2020")
    worker.push(created_at="2020")
    assert worker.queues() == {"default": 2}


@pytest.mark.parametrize("name", ["a b", "é", "*", "a\nb", "/"])
def test_scheduled_into_a_bad_queue(line, name):
    """The queue's name is not looked at before the job is due."""
    assert line.push(at="2090-01-01T00:00:00Z", queue=name) == "{}"
    assert line.sets() == {"scheduled": 1}


@pytest.mark.parametrize("name", ["A", "0", "a.b_c-D", "-", ".", "default_", "q" * 300])
def test_names_of_queues(worker, name):
    """Letters, digits, and three others make a name."""
    worker.push(queue=name)
    assert worker.fetch(name)["queue"] == name


# ---- PUSH decodes into the default number of retries (server/commands.go:215) -----------------

PLAIN = '{"jid":"job-number-1","jobtype":"work","args":[]}'
OF_THREE = '{"jid":"job-number-0","jobtype":"work","args":[],"queue":"other","retry":3}'


@pytest.mark.parametrize("verb", ["PUSH", "PUSHB"])
@pytest.mark.parametrize(
    ("pushed", "retry"),
    [
        (f"PUSH {OF_THREE}", 3),
        (f"PUSHB [{OF_THREE}]", 25),
        (f"PUSH {OF_THREE.replace('3', 'null')}", 25),
        (f"PUSH {OF_THREE.replace('args', 'none')}", 3),
        (f"PUSH {OF_THREE.replace('[]', '{}')}", 3),
        (f"PUSH {OF_THREE.replace('other', 'a b')}", 3),
        (f"PUSH {OF_THREE.replace('3', '3.5')}", 25),
        (f"PUSH {OF_THREE.replace('3', '3,')}", 25),
        (f"PUSH {OF_THREE.replace('3', '-1')}", -1),
        (f"PUSH {OF_THREE.replace('3', '5')[:-1]},{OF_THREE[1:]}", 3),
    ],
)
def test_retry_of_one_job_leaks_into_the_next(worker, pushed, retry, verb):
    """A job without `retry` gets that of the last PUSH, even of a refused one."""
    worker.ask(pushed)
    worker.ask(f"PUSH {PLAIN}" if verb == "PUSH" else f"PUSHB [{PLAIN}]")
    assert worker.fetch()["retry"] == retry


def test_retry_does_not_leak_into_a_job_that_has_its_own(worker):
    """A job with its own `retry` keeps it."""
    worker.ask(f"PUSH {OF_THREE}")
    worker.push(retry=4)
    assert worker.fetch()["retry"] == 4


def test_refused_and_accepted_in_one_bulk(worker):
    """PUSHB enqueues the good jobs, and replies with the errors of the others by jid."""
    jobs = [job("job-number-1"), job("job-number-2", jobtype=""), job("job-number-3")]
    assert json.loads(worker.ask(f"PUSHB {compact(jobs)}")) == {
        "job-number-2": "jobs must have a jobtype parameter"
    }
    assert [worker.fetch()["jid"], worker.fetch()["jid"]] == ["job-number-1", "job-number-3"]


def test_jid_twice_in_one_bulk(worker):
    """If a jid is refused twice, the reply has the last error; another copy may be accepted."""
    jobs = [job(jobtype=""), job(), job(args=None)]
    assert json.loads(worker.ask(f"PUSHB {compact(jobs)}")) == {
        "job-number-1": "jobs must have an args parameter"
    }
    assert worker.queues() == {"default": 1}
