"""Run every case on a FakeFaktory and on a real Faktory, and count the cases."""

from contextlib import ExitStack

import pytest

from scripts.servers import missing_faktory
from tests.conformance.servers import Fake, Real
from tests.conftest import need

KINDS = [pytest.param("fake"), pytest.param("real", marks=pytest.mark.faktory)]


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


# ---- counting, for the summary: a case is a test on either server ----------------------------


def case_of(item):
    """Return the kind of server and the case of a test; None if it uses no server."""
    parts = item.callspec.id.split("-") if hasattr(item, "callspec") else []
    kind = next((part for part in parts if part in {"fake", "real"}), None)
    if kind is None:
        return None
    parts.remove(kind)
    return kind, f"{item.nodeid.partition('[')[0]}[{'-'.join(parts)}]"


def pytest_itemcollected(item):
    if case := case_of(item):
        item.user_properties.append(("conformance", case))
