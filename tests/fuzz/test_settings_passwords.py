"""Settings: no message and no traceback has the password of a store's URL."""

from __future__ import annotations

import json
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faktory_unique import InvalidSettings, Unique
from faktory_unique.policy.settings import load_settings
from tests.fuzz.settings_places import PLACES, in_toml, variables, writable
from tests.fuzz.settings_strategies import jobtypes, json_policies, no_deadline, odd

SECRET = "s3cret"


def _messages(exc):
    """Return the messages of an error and of its causes, as a traceback shows them."""
    # A traceback also shows lines of code, which are no messages of the library.
    message = "".join(traceback.format_exception_only(exc))
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    return message if cause is None else message + _messages(cause)


_prefixes = st.text(
    st.sampled_from(":/#?@[]%&=+ \t\n0123456789e\u2100") | st.characters(), max_size=4
)
_suffixes = _prefixes | st.sampled_from(["?", "?x", "?db=", "%zz", "%00", "]", "@", "@@"])
_tails = st.sampled_from(
    [
        "",
        "/",
        "/0",
        "/x",
        "/-1",
        ":6379",
        ":none/0",
        ":99999",
        ":-1",
        "/0?db=x",
        "/0?db=",
        "#x",
        "/0?socket_timeout=soon",
        "/0?socket_timout=3",
        "/0?ssl_cert_reqs=x",
        "/0?max_connections=x",
        "/0?health_check_interval=x",
        "/0?protocol=x",
        "/0?retry_on_timeout=x",
        "?&&==",
        "/0/1",
    ]
)
store_urls = st.builds(
    lambda scheme, user, prefix, suffix, host, tail: (
        f"{scheme}{user}:{prefix}{SECRET}{suffix}@{host}{tail}"
    ),
    st.sampled_from(
        [
            "redis://",
            "rediss://",
            "unix://",
            "redis:/",
            "redis:",
            "",
            "http://",
            "REDIS://",
            "//",
            "redis+sentinel://",
            " redis://",
            "redis:///",
            "valkey://",
        ]
    ),
    st.sampled_from(["", "default", "ü", "a@b", "%"]),
    _prefixes,
    _suffixes,
    st.sampled_from(["localhost", "", "::1", "127.0.0.1", "/run/redis.sock", "höst"]),
    _tails,
)


@no_deadline
@given(url=store_urls)
@example(url=f"redis://:@{SECRET}@localhost")
@example(url=f"redis://:{SECRET}:x/?#@localhost")
def test_message_about_a_store_has_no_password(url):
    try:
        unique = Unique(store=url)
    except InvalidSettings as exc:
        message = _messages(exc)
    else:
        message = repr(unique) + repr(unique._context.store)
    assert SECRET not in message


@pytest.mark.parametrize("place", ["code", "environment", "toml"])
@no_deadline
@given(policies=st.dictionaries(jobtypes, json_policies | odd, max_size=2) | odd)
def test_message_about_policies_has_no_store_password(place, folder, policies):
    settings = {"store": f"redis://:{SECRET}@localhost:6379/0", "policies": policies}
    if place not in writable(settings):
        return
    try:
        if place == "environment":
            with variables(store=settings["store"], policies=json.dumps(policies)):
                message = repr(load_settings())
        else:
            message = repr(PLACES[place](folder, settings))
    except InvalidSettings as exc:
        message = _messages(exc)
    assert SECRET not in message


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}\u2100@localhost",  # NFKC turns it into a/c
        f"redis://:[{SECRET}]@localhost",
        f"redis://:1?{SECRET}=@localhost",
        f"redis://:@{SECRET}?@localhost",
        f"redis://:@{SECRET}#@localhost",
        f"unix://:/{SECRET}@/run/redis.sock",
    ],
    ids=ascii,
)
def test_url_split_by_its_password_is_refused(url):
    """If it were accepted, the password would be the host or the path, which are shown."""
    with pytest.raises(InvalidSettings) as caught:
        Unique(store=url)
    assert SECRET not in str(caught.value)


URL = f"redis://:{SECRET}@localhost:6379/0"


@pytest.mark.parametrize(
    ("place", "settings"),
    [
        ("code", {"policies": URL}),
        ("code", {"default": URL}),
        ("code", {"policies": {"store": URL}}),
        ("environment", {"policies": URL}),
        ("environment", {"default": URL}),
        ("toml", {"policies": {"store": URL}}),
        ("toml", {"default": URL}),
        ("code", {"config": URL}),
        ("code", {"default": {"store": URL}}),
        ("code", {"stoer": URL}),
        ("environment", {"stoer": URL}),
        ("toml", {"stoer": URL}),
        ("toml", {"unique": {"store": URL}}),
        ("toml", {"default": {"store": URL}}),
    ],
    ids=ascii,
)
def test_misplaced_store_url_is_refused_without_its_password(place, settings, folder):
    with pytest.raises(InvalidSettings) as caught:
        PLACES[place](folder, settings)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("settings", [{"stoer": URL}, {"unique": {"store": URL}}], ids=ascii)
def test_traceback_about_an_unknown_name_has_no_password(settings, folder):
    with pytest.raises(InvalidSettings) as caught:
        in_toml(folder, settings)
    assert SECRET not in _messages(caught.value)
