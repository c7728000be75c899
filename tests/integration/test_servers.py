"""Servers of `scripts/servers`: start, stop, kill, pause, passwords, and the command line."""

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
from tests.patience import PATIENCE

TREE = Path(__file__).parents[2]


KINDS = [
    pytest.param(RedisServer, marks=pytest.mark.redis),
    pytest.param(FaktoryServer, marks=pytest.mark.faktory),
]


@pytest.fixture(params=KINDS)
def new_server(request):
    return request.getfixturevalue(f"new_{request.param.name}")


def answers(server, timeout=PATIENCE):
    """Return whether a new client gets a reply; raise TimeoutError if none comes."""
    if isinstance(server, FaktoryServer):
        return "faktory" in json.loads(server.ask("INFO", timeout=timeout)[0])
    with socket.create_connection(("127.0.0.1", server.port), timeout) as connection:
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


def test_redis_url_empties_the_shared_redis(redis_server, request):
    """A key that the test before left there is gone."""
    with Redis.from_url(redis_server.url) as client:
        client.set("left", "behind")
        assert request.getfixturevalue("redis_url") == redis_server.url
        assert client.dbsize() == 0


def test_faktory_url_empties_the_shared_faktory(faktory_server, request):
    """A job that the test before left there is gone."""
    job = {"jid": "0123456789", "jobtype": "work", "args": [], "queue": "left"}
    assert faktory_server.ask(f"PUSH {json.dumps(job)}") == ["OK"]
    assert request.getfixturevalue("faktory_url") == faktory_server.url
    assert json.loads(faktory_server.ask("INFO")[0])["faktory"]["total_enqueued"] == 0


def test_old_redis_is_6_2(old_redis_server):
    """The old Redis is the oldest supported line, over TCP and over its Unix socket."""
    assert version(old_redis_server.url).startswith("6.2.")
    assert version(old_redis_server.unix_url).startswith("6.2.")


def test_redis_answers_on_its_unix_socket(new_redis):
    """A Redis listens on a Unix socket, too."""
    assert version(new_redis().unix_url)


@pytest.mark.parametrize("kind", KINDS)
def test_server_starts_in_a_directory_with_a_long_path(kind, request, tmp_path):
    """The path is too long for a Unix socket."""
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


def test_paused_server_does_not_reply_until_resumed(new_server):
    """Clients of a paused server wait; a second pause changes nothing."""
    server = new_server()
    assert answers(server)
    server.pause()
    server.pause()
    with pytest.raises(TimeoutError):
        answers(server, timeout=0.3)
    server.resume()
    assert answers(server)
    server.pause()
    with pytest.raises(TimeoutError):
        answers(server, timeout=0.3)


def test_killed_server_starts_on_the_same_port(new_server):
    """A killed server is gone at once, with all its processes."""
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


def test_restarted_server_is_a_new_process(new_server):
    """The port is the same."""
    server = new_server()
    port, before = server.port, pids(server)
    server.restart()
    assert answers(server)
    assert server.port == port
    assert not set(before) & set(pids(server))


@pytest.mark.parametrize("state", ["running", "paused", "killed", "dead", "stopped"])
def test_stopped_server_leaves_no_process(new_server, state):
    """This holds for every state before; a second stop does nothing."""
    server = new_server()
    before = pids(server)
    match state:
        case "paused":
            server.pause()
        case "killed":
            server.kill()
        case "dead":  # killed by another process
            os.kill(server.pid, signal.SIGKILL)
        case "stopped":
            server.stop()
    server.stop()
    assert not any(map(is_running, before))
    assert not server.running
    server.stop()


def test_server_that_died_by_itself_starts_again(new_server):
    """A second start leaves the running server alone."""
    server = new_server()
    os.kill(server.pid, signal.SIGKILL)
    assert wait_until(lambda: not server.running)
    server.start()
    again = server.pid
    server.start()
    assert answers(server)
    assert server.pid == again


def test_killed_faktory_keeps_its_jobs(new_faktory):
    """SIGKILL of Faktory alone loses no job, pushed just before or before an earlier kill."""
    server = new_faktory()
    push(server, "job-number-1")
    server.kill()
    server.start()
    push(server, "job-number-2")
    server.kill()
    server.start()
    assert fetch(server, 2) == ["job-number-1", "job-number-2"]


def test_faktory_killed_while_paused_keeps_its_jobs(new_faktory):
    server = new_faktory()
    push(server, "job-number-1")
    server.pause()
    server.kill()
    server.start()
    assert fetch(server, 1) == ["job-number-1"]


def test_restarted_faktory_keeps_its_jobs(new_faktory):
    server = new_faktory()
    push(server, "job-number-1", "job-number-2")
    server.restart()
    assert fetch(server, 2) == ["job-number-1", "job-number-2"]


def test_faktory_loses_recent_jobs_with_its_storage(new_faktory):
    """SIGKILL of the storage ends Faktory, too; it can be started again."""
    server = new_faktory()
    push(server, "job-number-1")
    os.kill(server.storage_pid, signal.SIGKILL)
    assert wait_until(lambda: not server.running)
    server.start()
    assert fetch(server, 1) == [None]


def test_restarted_redis_has_lost_its_keys(new_redis):
    """Redis stores nothing on disk, so its locks are gone."""
    server = new_redis()
    with Redis.from_url(server.url) as client:
        client.set("lock", "held")
        server.restart()
        assert client.get("lock") is None


def test_redis_with_a_password_accepts_its_urls(new_redis):
    """A client without the password is refused."""
    server = new_redis(password="s3cret/@ é")
    assert version(server.url)
    assert version(server.unix_url)
    with (
        Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(AuthenticationError),
    ):
        client.ping()


def test_faktory_with_a_password_accepts_its_url(new_faktory):
    """The password is quoted in the URL; a client with a wrong password is refused."""
    server = new_faktory(password="s3cret/@")
    assert server.url == f"tcp://:s3cret%2F%40@127.0.0.1:{server.port}"
    assert server.ask("FLUSH") == ["OK"]
    server.password = "wrong"
    with pytest.raises(ServerError, match="Invalid password"):
        server.ask("FLUSH")


def test_faktory_ignores_our_environment(new_faktory, monkeypatch):
    """FAKTORY_… variables of the test process do not reach the server."""
    monkeypatch.setenv("FAKTORY_PASSWORD", "leaked")
    monkeypatch.setenv("FAKTORY_ENV", "production")
    assert new_faktory().ask("FLUSH") == ["OK"]


def test_faktory_serves_web_pages_on_request(new_faktory):
    server = new_faktory(web_port=servers.free_port())
    with socket.create_connection(("127.0.0.1", server.web_port), 5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(12).startswith(b"HTTP/1.")


def test_failed_start_reports_the_end_of_the_log(new_redis, tmp_path):
    """The server that cannot start leaves no process."""
    server = RedisServer(tmp_path, extra=("--no-such-option", "yes"))
    with pytest.raises(ServerError, match="no-such-option"):
        server.start()
    assert not server.running


@pytest.mark.parametrize("kind", KINDS)
def test_server_avoids_a_port_that_is_taken(kind, request, tmp_path, monkeypatch):
    """It chooses another port, unless the caller chose the port: that is an error."""
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


def test_missing_server_is_reported_with_the_script(monkeypatch, tmp_path):
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
    """A temporary folder for the command line, which must leave it empty."""
    monkeypatch.setenv("TREE", str(TREE))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def test_command_line_returns_the_commands_status(tree):
    """The command finds both servers, and no server is left."""
    with run(sys.executable, "-c", f"{ASK_BOTH}sys.exit(7)") as process:
        output, _ = process.communicate()
    pid, port = map(int, output.split())
    assert process.returncode == 7
    assert not is_running(pid)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_command_line_ends_its_servers(tree, number):
    """Ctrl-C, SIGTERM and a closed terminal also end the command."""
    program = f"{ASK_BOTH}time.sleep(60)"
    with run(sys.executable, "-c", program, start_new_session=True) as process:
        pid, _ = map(int, process.stdout.readline().split())
        assert is_running(pid)
        if number == signal.SIGTERM:
            process.send_signal(number)
        else:  # a terminal signals the whole group
            os.killpg(process.pid, number)
        process.communicate()
    assert process.returncode == 128 + number
    assert not is_running(pid)


@pytest.mark.parametrize(("command", "status"), [([], 2), (["./no-such-command"], 127)])
def test_command_line_reports_a_missing_command(tree, command, status):
    """The command is not given, or does not exist."""
    with run(*command, stderr=subprocess.PIPE) as process:
        _, errors = process.communicate()
        assert process.returncode == status
        assert len(errors.splitlines()) == 1
