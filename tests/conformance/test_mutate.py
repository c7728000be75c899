"""MUTATE: what each command does to each set, and which jobs a filter means (server/mutate.go)."""

import pytest

from .wire import compact, job

LATER = "2090-01-01T00:00:00Z"


def fill(worker, target):
    """Put job-number-1 into a set, and another one into its like."""
    for jid in ("job-number-1", "job-number-2"):
        retry = -1 if target == "dead" else 25
        worker.push(jid, retry=retry, at=LATER if target == "scheduled" else "")
        if target != "scheduled":
            worker.fetch()
            worker.fail(jid)


def waiting(worker):
    """The jids of all that wait in the default queue."""
    size = worker.queues().get("default", 0)
    return sorted(worker.fetch()["jid"] for _ in range(size))


targets = pytest.mark.parametrize("target", ["retries", "dead", "scheduled"])


@targets
@pytest.mark.parametrize(
    ("command", "sets", "queued"),
    [
        ("clear", [], 0),
        ("discard", [], 0),
        ("kill", ["dead"], 0),
        ("requeue", [], 2),
    ],
)
def test_all_of_a_set(worker, target, command, sets, queued):
    """Without a filter a command means all of the set."""
    fill(worker, target)
    assert worker.mutate(command, target) == "+OK"
    assert worker.sets() == dict.fromkeys(sets, 2)
    assert worker.queues().get("default", 0) == queued


@targets
@pytest.mark.parametrize(
    ("command", "left", "queued"),
    [("clear", 0, 0), ("discard", 1, 0), ("kill", 1, 0), ("requeue", 1, 1)],
)
def test_one_of_a_set(worker, target, command, left, queued):
    """With a filter it means those that fit; clear does not look at it."""
    fill(worker, target)
    assert worker.mutate(command, target, jids=["job-number-1"]) == "+OK"
    left += command == "kill" and target == "dead"
    assert worker.sets().get(target, 0) == left
    assert worker.queues().get("default", 0) == queued


@pytest.mark.parametrize("command", ["clear", "discard", "kill", "requeue"])
def test_empty_set(line, command):
    """An empty set is no error."""
    assert line.mutate(command, "retries") == "+OK"
    assert (line.sets(), line.queues()) == ({}, {})


# ---- filters: matched against the text of the payload ---------------------------------------

JOBS = [
    job("alpha-00001", jobtype="Mail", args=["x*y", 1], custom={"uid": "12345"}),
    job("beta-000002", jobtype="Mailer", args=["[a]"], custom={"token": "12345"}),
    job("gamma-00003", jobtype="sms<1>", args=["é\\?"], custom={}),
    job('delta"00004', jobtype="a*b?", args=[{"jid": "alpha-00001"}], custom={"uid": "1"}),
]
CREATED = [{"at": LATER, "created_at": "2020"} | pushed for pushed in JOBS]
A, B, C, D = (pushed["jid"] for pushed in JOBS)
ALL = [A, B, C, D]

FILTERS = [
    ({}, ALL),
    ({"jids": []}, ALL),
    ({"jids": None, "jobtype": None, "regexp": None}, ALL),
    ({"jids": [], "regexp": "", "jobtype": ""}, ALL),
    ({"jids": [A]}, [A, D]),
    ({"jids": [B, C]}, [B, C]),
    ({"jids": [D]}, [D]),
    ({"jids": ["alpha"]}, []),
    ({"jids": [""]}, []),
    ({"jids": [B], "jobtype": "Mail", "regexp": "nothing"}, [B]),
    ({"jobtype": "Mail"}, [A]),
    ({"jobtype": "mail"}, []),
    ({"jobtype": "Mai*"}, [A, B]),
    ({"jobtype": "Mail??"}, [A, B]),
    ({"jobtype": "M[^i]il"}, [A]),
    ({"jobtype": "sms<1>"}, []),
    ({"jobtype": r"sms\u003c1\u003e"}, [C]),
    ({"jobtype": "a*b?"}, [D]),
    ({"jobtype": "*"}, ALL),
    ({"regexp": "*"}, ALL),
    ({"regexp": "**"}, ALL),
    ({"regexp": "?*"}, ALL),
    ({"regexp": "?"}, []),
    ({"regexp": "Mail"}, []),
    ({"regexp": "*Mail*"}, [A, B]),
    ({"regexp": "*12345*"}, [A, B]),
    ({"regexp": '*"uid":"12345"*'}, [A]),
    ({"regexp": '*"jobtype":"Mail"*'}, [A]),
    ({"regexp": "*ALPHA*"}, []),
    ({"regexp": r"*x\*y*"}, [A]),
    ({"regexp": r"*\[a]*"}, [B]),
    ({"regexp": "*[[]a]*"}, [B]),
    ({"regexp": "*[a-b]eta*"}, [B]),
    ({"regexp": "*[b-a]eta*"}, [B]),
    ({"regexp": "*[^a-c]elta*"}, [D]),
    ({"regexp": "*é*"}, [C]),
    ({"regexp": '*[[]"??\\\\\\\\*'}, [C]),
    ({"regexp": r"*u003c?\u003e*"}, []),
    ({"regexp": r"*u003c?\\u003e*"}, [C]),
    ({"regexp": "{*}"}, ALL),
    ({"regexp": "*]}"}, ALL),
    ({"regexp": '{"retry":25,"custom"*'}, [A, B, D]),
    ({"regexp": '*"args":["*', "jobtype": "Mail"}, []),
    ({"regexp": '*"args":[["]*', "jobtype": "Mail"}, [A]),
    ({"regexp": "*Mail*", "jobtype": "Mailer"}, [B]),
    ({"regexp": "*Mail*", "jobtype": "Mai*"}, []),
    ({"regexp": "*[", "jobtype": ""}, []),
    ({"regexp": "*\\", "jobtype": ""}, []),
    ({"regexp": '*[^"]', "jobtype": ""}, ALL),
    ({"regexp": "[{]*"}, ALL),
    ({"regexp": "[^{]*"}, []),
    ({"regexp": "[]*"}, []),
    ({"REGEXP": "*Mail*"}, [A, B]),
    ({"unknown": 5}, ALL),
]


@pytest.mark.parametrize(("chosen", "jids"), FILTERS, ids=[compact(row[0]) for row in FILTERS])
def test_filter(worker, chosen, jids):
    """Jids come before all else, then jobtype and glob both count; spaces are an error."""
    assert worker.ask(f"PUSHB {compact(CREATED)}") == "{}"
    operation = {"cmd": "requeue", "target": "scheduled", "filter": chosen}
    assert worker.ask(f"MUTATE {compact(operation)}") == "+OK"
    assert waiting(worker) == sorted(jids)


def test_filter_of_null(worker):
    """A filter of null is none."""
    worker.ask(f"PUSHB {compact(CREATED)}")
    worker.ask('MUTATE {"cmd":"discard","target":"scheduled","filter":null}')
    assert worker.sets() == {}


def test_space_by_an_escape(worker):
    """A space can be looked for by its escape."""
    worker.push(args=["a b"], at=LATER)
    worker.ask(r'MUTATE {"cmd":"discard","target":"scheduled","filter":{"regexp":"*a\u0020b*"}}')
    assert worker.sets() == {}


def test_bytes_of_characters(worker):
    """A glob matches bytes: what is two of them takes two question marks."""
    worker.push(args=["aéb"], at=LATER)
    worker.mutate("kill", "scheduled", regexp="*a?b*")
    worker.mutate("requeue", "scheduled", regexp="*a??b*")
    assert (worker.sets(), worker.queues()) == ({}, {"default": 1})


def test_null_byte_in_a_glob(worker):
    """A null byte is a byte like others; payloads have none."""
    worker.push(args=["a\0b"], at=LATER)
    worker.mutate("discard", "scheduled", regexp="*a\0b*")
    worker.mutate("discard", "scheduled", regexp="*\0*")
    assert worker.sets() == {"scheduled": 1}


# ---- what is left of a job -------------------------------------------------------------------


def test_requeue_of_a_retry(worker):
    """A retry that is requeued keeps its failure, and the time at which it was enqueued."""
    worker.push()
    first = worker.fetch()
    worker.fail()
    worker.mutate("requeue", "retries")
    again = worker.fetch()
    assert again["failure"]["retry_count"] == 0
    assert again["enqueued_at"] == first["enqueued_at"]


def test_requeue_of_a_kill(worker):
    """A job may be killed and brought back: it is dead of nothing."""
    worker.push(at=LATER)
    worker.mutate("kill", "scheduled")
    worker.mutate("requeue", "dead")
    job_again = worker.fetch()
    assert ("failure" in job_again, job_again["at"]) == (False, LATER)


def test_requeue_of_a_dead_job_fails_again(worker):
    """A dead job that is requeued dies at its next failure; its count goes on."""
    worker.push(retry=-1)
    worker.fetch()
    worker.fail()
    worker.mutate("requeue", "dead")
    worker.fetch()
    worker.fail()
    assert worker.sets() == {"dead": 1}
    worker.mutate("requeue", "dead")
    assert worker.fetch()["failure"]["retry_count"] == 1


def test_requeue_into_a_removed_queue(worker):
    """Requeueing makes the queue where it is no longer known."""
    fill(worker, "retries")
    worker.ask("QUEUE REMOVE *")
    worker.mutate("requeue", "retries")
    assert worker.queues() == {"default": 2}


def test_requeue_into_a_bad_queue(worker):
    """A job whose queue has no name stays where it is; the error says why."""
    worker.push(at=LATER, queue="a b")
    assert worker.mutate("requeue", "scheduled") == (
        r"-ERR queue names must match \A[a-zA-Z0-9._-]+\z"
    )
    assert worker.sets() == {"scheduled": 1}


def test_kill_of_a_job_with_a_bad_queue(worker):
    """Its queue is nothing to a kill."""
    worker.push(at=LATER, queue="a b")
    assert worker.mutate("kill", "scheduled") == "+OK"
    assert worker.sets() == {"dead": 1}


def test_mutations_count_for_nothing(worker):
    """Neither a kill nor a requeue is a failure or a job done."""
    worker.push(at=LATER)
    worker.mutate("kill", "scheduled")
    worker.mutate("requeue", "dead")
    faktory = worker.info()["faktory"]
    assert (faktory["total_processed"], faktory["total_failures"]) == (0, 0)


def test_many_jobs(worker):
    """A set of hundreds is mutated to its end."""
    jobs = [job(f"job-number-{number}", at=LATER) for number in range(500)]
    worker.ask(f"PUSHB {compact(jobs)}")
    worker.mutate("kill", "scheduled", regexp="*-number-1*")
    assert worker.sets() == {"scheduled": 389, "dead": 111}
