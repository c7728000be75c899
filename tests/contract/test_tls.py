"""`rediss://`: the certificate is verified, and so is the host name in it.

It runs with the lowest redis-py that is allowed, too: before 6.0 that checks no host name.
"""

from __future__ import annotations

import logging
from contextlib import closing

import pytest
import redis
import trustme

from faktory_unique import StoreUnavailable
from faktory_unique.locks.lifecycle import acquire_transition
from faktory_unique.stores.factory import open_store
from scripts.servers import free_port
from tests.contract.conftest import KEY, OWNER


@pytest.fixture
def serve_tls(new_redis, tmp_path):
    """`serve_tls(host)`: the options of a Redis with a certificate for this host."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def serve_tls(host):
        certificate = authority.issue_cert(host)
        certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
        certificate.private_key_pem.write_to_path(tmp_path / "server.key")
        port = free_port()
        new_redis(
            extra=(
                *("--tls-port", str(port), "--tls-auth-clients", "no"),
                *("--tls-cert-file", tmp_path / "server.pem"),
                *("--tls-key-file", tmp_path / "server.key"),
            )
        )
        return f"rediss://localhost:{port}/0", f"ssl_ca_certs={tmp_path / 'ca.pem'}"

    return serve_tls


def acquire(setting):
    with closing(open_store(setting)) as store:
        return store.run([acquire_transition(KEY, OWNER, 60)])


def test_certificate_of_the_host_is_accepted(serve_tls):
    url, authority = serve_tls("localhost")
    assert acquire(f"{url}?{authority}") == [None]


def test_certificate_of_an_unknown_authority_is_refused(serve_tls):
    url, _ = serve_tls("localhost")
    with pytest.raises(StoreUnavailable, match="certificate"):
        acquire(url)


def test_certificate_of_another_host_is_refused(serve_tls):
    """Anybody who has some certificate of the authority could otherwise read the password."""
    url, authority = serve_tls("other.example")
    with pytest.raises(StoreUnavailable, match=r"[Hh]ostname mismatch"):
        acquire(f"{url}?{authority}")


@pytest.mark.parametrize("option", ["ssl_check_hostname=false", "ssl_cert_reqs=none"])
def test_check_of_the_host_name_can_be_switched_off(serve_tls, option):
    url, authority = serve_tls("other.example")
    assert acquire(f"{url}?{authority}&{option}") == [None]


def test_client_that_checks_no_host_name_is_reported(serve_tls, caplog):
    """A client's own choice is kept. It may be the default of an old redis-py."""
    caplog.set_level(logging.WARNING)
    url, authority = serve_tls("other.example")
    client = redis.Redis.from_url(f"{url}?{authority}&ssl_check_hostname=false")
    assert acquire(client) == [None]
    assert "TLS without a check of the host name: store=localhost:" in caplog.text
