"""The recipe for cron on several hosts: several processes push at once, one job runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time

from redis import Redis

from faktory_unique import Client, Job, Policy, Producer, Unique
from tests.patience import PATIENCE
from tests.recipes.page import blocks

HOSTS = 5


def crontab():
    """Return the command of the page's crontab line, after the `cd`."""
    [line] = blocks("crontab")
    command = re.fullmatch(r"0 \* \* \* \* cd app && python (.*)\n", line)
    return [sys.executable, *shlex.split(command[1])]


def push_at_once(folder, hosts):
    """Run the crontab's command once per host, at once. Return the statuses that they print."""
    running = [
        subprocess.Popen(crontab(), cwd=folder, stdout=subprocess.PIPE, text=True)
        for _ in range(hosts)
    ]
    return sorted(process.communicate(timeout=PATIENCE)[0].split()[0] for process in running)


def test_job_runs_once_for_all_hosts(recipe, tmp_path, jobs_left, all_done):
    left_of_the_hour = 3_600 - time.time() % 3_600
    if left_of_the_hour < 45:
        time.sleep(left_of_the_hour)
    cleanup = recipe("cleanup.py")
    assert push_at_once(tmp_path, HOSTS) == ["duplicate"] * (HOSTS - 1) + ["pushed"]
    cleanup.work()
    all_done()
    assert push_at_once(tmp_path, 2) == ["duplicate"] * 2  # late: the job is done
    assert jobs_left() == 0
    assert len(cleanup.lines()) == 1


def test_next_tick_is_another_job(recipe, jobs_left, capsys):
    cleanup = recipe("cleanup.py", in_an_hour=("datetime.now(UTC)", "now()"))
    cleanup.module.now = lambda: cleanup.module.datetime(2030, 1, 1, 10, 0, 3)
    cleanup.module.push()
    cleanup.module.now = lambda: cleanup.module.datetime(2030, 1, 1, 11, 0, 1)
    cleanup.module.push()
    assert capsys.readouterr().out == "pushed 2030-01-01T10:00:00\npushed 2030-01-01T11:00:00\n"
    assert jobs_left() == 2


def test_host_dying_between_lock_and_push_loses_no_tick(recipe, redis_url, jobs_left):
    careful = recipe("careful.py")
    policy = Policy(until="expiry", ttl="2h", lease="2s")  # not 60
    with Unique(default=policy) as unique, Client(timeout=1) as client:
        producer = Producer(client, [unique])
        tick = Job(jobtype="Cleanup", args=["10:00"])
        key = producer.push(tick).key
        with Redis.from_url(redis_url) as store:
            store.set(key, "job-of-a-dead-host?", ex=2)  # its lease
        tick = Job(jobtype="Cleanup", args=["10:00"])
        during_lease = producer.push(tick)
        assert (during_lease.status, during_lease.confirmed) == ("duplicate", False)
        pushed = careful.module.push_surely(producer, tick)
        assert pushed
        again = careful.module.push_surely(producer, Job(jobtype="Cleanup", args=["10:00"]))
        assert (again.status, again.jid) == ("duplicate", pushed.jid)
    assert jobs_left() == 2
