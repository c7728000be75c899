"""Run every case on a FakeFaktory and on a real Faktory, and count the cases."""

from contextlib import ExitStack

import pytest

from scripts.servers import missing_faktory
from tests.conformance.servers import Fake, Real
from tests.conftest import need

KINDS = [pytest.param("fake"), pytest.param("real", marks=pytest.mark.faktory)]
PASSED = pytest.StashKey[dict[str, set[str]]]()


@pytest.fixture(scope="session")
def new_server(tmp_path_factory):
    """Return a function that starts a server until all tests end: `new_server("fake", …)`."""
    with ExitStack() as stack:

        def start(kind, **options):
            if kind == "real":
                need(missing_faktory())
                server = Real(tmp_path_factory.mktemp("conformance"), **options)
            else:
                server = Fake(**options)
            return stack.enter_context(server)

        yield start


@pytest.fixture(scope="session")
def fake_server(new_server):
    return new_server("fake")


@pytest.fixture(scope="session")
def real_server(new_server):
    return new_server("real")


@pytest.fixture(params=KINDS)
def server(request):
    """A server without jobs and queues."""
    found = request.getfixturevalue(f"{request.param}_server")
    found.clean()
    yield found
    found.clean()
    found.end_lines()


@pytest.fixture
def line(server):
    """A producer's connection."""
    return server.producer()


@pytest.fixture
def worker(server):
    """A worker's connection."""
    return server.worker()


# ---- counting: a case is a test on either server --------------------------------------------


def pytest_configure(config):
    config.stash.setdefault(PASSED, {"fake": set(), "real": set()})


def case_of(item):
    """Return the kind of server and the case of a test; None if it uses no server."""
    parts = item.callspec.id.split("-") if hasattr(item, "callspec") else []
    kind = next((part for part in parts if part in {"fake", "real"}), None)
    if kind is None:
        return None
    parts.remove(kind)
    return kind, f"{item.nodeid.partition('[')[0]}[{'-'.join(parts)}]"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and report.passed and (found := case_of(item)):
        kind, case = found
        passed = item.config.stash.setdefault(PASSED, {"fake": set(), "real": set()})
        passed[kind].add(case)
    return report


def pytest_terminal_summary(terminalreporter, config):
    passed = config.stash.get(PASSED, {"fake": set(), "real": set()})
    if cases := passed["fake"] | passed["real"]:
        terminalreporter.write_line(
            f"conformance: cases={len(cases)} fake={len(passed['fake'])} real={len(passed['real'])}"
        )
