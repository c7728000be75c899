"""Settings come from code, environment and TOML, in this order; a wrong setting is named."""

from __future__ import annotations

import os
from traceback import format_exception
from types import MappingProxyType
from urllib.parse import quote

import pytest
from redis import Redis
from redis.sentinel import Sentinel

from faktory_unique import InvalidSettings, Policy, Unique
from faktory_unique.policy.settings import load_settings
from faktory_unique.stores.redis import RedisStore


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in os.environ:
        if name.upper().startswith("FAKTORY_UNIQUE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "faktory.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_policies_are_json_in_the_environment(monkeypatch):
    monkeypatch.setenv("FAKTORY_UNIQUE_POLICIES", '{"Billing::Invoice": {"ttl": "1h30m"}}')
    monkeypatch.setenv("FAKTORY_UNIQUE_DEFAULT", '{"ttl": "PT2H"}')
    settings = load_settings()
    assert settings.policies == {"Billing::Invoice": Policy(ttl=5400)}
    assert settings.default == Policy(ttl=7200)


def test_policies_are_tables_in_toml(toml):
    path = toml('store = "memory://"\n[policies."Billing::Invoice"]\nttl = "90s"\nby = [0]\n')
    settings = load_settings(config=path)
    assert settings.policies == {"Billing::Invoice": Policy(ttl=90, by=[0])}
    assert settings.store == "memory://"


def test_code_overrides_environment_overrides_toml(monkeypatch, toml):
    path = toml(
        'store = "memory://toml"\n'
        "[policies.A]\nttl = 1\n[policies.B]\nttl = 2\n[policies.C]\nttl = 3\n"
    )
    monkeypatch.setenv("FAKTORY_UNIQUE_CONFIG", path)
    monkeypatch.setenv("FAKTORY_UNIQUE_STORE", "memory://environment")
    monkeypatch.setenv("FAKTORY_UNIQUE_POLICIES", '{"A": {"ttl": 10}, "B": {"ttl": 20}}')
    settings = load_settings(policies={"A": Policy(ttl=100)})
    assert {name: policy.ttl for name, policy in settings.policies.items()} == {
        "A": 100,
        "B": 20,
        "C": 3,
    }
    assert settings.store == "memory://environment"
    assert load_settings(store="memory://code").store == "memory://code"


def test_without_settings_nothing_is_unique():
    assert load_settings().policies == {}
    assert load_settings().default is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FAKTORY_UNIQUE_TTL", "5", "FAKTORY_UNIQUE_TTL: no such setting; the settings are"),
        ("FAKTORY_UNIQUE_POLICIES__A__TTL", "5", "FAKTORY_UNIQUE_POLICIES__A__TTL"),
        (
            "FAKTORY_UNIQUE_POLICIES",
            '{"A": {"ttl": "soon"}}',
            "^policies.A.ttl: 'soon' is not .*in FAKTORY_UNIQUE_POL",
        ),
        (
            "FAKTORY_UNIQUE_POLICIES",
            '{"A": {"tll": 5}}',
            "tll: no such setting in FAKTORY_UNIQUE_POL.*; the settings are ttl, until",
        ),
        ("FAKTORY_UNIQUE_POLICIES", '{"A"', "^FAKTORY_UNIQUE_POLICIES: .*write JSON"),
        ("FAKTORY_UNIQUE_POLICIES", '["A"]', "policies"),
        ("FAKTORY_UNIQUE_DEFAULT", "1h", "^FAKTORY_UNIQUE_DEFAULT: .*write JSON"),
        ("FAKTORY_UNIQUE_DEFAULT", '"1h"', "default: .*dictionary .*'1h'"),
        ("FAKTORY_UNIQUE_DEFAULT", '{"TTL": 5}', "default.TTL: no such setting"),
        pytest.param(
            *("FAKTORY_UNIQUE_DEFAULT", "[" * 100_000, "^FAKTORY_UNIQUE_DEFAULT: .*write JSON"),
            id="too deep",
        ),
        ("Faktory_Unique_Store", "memory://", "^Faktory_Unique_Store: no such setting"),
        ("FAKTORY_UNIQUE_CONFIG", "/no/such.toml", "config: no file '/no/such.toml'"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=message):
        load_settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[polices.A]\nttl = 1\n", "polices"),
        (
            "[unique]\nstore = 'redis://:s3cret@host'\n",
            "unique: no such setting in '.*faktory.toml'; the settings are store, policies",
        ),
        ("[policies.A]\nttl = -1\n", "policies.A.ttl"),
        ("STORE = 'memory://'\n", "STORE: no such setting"),
        ("[policies.Mailer.Welcome]\nttl = 1\n", '"Mailer.Welcome"'),
        ("[policies.A\n", "^config: .*faktory.toml': "),
        pytest.param("store = " + "[" * 5000, "^config: .*faktory.toml': ", id="too deep"),
        pytest.param("store = 1" + "0" * 5000, "^config: .*faktory.toml': ", id="too long"),
        ("['redis://:s3cret@host']\n", "^redis:/…: no such setting"),
    ],
)
def test_a_wrong_value_in_toml_is_named(toml, text, message):
    with pytest.raises(InvalidSettings, match=message) as caught:
        load_settings(config=toml(text))
    assert "s3cret" not in "".join(format_exception(caught.value))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (5, "^config: 5 is not a path; pass the path of a TOML file$"),
        (b"unique.toml", "^config: b'unique.toml' is not a path; "),
        (True, "^config: True is not a path"),
        ("redis://:s3cret@host", "^config: no file 'redis:/…$"),
        pytest.param(
            "redis://:s3cret@host" * 500, "^config: 'redis:/…: File name too long$", id="too long"
        ),
    ],
)
def test_a_config_that_is_no_file_is_named(config, message):
    with pytest.raises(InvalidSettings, match=message):
        load_settings(config=config)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"default": {"ttl": 10**400}}, "^default.ttl: "),
        ({"default": {"until": 10**5000}}, r"^default.until: .*\(got a value of type int\)$"),
        ({"policies": Redis(password="s3cret")}, r"^policies: .*\(got a value of type Redis\)$"),
        ({"policies": "redis://:s3cret@host"}, r"^policies: .*\(got 'redis:/…\)$"),
        ({"policies": {"store": "redis://:s3cret@host"}}, r"^policies.store: .*\(got 'redis:/…\)$"),
        ({"default": "x" * 500}, r"^default: .*\(got 'x{99}…\)$"),
    ],
)
def test_a_wrong_value_in_code_is_named(given, message):
    with pytest.raises(InvalidSettings, match=message) as caught:
        load_settings(**given)
    assert "s3cret" not in "".join(format_exception(caught.value))


def test_tables_nested_too_deeply_are_refused(toml):
    """The merge of both tables reaches the recursion limit, or the setting itself is refused.

    Python 3.13.0 to 3.13.7 do not count the merge's calls (python/cpython#132744).
    """
    path = toml("default." + ".".join("a" * 5000) + " = 1\n")
    table = {}
    for _ in range(5000):
        table = {"a": table}
    with pytest.raises(InvalidSettings, match=r"nested too deep|^default\.a: no such"):
        load_settings(config=path, default=table)


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (None, "store: not set; .*FAKTORY_UNIQUE_STORE"),
        ("localhost:6379", "store: this text is not a store"),
        ("http://:s3cret@host", "store: a http:// URL is not a store"),
        ("redis:/:s3cret@host", "store: this text is not a store"),
        (":s3cret@host:6379", "store: this text is not a store"),
        ("redis://:s3cret@host/0?socket_timeout=soon", "store: .*socket_timeout"),
        ("redis://:s3cret@host/0?socket_timout=3", "store: redis-py has no option 'socket_timout'"),
        ("redis://:s3cret@host/none", "store: .* not a database number"),
        ("redis://:s3cret/x@host:6379/0", "store: this redis:// URL .*percent-encode its password"),
        ("rediss://:1?s3cret=@host", "store: this rediss:// URL .*percent-encode its password"),
        ("redis://:@s3cret?@host", "store: this redis:// URL .*percent-encode its password"),
        ("redis://:@s3cret#@host", "store: this redis:// URL .*percent-encode its password"),
        (
            "unix://:/s3cret@/run/redis.sock",
            "store: this unix:// URL .*percent-encode its password",
        ),
        ("redis://:[s3cret]@host", "store: this redis:// URL .*percent-encode its password"),
        ("redis://:s3cret\u2100@host", "store: this redis:// URL .*percent-encode its password"),
        ("redis://:s3cret@host:none/0", "store: the port is not a number"),
        (7, "store: int is not a store"),
        ({"Email": {}}, "store: a mapping .meant as policies=.. is not a store"),
    ],
)
def test_a_wrong_store_is_named_without_its_password(store, message):
    with pytest.raises(InvalidSettings, match=message) as caught:
        Unique(store=store)
    assert "s3cret" not in "".join(format_exception(caught.value))


def test_a_percent_encoded_password_may_have_any_character():
    password = "s3/c?r#e@t[:]%℀"
    for url in ("redis://:{}@host", "unix://:{}@/run/a%40b.sock"):
        store = RedisStore(url.format(quote(password, safe="")))
        assert store._options.kwargs["password"] == password


def test_a_sentinel_client_is_refused_as_not_supported_yet():
    with pytest.raises(InvalidSettings, match="Sentinel are not supported yet"):
        Unique(store=Sentinel([("localhost", 1)]).master_for("primary"))


def test_settings_do_not_show_the_password():
    assert "s3cret" not in repr(load_settings(store="redis://:s3cret@host/0"))
    assert "s3cret" not in repr(Unique(store="redis://:s3cret@host/0"))


def test_unique_without_arguments_reads_the_environment(monkeypatch):
    monkeypatch.setenv("FAKTORY_UNIQUE_STORE", "memory://")
    monkeypatch.setenv("FAKTORY_UNIQUE_POLICIES", '{"Email": {"ttl": 5}}')
    with Unique() as unique:
        job = {"jid": "jid-00000001", "jobtype": "Email", "args": []}
        assert unique._requests.build([job])[0].policy.ttl == 5


def test_policies_in_code_may_be_dicts():
    unique = Unique("memory://", {"Email": {"ttl": "1m"}})
    assert unique._requests._policies.for_jobtype("Email").ttl == 60


def test_an_empty_variable_counts_as_unset(monkeypatch):
    """Compose files and deployment templates leave such variables."""
    for name in ("STORE", "POLICIES", "DEFAULT", "CONFIG"):
        monkeypatch.setenv(f"FAKTORY_UNIQUE_{name}", "")
    settings = load_settings()
    assert (settings.store, settings.policies, settings.default) == (None, {}, None)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "unique.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSettings, match="config: "):
        load_settings(config=path)


def test_an_error_about_code_does_not_name_the_file(toml):
    policies = MappingProxyType({"A": {"ttl": -1}})
    with pytest.raises(InvalidSettings, match=r"^policies\.A\.ttl: ") as caught:
        load_settings(config=toml("store = 'memory://'\n"), policies=policies)
    assert "toml" not in str(caught.value)
