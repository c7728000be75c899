"""Settings that cannot be meant are refused, or warned of once, each with the way out."""

from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError

from faktory_unique import Client, Consumer, InvalidSettings, Policy, Producer, Unique
from faktory_unique.policy.policies import Policies
from faktory_unique.policy.settings import load_settings
from faktory_unique.testing import fake


@pytest.mark.parametrize("service", ["FAKTORY_UNIQUE", "FAKTORY_UNIQUE_REDIS"])
@pytest.mark.parametrize(
    "suffix",
    [
        "PORT",
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_WEB_UI",
        "PORT_6379_TCP",
        "PORT_6379_TCP_ADDR",
        "PORT_6379_UDP_PORT",
        "PORT_6379_SCTP_PROTO",
    ],
)
def test_variables_of_a_kubernetes_service_are_no_settings(monkeypatch, service, suffix):
    """A Service called `faktory-unique` must not stop the application."""
    monkeypatch.setenv(f"{service}_{suffix}", "tcp://10.0.0.1:6379")
    assert load_settings().policies == {}


@pytest.mark.parametrize("name", ["STOER", "PORTS", "SERVICE", "PORT_TCP", "SERVICE_HOSTS"])
def test_other_unknown_variables_are_still_refused(monkeypatch, name):
    monkeypatch.setenv(f"FAKTORY_UNIQUE_{name}", "x")
    with pytest.raises(InvalidSettings, match=f"FAKTORY_UNIQUE_{name}: no such setting"):
        load_settings()


@pytest.mark.parametrize("glob", ["Report[", "a[]", "a[!]", "a[b][c", "[", "x[!a"])
def test_a_glob_with_an_open_bracket_is_refused(glob):
    with pytest.raises(InvalidSettings, match=r"policies: .* has a '\[' without a '\]'"):
        Unique("memory://", policies={glob: Policy()})


@pytest.mark.parametrize("glob", ["a[b]", "a[]]", "a[!]]", "a[[]", "a]", "a[]b]c", "*", "a?"])
def test_a_glob_with_closed_brackets_is_accepted(glob):
    assert load_settings(policies={glob: Policy()}).policies == {glob: Policy()}


def test_an_empty_name_is_refused():
    with pytest.raises(InvalidSettings, match="'' is the name of no jobtype; write '\\*'"):
        Unique("memory://", policies={"": Policy()})


def test_expiry_cannot_be_combined_with_replace():
    with pytest.raises(ValidationError, match='use until="success", or on_conflict="skip"'):
        Policy(until="expiry", on_conflict="replace")


@pytest.mark.parametrize(
    ("name", "hint"), [("tll", "did you mean 'ttl'\\? the fields are"), ("x", "field; the fields")]
)
def test_an_unknown_field_is_refused_with_the_known_ones(name, hint):
    """Each wrong value of the policy is in the same error."""
    with pytest.raises(ValidationError, match=hint) as caught:
        Policy(**{name: 1, "ttl": "soon"})
    assert {error["loc"] for error in caught.value.errors()} == {(name,), ("ttl",)}
    assert ", ".join(Policy.model_fields) in str(caught.value)


def test_a_jobtype_in_another_case_is_warned_of_once(caplog):
    policies = Policies({"SendMail": Policy(), "Report*": Policy()})
    for jobtype in ("sendmail", "sendmail", "SendMail", "SENDMAIL", "Other"):
        policies.for_jobtype(jobtype)
    assert [message.partition("jobtype=")[2] for message in caplog.messages] == [
        "sendmail policy=SendMail; correct one of them, or give the jobtype a policy",
        "SENDMAIL policy=SendMail; correct one of them, or give the jobtype a policy",
    ]


@pytest.mark.parametrize(
    ("lease", "timeout", "shown"),
    [(10, 30, "lease=10s timeout=30s"), (60, None, "lease=60s timeout=none"), (60, 30, None)],
)
def test_a_lease_shorter_than_a_push_is_warned_of(caplog, lease, timeout, shown):
    unique = Unique("memory://", policies={"A": Policy(), "B*": Policy(lease=lease)})
    Producer(Client("tcp://h:1", timeout=timeout), [unique])
    assert [shown in message for message in caplog.messages] == [True] * (shown is not None)


def test_without_policies_no_lease_is_too_short(caplog):
    Producer(Client("tcp://h:1", timeout=None), [Unique("memory://")])
    assert caplog.messages == []


@pytest.mark.parametrize("password", ["pa/ss", "12/ss", "p#s", "p?s", "p[s", "p]s", "a@b/c"])
def test_a_password_that_is_not_encoded_is_named_as_such(monkeypatch, password):
    """A part of it would be taken for the host, and another part for the path."""
    for url in (f"tcp://:{password}@host:7419", f"tcp+tls://user:{password}@host:7419"):
        monkeypatch.setenv("FAKTORY_URL", url)
        for given in (url, None):
            with pytest.raises(ValueError, match=r"its password contains . ?.*encode it") as caught:
                Client(given)
            assert password not in str(caught.value)


@pytest.mark.parametrize("password", ["p@ss", "p:ss", "p%2Fss", "p ss"])
def test_other_passwords_are_accepted(password):
    assert Client(f"tcp://:{password}@host:7419").host == "host"


def test_a_consumer_names_both_servers_at_its_start(caplog):
    with fake() as faktory, faktory.client(role="consumer") as client:
        consumer = Consumer(client, ["q"], middleware=[Unique(default=Policy())])
        consumer.stop()
        with caplog.at_level(logging.INFO, "faktory_unique"):
            consumer.run()
        first, second = caplog.messages[:2]
        assert first.endswith(f"faktory={client.host}:{client.port}")
        assert second.startswith("locks: store=<FakeStore>")


def test_a_store_that_is_away_is_noticed_at_the_start(caplog):
    with fake() as faktory, faktory.client(role="consumer") as client:
        unique = Unique("redis://127.0.0.1:1", default=Policy())
        consumer = Consumer(client, ["q"], middleware=[unique])
        consumer.stop()
        consumer.run()
    [line] = caplog.messages
    assert line.startswith("locks are not available, jobs run or wait by policy: error=")
    assert "127.0.0.1:1" in line


def test_an_error_of_a_subclass_ends_the_run_at_once(caplog):
    """It is not a FETCH without a reply, for which a stop would wait."""

    class Broken(Consumer):
        def get_queues(self):
            raise LookupError("no queues today")

    with fake() as faktory, faktory.client(role="consumer") as client:
        consumer = Broken(client, ["q"], grace_period=3_600)
        with pytest.raises(LookupError, match="no queues today"):
            consumer.run()
    assert "FETCH not answered" not in caplog.text
