"""Settings of any kind are the same policies wherever they stand, or `InvalidSettings`.

Never another error, and never a message with a store's password in it.
"""

from __future__ import annotations

import json
import math
import os
import traceback
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from faktory_unique import InvalidSettings, Policy, Unique
from faktory_unique.policy.settings import load_settings

# A machine that is busy is no finding.
unhurried = limits(deadline=None)

FIELDS = list(Policy.model_fields)

# ---- the three places --------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in os.environ:
        if name.upper().startswith("FAKTORY_UNIQUE_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("settings")


@contextmanager
def variables(**values):
    """Variables of the environment; not monkeypatch's, which would last over all examples."""
    named = {f"FAKTORY_UNIQUE_{name.upper()}": value for name, value in values.items()}
    os.environ.update(named)
    try:
        yield
    finally:
        for name in named:
            del os.environ[name]


def in_code(_folder, settings):
    return load_settings(**settings)


def in_environment(_folder, settings):
    with variables(**{name: json.dumps(value) for name, value in settings.items()}):
        return load_settings()


def in_toml(folder, settings):
    return load_settings(config=toml_file(folder, settings))


PLACES = {"code": in_code, "environment": in_environment, "toml": in_toml}


def toml_file(folder, settings):
    path = folder / "unique.toml"
    lines = [f"{_toml(name)} = {_toml(value)}\n" for name, value in settings.items()]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path


def _toml(value):
    """TypeError where TOML has no such value, UnicodeEncodeError where it has no such text."""
    if isinstance(value, str):
        value.encode()
        return '"' + "".join(map(_toml_char, value)) + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        members = [f"{_toml(name)} = {_toml(item)}" for name, item in value.items()]
        return "{" + ", ".join(members) + "}"
    raise TypeError(f"no TOML: {type(value)}")


def _toml_char(char):
    return f"\\u{ord(char):04x}" if ord(char) < 0x20 or char in '"\\\x7f' else char


def outcome(place, folder, settings):
    """The policies and None, or None and the message; any other error is the test's failure."""
    try:
        told = place(folder, settings)
    except InvalidSettings as exc:
        return None, str(exc)
    return (told.policies, told.default), None


def writable(settings):
    """The places where these settings can be written; what they name is text."""
    places = ["code"]
    for name, write in (("environment", json.dumps), ("toml", _toml)):
        try:
            write(settings)
        except (TypeError, UnicodeEncodeError):
            continue
        places.append(name)
    return places


# ---- odd values --------------------------------------------------------------------------------

# Beyond all floats, and of fewer digits than Python refuses to read and to write.
BIGGEST_INT = 10**400


def nested(levels):
    value = 0
    for _ in range(levels):
        value = [value]
    return value


texts = st.text(max_size=8) | st.text(st.characters(categories=["Cs", "Nd", "Cc"]), max_size=3)
json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10)
    | st.sampled_from([2**31, 2**53, 2**63, 2**64, BIGGEST_INT, -BIGGEST_INT])
    | st.floats()
    | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, 0.999, 315_360_000.5, 5e-324])
    | texts
)
durations = st.sampled_from(
    [
        "90",
        "90s",
        "1h30m",
        "PT1H30M",
        " 5 m ",
        "0s",
        "-5s",
        "1e3",
        "\u0663s",
        "1" * 400,
        "9" * 5000,
        "P",
        "PT",
        "P1Y2M",
        "PT-5S",
        "P9999999999999D",
        "P1W",
        "1h 30m",
        "30m1h",
        "1.5.5s",
        "inf",
    ]
)
paths = st.sampled_from(
    [0, 1, "0", "00", "1.a", "1..a", "1.", ".a", "-1", -1, "a", "\u0660", "0.\n"]
)
sound = {
    "ttl": st.integers(1, 10**8) | durations,
    "lease": st.integers(1, 10**8) | durations,
    "until": st.sampled_from(["success", "start", "expiry", "Success", " start"]),
    "renew": st.sampled_from([True, False, 0, 1, 0.0, 1.0, "on", "off", "yes", "nO", "t", 2, ""]),
    "exclusive": st.sampled_from([True, False, 0, 1, "on", "off", 2, ""]),
    "enforce": st.sampled_from([True, False, "n", "Yes", 0.5]),
    "on_conflict": st.sampled_from(["skip", "raise", "replace", "replaced", " skip"]),
    "per_queue": st.sampled_from([True, False, 0, 1, "true", "FALSE", "1", " 1"]),
    "on_death": st.sampled_from(["release", "keep"]),
    "on_store_error": st.sampled_from(["raise", "push"]),
    "scope": st.text(min_size=1, max_size=5),
    "by": st.lists(paths, max_size=3) | paths,
    "key": st.sampled_from(["len", None]),
}
assert set(sound) == set(FIELDS)

odd = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
# Names that are none. What is no text pydantic refuses in words of its own.
wrong_names = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    | st.sampled_from(["tll", "ttl ", "TTL", "policies", "model_config", "__class__", "self"])
).filter(lambda name: name not in FIELDS)


def fields(values):
    """A mapping of a few fields, each with a sound value or one of these."""
    known = st.sampled_from(FIELDS).flatmap(
        lambda name: st.tuples(st.just(name), sound[name] | values)
    )
    unknown = st.tuples(wrong_names, values)
    return st.lists(known | known | known | unknown, max_size=4).map(dict)


json_policies = fields(odd)
jobtypes = st.text(max_size=5) | st.sampled_from(["A", "*", "[", "a.b", "Billing::Invoice"])
json_settings = st.fixed_dictionaries(
    {},
    optional={
        "policies": st.dictionaries(jobtypes, json_policies | odd, max_size=2) | odd,
        "default": json_policies | odd,
    },
)

# What only code can hold.
objects = st.sampled_from(
    [
        b"",
        b"1",
        bytearray(b"1"),
        {1},
        frozenset(),
        (),
        (0,),
        (0, "1.a"),
        range(2),
        object(),
        ...,
        Decimal(90),
        Decimal("nan"),
        Fraction(90),
        1j,
        len,
        Policy,
        Policy(),
        type,
        lambda: None,
        timedelta(hours=1),
        timedelta(0),
        -timedelta(1),
        timedelta.max,
        timedelta.min,
        datetime(2024, 2, 29, tzinfo=UTC),
        date(1, 1, 1),
        time(12),
        {1: 2},
        {None: 3},
        {b"ttl": 4},
        {"ttl": {1}},
        {(): ()},
        {"\ud800": 1},
        10**5000,
        nested(100_000),
        {10**5000: 1},
    ]
)


# ---- the claims --------------------------------------------------------------------------------


@limits(deadline=None, max_examples=300)
@given(settings=json_settings)
@example(settings={"policies": {"A": {"ttl": "90s"}}, "default": {"by": [0]}})
@example(settings={"policies": {"A": {"ttl": math.nan}}})
def test_the_same_settings_mean_the_same_in_code_environment_and_toml(folder, settings):
    outcomes = {name: outcome(PLACES[name], folder, settings)[0] for name in writable(settings)}
    assert all(told == outcomes["code"] for told in outcomes.values()), outcomes


@pytest.mark.parametrize("place", PLACES)
def test_sound_settings_are_taken_in_each_place(place, folder):
    """So that what is compared above is not but refusals."""
    settings = {
        "policies": {"Ä \U0001f389": {"ttl": "1h30m", "by": [0, "1.a"], "scope": '\x00\n"'}},
        "default": {"until": "start", "renew": False, "lease": 90.5, "on_death": "keep"},
    }
    assert place in writable(settings)
    (policies, default), refused = outcome(PLACES[place], folder, settings)
    assert refused is None
    assert policies == {"Ä \U0001f389": Policy(ttl=5400, by=(0, "1.a"), scope='\x00\n"')}
    assert default == Policy(until="start", renew=False, lease=90.5, on_death="keep")


@pytest.mark.parametrize("place", PLACES)
@unhurried
@given(policy=json_policies)
@example(policy={"ttl": -1, "until": "later", "tll": None})
def test_a_refusal_names_each_field_that_is_wrong(place, folder, policy):
    settings = {"policies": {"Job": policy}}
    if place not in writable(settings):
        return
    wrong = [name for name in policy if not _taken_alone(name, policy[name])]
    told, refused = outcome(PLACES[place], folder, settings)
    assert (told is None) == bool(wrong)
    for name in wrong:
        assert f"policies.Job.{name}: " in refused


def _taken_alone(name, value):
    """Said by the policy itself, so that what is told of settings is not compared with itself."""
    try:
        Policy(**{name: value})
    except ValueError:
        return False
    return True


@unhurried
@given(
    settings=st.fixed_dictionaries(
        {},
        optional={
            "policies": st.dictionaries(
                jobtypes | st.sampled_from([1, None, b"A", ()]), fields(odd | objects) | objects
            )
            | objects,
            "default": fields(odd | objects) | objects,
        },
    )
)
def test_objects_in_code_are_policies_or_invalid_settings(settings):
    told, refused = outcome(in_code, None, settings)
    assert told is not None or refused.startswith(("policies", "default"))


@pytest.mark.parametrize("name", ["POLICIES", "DEFAULT"])
@unhurried
@given(text=st.text(st.characters(exclude_categories=["Cs"])) | st.binary().map(os.fsdecode))
@example(text="null")
@example(text="\udcff")
@example(text='{"A": {"ttl": NaN}}')
def test_any_text_in_a_variable_is_settings_or_an_error_that_names_it(name, text):
    with variables(**{name: text.replace("\0", "")}):
        try:
            load_settings()
        except InvalidSettings as exc:
            assert name in str(exc).upper()  # noqa: PT017 - most texts are refused


@unhurried
@given(
    content=st.binary(max_size=40)
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.lists(
        st.sampled_from(
            [
                b"[",
                b"]",
                b"policies",
                b"default",
                b".",
                b"=",
                b'"',
                b"1",
                b"\n",
                b"store",
                b"A",
                b"{",
                b"}",
                b"2024-01-01",
                b"inf",
                b" ",
                b"ttl",
                b"''",
            ]
        )
    ).map(b"".join)
)
def test_any_bytes_in_a_file_are_settings_or_invalid_settings(folder, content):
    path = folder / "any.toml"
    path.write_bytes(content)
    try:
        load_settings(config=path)
    except InvalidSettings as exc:
        assert str(exc)  # noqa: PT017 - most bytes are refused


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("settings", [{"policies": {"A": {"TTL": 5}}}, {"default": {"TTL": 5}}])
def test_a_field_in_capitals_is_no_field(place, settings, folder):
    _, refused = outcome(PLACES[place], folder, settings)
    assert refused is not None


# ---- what is too long, or too deep, to be read or written out -----------------------------------


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("field", ["ttl", "lease"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_duration_beyond_all_floats_is_refused(place, field, sign, folder):
    _, refused = outcome(PLACES[place], folder, {"default": {field: sign * 10**400}})
    assert refused.startswith(f"default.{field}: ")


@pytest.mark.parametrize("field", FIELDS)
def test_an_int_too_long_to_be_written_out_is_refused_in_code(field):
    _, refused = outcome(in_code, None, {"default": {field: 10**5000}})
    assert refused.startswith(f"default.{field}: ")


def test_a_path_too_long_to_be_written_out_is_refused_in_code():
    _, refused = outcome(in_code, None, {"default": {"by": [-(10**5000)]}})
    assert refused.startswith("default.by: ")


def test_an_int_too_long_to_be_read_is_refused_in_the_environment():
    with (
        variables(default='{"ttl": 1' + "0" * 5000 + "}"),
        pytest.raises(InvalidSettings, match=r"^FAKTORY_UNIQUE_DEFAULT: "),
    ):
        load_settings()


def test_an_int_too_long_to_be_read_is_refused_in_toml(folder):
    path = folder / "long.toml"
    path.write_text("[default]\nttl = 1" + "0" * 5000)
    with pytest.raises(InvalidSettings, match=r"^config: "):
        load_settings(config=path)


@pytest.mark.parametrize("field", FIELDS)
def test_a_value_nested_too_deep_to_be_written_out_is_refused_in_code(field):
    _, refused = outcome(in_code, None, {"default": {field: nested(100_000)}})
    assert refused.startswith(f"default.{field}: ")


def test_a_value_nested_too_deep_to_be_read_is_refused_in_the_environment():
    with (
        variables(default='{"ttl": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        pytest.raises(InvalidSettings, match=r"^FAKTORY_UNIQUE_DEFAULT: "),
    ):
        load_settings()


def test_a_value_nested_too_deep_to_be_read_is_refused_in_toml(folder):
    path = folder / "deep.toml"
    path.write_text("[default]\nttl = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(InvalidSettings, match=r"^config: "):
        load_settings(config=path)


@pytest.mark.parametrize(
    "config",
    [
        "no/such.toml",
        "a\0b",
        "a" * 5000,
        "\ud800",
        ".",
        5,
        b"unique.toml",
        ["unique.toml"],
        {"a": 1},
        True,
    ],
    ids=lambda config: ascii(config)[:20],
)
def test_a_config_that_is_no_file_is_refused(config):
    with pytest.raises(InvalidSettings, match=r"^config: "):
        load_settings(config=config)


# ---- passwords ---------------------------------------------------------------------------------

SECRET = "s3cret"


def _shown(exc):
    """The message, and all that a traceback of it tells of the errors behind it."""
    # The lines of code that a traceback shows are none of the library's words.
    told = "".join(traceback.format_exception_only(exc))
    behind = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    return told if behind is None else told + _shown(behind)


_before = st.text(
    st.sampled_from(":/#?@[]%&=+ \t\n0123456789e\u2100") | st.characters(), max_size=4
)
_behind = _before | st.sampled_from(["?", "?x", "?db=", "%zz", "%00", "]", "@", "@@"])
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
    lambda scheme, user, before, behind, host, tail: (
        f"{scheme}{user}:{before}{SECRET}{behind}@{host}{tail}"
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
    _before,
    _behind,
    st.sampled_from(["localhost", "", "::1", "127.0.0.1", "/run/redis.sock", "höst"]),
    _tails,
)


@unhurried
@given(url=store_urls)
@example(url=f"redis://:@{SECRET}@localhost")
@example(url=f"redis://:{SECRET}:x/?#@localhost")
def test_no_message_about_a_store_shows_its_password(url):
    try:
        unique = Unique(store=url)
    except InvalidSettings as exc:
        told = _shown(exc)
    else:
        told = repr(unique) + repr(unique._context.store)
    assert SECRET not in told


@pytest.mark.parametrize("place", ["code", "environment", "toml"])
@unhurried
@given(policies=st.dictionaries(jobtypes, json_policies | odd, max_size=2) | odd)
def test_no_message_about_policies_shows_the_password_of_the_store(place, folder, policies):
    settings = {"store": f"redis://:{SECRET}@localhost:6379/0", "policies": policies}
    if place not in writable(settings):
        return
    try:
        if place == "environment":
            with variables(store=settings["store"], policies=json.dumps(policies)):
                told = repr(load_settings())
        else:
            told = repr(PLACES[place](folder, settings))
    except InvalidSettings as exc:
        told = _shown(exc)
    assert SECRET not in told


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}\u2100@localhost",  # which NFKC makes a/c
        f"redis://:[{SECRET}]@localhost",
        f"redis://:1?{SECRET}=@localhost",
        f"redis://:@{SECRET}?@localhost",
        f"redis://:@{SECRET}#@localhost",
        f"unix://:/{SECRET}@/run/redis.sock",
    ],
    ids=ascii,
)
def test_a_url_that_its_password_cuts_is_refused_without_it(url):
    """Where it is not refused, the password becomes the host or the path, which are shown."""
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
def test_a_store_url_in_the_wrong_place_is_refused_without_its_password(place, settings, folder):
    with pytest.raises(InvalidSettings) as caught:
        PLACES[place](folder, settings)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("settings", [{"stoer": URL}, {"unique": {"store": URL}}], ids=ascii)
def test_a_traceback_about_a_wrong_name_does_not_show_what_stands_there(settings, folder):
    with pytest.raises(InvalidSettings) as caught:
        in_toml(folder, settings)
    assert SECRET not in _shown(caught.value)
