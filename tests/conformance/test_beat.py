"""BEAT: the states of a worker, its connections, unknown workers (server/workers.go)."""

import pytest

from .wire import new_wid


def known(line):
    """Return the number of workers that the server knows."""
    return line.info()["faktory"]["tasks"]["Workers"]["size"]


def unknown(wid):
    return f"-ERR unknown worker {wid}"


@pytest.mark.parametrize(
    ("states", "replies"),
    [
        ([None], ["+OK"]),
        (["", "running", "stopped", "Quiet"], ["+OK"] * 4),
        (["quiet"], ['{"state":"quiet"}']),
        (["terminate"], ['{"state":"terminate"}']),
        (["quiet", None, "", "running"], ['{"state":"quiet"}'] * 4),
        (["quiet", "terminate"], ['{"state":"quiet"}', '{"state":"terminate"}']),
        (["terminate", "quiet", None], ['{"state":"terminate"}'] * 3),
        (["running", "terminate", "running"], ["+OK", *['{"state":"terminate"}'] * 2]),
    ],
)
def test_states(worker, states, replies):
    """A worker's state changes from running to quiet to terminate, and never back."""
    assert [worker.beat(worker.wid, current_state=state) for state in states] == replies


def test_beat_without_a_state(worker):
    """A worker need not report its state."""
    assert worker.ask(f'BEAT {{"wid":"{worker.wid}","rss_kb":54176,"more":true}}') == "+OK"


def test_field_names_have_no_case(worker):
    """Field names are case-insensitive."""
    beat = f'BEAT {{"WID":"{worker.wid}","Current_State":"quiet"}}'
    assert worker.ask(beat) == '{"state":"quiet"}'


def test_beat_of_another(server, worker):
    """Any client may send a worker's heartbeat."""
    assert server.producer().beat(worker.wid, current_state="quiet") == '{"state":"quiet"}'
    assert worker.beat(worker.wid) == '{"state":"quiet"}'


def test_further_connection(server, worker):
    """A later connection of a worker gets the worker's present state."""
    worker.beat(worker.wid, current_state="quiet")
    assert server.worker(worker.wid).beat(worker.wid) == '{"state":"quiet"}'


def test_each_connection_of_a_worker_is_one_worker(server, worker):
    """All connections with a worker id are one worker; those without are no worker."""
    before = known(worker)
    server.worker(worker.wid)
    server.producer()
    assert known(worker) == before
    server.worker()
    assert known(worker) == before + 1


@pytest.mark.parametrize("end", ["END", None], ids=["END", "hanging up"])
def test_worker_whose_connection_ends(server, worker, end):
    """A worker is forgotten when its connection ends."""
    line = server.producer()
    assert line.beat(worker.wid) == "+OK"
    worker.ask(end) if end else worker.close()
    server.soon(lambda: line.beat(worker.wid) == unknown(worker.wid))


def test_worker_with_a_connection_left(server, worker):
    """A worker stays known until its last connection ends."""
    second = server.worker(worker.wid)
    worker.beat(worker.wid, current_state="quiet")
    connections = second.info()["server"]["connections"]
    worker.close()
    server.soon(lambda: second.info()["server"]["connections"] < connections)
    assert second.beat(worker.wid) == '{"state":"quiet"}'


def test_worker_that_comes_back(server, worker):
    """A worker that connects again after it was forgotten is a new one, and runs."""
    line = server.producer()
    worker.beat(worker.wid, current_state="terminate")
    worker.close()
    server.soon(lambda: line.beat(worker.wid) == unknown(worker.wid))
    assert server.worker(worker.wid).beat(worker.wid) == "+OK"


def test_worker_that_ends_leaves_its_jobs(server, worker):
    """The jobs of a disconnected worker stay reserved; any client may still acknowledge them."""
    worker.push()
    worker.fetch()
    worker.close()
    line = server.producer()
    server.soon(lambda: line.beat(worker.wid) == unknown(worker.wid))
    assert line.sets() == {"working": 1}
    assert line.ack() == "+OK"
    assert line.sets() == {}


def test_worker_id_has_case(worker):
    """A worker id is case-sensitive."""
    wid = worker.wid.upper()
    assert worker.beat(wid) == unknown(wid)


def test_producer_has_no_beat(line):
    """A connection without a worker id belongs to no worker, not even to an empty id."""
    assert line.beat("") == unknown("")


def test_worker_that_never_was(line):
    """A worker id is unknown before its HELLO."""
    wid = new_wid()
    assert line.beat(wid, current_state="quiet") == unknown(wid)
