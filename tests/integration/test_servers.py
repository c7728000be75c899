"""The servers of `scripts/servers` do what the other tests take for granted."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from scripts import servers
from scripts.servers import FaktoryServer, RedisServer, ServerError, is_running
from scripts.servers.process import wait_until

TREE = Path(__file__).parents[2]


KINDS = [
    pytest.param(RedisServer, marks=pytest.mark.redis),
    pytest.param(FaktoryServer, marks=pytest.mark.faktory),
]


@pytest.fixture(params=KINDS)
def new_server(request):
    return request.getfixturevalue(f"new_{request.param.name}")


def answers(server):
    """Whether a new client gets an answer; raises TimeoutError if it never comes."""
    if isinstance(server, FaktoryServer):
        return "faktory" in json.loads(server.ask("INFO", timeout=0.3)[0])
    with socket.create_connection(("127.0.0.1", server.port), 0.3) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(100).startswith(b"+PONG")


def pids(server):
    return [server.pid, *([server.storage_pid] if isinstance(server, FaktoryServer) else [])]


def version(url):
    with Redis.from_url(url) as client:
        return client.info("server")["redis_version"]


def push(server, *jids):
    jobs = [{"jid": jid, "jobtype": "work", "args": [], "queue": "kept"} for jid in jids]
    assert server.ask(*(f"PUSH {json.dumps(job)}" for job in jobs)) == ["OK"] * len(jids)


def fetch(server, times):
    fetched = server.ask(*["FETCH kept"] * times, wid="w1234567")
    return [json.loads(job)["jid"] if job else None for job in fetched]


def test_shared_redis_is_empty_and_answers(redis_url):
    """`redis_url` leads to an empty Redis."""
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_shared_redis_is_emptied_again(redis_url):
    """What the test before left in the shared Redis is gone."""
    with Redis.from_url(redis_url) as client:
        assert client.get("left") is None


@pytest.mark.parametrize("queue", ["first", "second"])
def test_shared_faktory_is_empty(faktory_server, faktory_url, queue):
    """`faktory_url` leads to a Faktory without jobs, whatever the test before has left."""
    before = json.loads(faktory_server.ask("INFO")[0])["faktory"]
    assert before["total_enqueued"] == 0
    assert faktory_url == faktory_server.url
    job = {"jid": "0123456789", "jobtype": "work", "args": [], "queue": queue}
    assert faktory_server.ask(f"PUSH {json.dumps(job)}") == ["OK"]


def test_old_redis_is_6_2(old_redis_server):
    """The old Redis is the oldest supported line, over TCP and over its Unix socket."""
    assert version(old_redis_server.url).startswith("6.2.")
    assert version(old_redis_server.unix_url).startswith("6.2.")


def test_redis_on_its_unix_socket(new_redis):
    """A Redis listens on a Unix socket too."""
    assert version(new_redis().unix_url)


@pytest.mark.parametrize("kind", KINDS)
def test_directory_too_long_for_a_socket(kind, request, tmp_path):
    """A directory whose path is longer than a Unix socket's may be is no obstacle."""
    new = request.getfixturevalue(f"new_{kind.name}")
    server = new(tmp_path / ("long" * 30))
    assert answers(server)
    home = server._home
    server.restart()
    assert answers(server)
    if kind is RedisServer:
        assert version(server.unix_url)
    server.stop()
    assert not home.is_symlink()


def test_pause_and_resume(new_server):
    """A paused server lets clients wait without end; a resumed one answers."""
    server = new_server()
    assert answers(server)
    server.pause()
    server.pause()  # changes nothing
    with pytest.raises(TimeoutError):
        answers(server)
    server.resume()
    assert answers(server)
    server.pause()
    with pytest.raises(TimeoutError):
        answers(server)


def test_kill_and_start(new_server):
    """A killed server is gone at once, and comes back on the same port."""
    server = new_server()
    port, before = server.port, pids(server)
    server.kill()
    assert not any(map(is_running, before))
    with pytest.raises(ConnectionRefusedError):
        answers(server)
    server.start()
    assert answers(server)
    assert server.port == port
    assert not set(before) & set(pids(server))


def test_restart(new_server):
    """A restarted server is a new process on the same port."""
    server = new_server()
    port, before = server.port, pids(server)
    server.restart()
    assert answers(server)
    assert server.port == port
    assert not set(before) & set(pids(server))


@pytest.mark.parametrize("state", ["running", "paused", "killed", "dead", "stopped"])
def test_nothing_is_left_after_stop(new_server, state):
    """After stop, no process of the server is left, whatever its state was; twice is fine."""
    server = new_server()
    before = pids(server)
    match state:
        case "paused":
            server.pause()
        case "killed":
            server.kill()
        case "dead":  # without our doing
            os.kill(server.pid, signal.SIGKILL)
        case "stopped":
            server.stop()
    server.stop()
    assert not any(map(is_running, before))
    assert not server.running
    server.stop()


def test_start_after_a_death_of_its_own(new_server):
    """A server that died without our doing starts again; a running one is left alone."""
    server = new_server()
    os.kill(server.pid, signal.SIGKILL)
    assert wait_until(lambda: not server.running)
    server.start()
    again = server.pid
    server.start()
    assert answers(server)
    assert server.pid == again


def test_faktory_keeps_jobs_over_kill(new_faktory):
    """SIGKILL of Faktory alone loses no job, pushed just before or in an earlier life."""
    server = new_faktory()
    push(server, "job-number-1")
    server.kill()
    server.start()
    push(server, "job-number-2")
    server.kill()
    server.start()
    assert fetch(server, 2) == ["job-number-1", "job-number-2"]


def test_faktory_keeps_jobs_over_kill_while_paused(new_faktory):
    """A Faktory killed in its sleep loses no job either."""
    server = new_faktory()
    push(server, "job-number-1")
    server.pause()
    server.kill()
    server.start()
    assert fetch(server, 1) == ["job-number-1"]


def test_faktory_keeps_jobs_over_restart(new_faktory):
    """A restart of Faktory loses no job."""
    server = new_faktory()
    push(server, "job-number-1", "job-number-2")
    server.restart()
    assert fetch(server, 2) == ["job-number-1", "job-number-2"]


def test_faktory_loses_jobs_with_its_storage(new_faktory):
    """SIGKILL of the storage takes Faktory down and loses recent jobs; it starts all the same."""
    server = new_faktory()
    push(server, "job-number-1")
    os.kill(server.storage_pid, signal.SIGKILL)
    assert wait_until(lambda: not server.running)
    server.start()
    assert fetch(server, 1) == [None]


def test_redis_forgets_over_restart(new_redis):
    """Redis keeps nothing on disk: its locks are gone after a restart."""
    server = new_redis()
    with Redis.from_url(server.url) as client:
        client.set("lock", "held")
        server.restart()
        assert client.get("lock") is None


def test_redis_password(new_redis):
    """A Redis with a password takes its own URLs and no others."""
    server = new_redis(password="s3cret/@ é")
    assert version(server.url)
    assert version(server.unix_url)
    with (
        Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(AuthenticationError),
    ):
        client.ping()


def test_faktory_password(new_faktory):
    """A Faktory with a password lets in who knows it; its URL has it, quoted."""
    server = new_faktory(password="s3cret/@")
    assert server.url == f"tcp://:s3cret%2F%40@127.0.0.1:{server.port}"
    assert server.ask("FLUSH") == ["OK"]
    server.password = "wrong"
    with pytest.raises(ServerError, match="Invalid password"):
        server.ask("FLUSH")


def test_faktory_takes_nothing_from_our_environment(new_faktory, monkeypatch):
    """FAKTORY_… variables of whoever runs the tests do not reach the server."""
    monkeypatch.setenv("FAKTORY_PASSWORD", "leaked")
    monkeypatch.setenv("FAKTORY_ENV", "production")
    assert new_faktory().ask("FLUSH") == ["OK"]


def test_faktory_web_pages(new_faktory):
    """The web pages are served where they are asked for."""
    server = new_faktory(web_port=servers.free_port())
    with socket.create_connection(("127.0.0.1", server.web_port), 5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(12).startswith(b"HTTP/1.")


def test_failed_start_tells_the_log(new_redis, tmp_path):
    """A server that cannot start raises with the end of its log, and leaves nothing running."""
    server = RedisServer(tmp_path, extra=("--no-such-option", "yes"))
    with pytest.raises(ServerError, match="no-such-option"):
        server.start()
    assert not server.running


@pytest.mark.parametrize("kind", KINDS)
def test_chosen_port_is_taken(kind, request, tmp_path, monkeypatch):
    """A port that gets taken between choice and start: another one; the caller's port: an error."""
    request.getfixturevalue(f"new_{kind.name}")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        free = servers.free_port()
        ports = iter([taken, free])
        monkeypatch.setattr("scripts.servers.process.free_port", lambda: next(ports))
        with kind(tmp_path / "any") as server:
            assert server.port == free
            assert answers(server)
        fixed = kind(tmp_path / "fixed", taken)
        with pytest.raises(ServerError, match=f"on port {taken} ended"):
            fixed.start()
    fixed.start()
    assert answers(fixed)
    fixed.stop()


def test_missing_servers_are_named(monkeypatch, tmp_path):
    """Where a server is missing, the reason says what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("scripts.servers.available._REPOSITORY", tmp_path)
    assert "scripts/provision.sh" in servers.missing_redis()
    assert "scripts/provision.sh" in servers.missing_faktory()


def run(*command, **options):
    words = [sys.executable, "-W", "error", "-m", "scripts.servers", "--", *command]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=TREE, **options)


ASK_BOTH = """
import os, sys, json, time
sys.path.insert(0, os.environ["TREE"])
from urllib.parse import urlsplit
from scripts.servers import redis_pid
redis, faktory = (urlsplit(os.environ[n]) for n in ("FAKTORY_UNIQUE_STORE", "FAKTORY_URL"))
print(redis_pid((redis.hostname, redis.port)), faktory.port, flush=True)
"""


@pytest.fixture
def tree(monkeypatch, tmp_path, new_redis, new_faktory):
    """A temporary folder of its own for the command line, which must leave nothing in it."""
    monkeypatch.setenv("TREE", str(TREE))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def test_command_line_passes_on_the_status(tree):
    """The command finds both servers, its status is ours, and nothing is left."""
    with run(sys.executable, "-c", f"{ASK_BOTH}sys.exit(7)") as process:
        said, _ = process.communicate()
    pid, port = map(int, said.split())
    assert process.returncode == 7
    assert not is_running(pid)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_command_line_is_interrupted(tree, number):
    """Ctrl-C, SIGTERM and a closed terminal end the command and both servers."""
    program = f"{ASK_BOTH}time.sleep(60)"
    with run(sys.executable, "-c", program, start_new_session=True) as process:
        pid, _ = map(int, process.stdout.readline().split())
        assert is_running(pid)
        if number == signal.SIGTERM:
            process.send_signal(number)
        else:  # the terminal tells the whole group
            os.killpg(process.pid, number)
        process.communicate()
    assert process.returncode == 128 + number
    assert not is_running(pid)


@pytest.mark.parametrize(("command", "status"), [([], 2), (["./no-such-command"], 127)])
def test_command_line_cannot_run(tree, command, status):
    """A command that is not given or not there is an error of its own."""
    with run(*command, stderr=subprocess.PIPE) as process:
        _, said = process.communicate()
        assert process.returncode == status
        assert len(said.splitlines()) == 1
