"""MUTATE: the jobs that a filter matches, by their stored text (server/mutate.go:79-116)."""

import pytest

from .wire import compact, job

LATER = "2090-01-01T00:00:00Z"

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


def waiting(worker):
    """Return the jids of all jobs in the default queue."""
    size = worker.queues().get("default", 0)
    return sorted(worker.fetch()["jid"] for _ in range(size))


@pytest.mark.parametrize(("chosen", "jids"), FILTERS, ids=[compact(row[0]) for row in FILTERS])
def test_filter(worker, chosen, jids):
    """With jids, all else is ignored; otherwise jobtype and glob must both match."""
    assert worker.ask(f"PUSHB {compact(CREATED)}") == "{}"
    operation = {"cmd": "requeue", "target": "scheduled", "filter": chosen}
    assert worker.ask(f"MUTATE {compact(operation)}") == "+OK"
    assert waiting(worker) == sorted(jids)


def test_filter_of_null(worker):
    """A filter of null counts as no filter."""
    worker.ask(f"PUSHB {compact(CREATED)}")
    worker.ask('MUTATE {"cmd":"discard","target":"scheduled","filter":null}')
    assert worker.sets() == {}


def test_space_by_an_escape(worker):
    """A space can be matched by its escape."""
    worker.push(args=["a b"], at=LATER)
    worker.ask(r'MUTATE {"cmd":"discard","target":"scheduled","filter":{"regexp":"*a\u0020b*"}}')
    assert worker.sets() == {}


def test_bytes_of_characters(worker):
    """A glob matches bytes: a character of two bytes needs two question marks."""
    worker.push(args=["aéb"], at=LATER)
    worker.mutate("kill", "scheduled", regexp="*a?b*")
    worker.mutate("requeue", "scheduled", regexp="*a??b*")
    assert (worker.sets(), worker.queues()) == ({}, {"default": 1})


def test_null_byte_in_a_glob(worker):
    """A null byte is an ordinary byte; payloads contain none."""
    worker.push(args=["a\0b"], at=LATER)
    worker.mutate("discard", "scheduled", regexp="*a\0b*")
    worker.mutate("discard", "scheduled", regexp="*\0*")
    assert worker.sets() == {"scheduled": 1}
