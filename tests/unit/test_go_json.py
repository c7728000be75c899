"""The fake's JSON has Go's values: the expected texts were printed by Go 1.26's encoding/json."""

import pytest

from faktory_unique.testing.server.errors import ParseError
from faktory_unique.testing.server.go_json import (
    Integer,
    ListOf,
    MapOf,
    Nullable,
    Scalar,
    Struct,
    decode,
    encode,
    zero,
)

STRING, ANY, INT, BYTE = Scalar.STRING, Scalar.ANY, Integer(), Integer(0, 255)

FAILURE = Struct(
    {"failed_at": STRING, "backtrace": ListOf(STRING), "retry_count": INT},
    omit_empty=frozenset({"backtrace"}),
)
JOB = Struct(
    {
        "retry": Nullable(INT),
        "failure": Nullable(FAILURE),
        "custom": MapOf(ANY),
        "jid": STRING,
        "args": ListOf(ANY),
        "backtrace": INT,
        "v": BYTE,
    },
    omit_empty=frozenset({"failure", "custom", "backtrace", "v"}),
)
ZERO = {
    "retry": None,
    "failure": None,
    "custom": None,
    "jid": "",
    "args": None,
    "backtrace": 0,
    "v": 0,
}
NO_FAILURE = {"failed_at": "", "backtrace": None, "retry_count": 0}

NOT_JSON = [
    *(b"", b" \n", b'"abc', b"[1", b'{"a"', b'{"a":', b"\xef\xbb\xbf1", b"\x80", b"'a'", b"NaN"),
    *(b"-Infinity", b"[1,]", b"[1 2]", b'["a"}', b'{"a":1,}', b"{1:2}", b'{"a"1}', b'{"a":1 "b"}'),
    *(b"1 x", b"01", b"-", b"1.", b"[1.e5]", b"[1e]", b"1e+", b"tru", b"[falze]", b"nan"),
    *(b'"a\tb"', b'"\x00"', b'"\\', b'"\\\'"', b'"\\u12"'),
]

# The text, the shape, and a struct after the text was decoded into it in spite of the error.
WRONG_TYPES = [
    (b"5", JOB, ZERO),
    (b"true", ListOf(JOB), None),
    (b"{}", ListOf(Nullable(INT)), None),
    (b"[1]", ListOf(JOB), None),
    (b"[]", MapOf(STRING), None),
    (b'{"a":1,"b":"c"}', MapOf(STRING), None),
    (b'{"retry":"3","jid":"x"}', JOB, ZERO | {"retry": 0, "jid": "x"}),
    (b'{"retry":1.5}', JOB, ZERO | {"retry": 0}),
    (b'{"backtrace":9223372036854775808}', JOB, ZERO),
    (b'{"backtrace":1' + b"0" * 5000 + b"}", JOB, ZERO),
    (b'{"v":256}', JOB, ZERO),
    (b'{"jid":{}}', JOB, ZERO),
    (b'{"args":"x"}', JOB, ZERO),
    (b'{"custom":[]}', JOB, ZERO),
    (b'{"args":[1,{"a":[1e400]},2],"jid":"x"}', JOB, None),
    (b'{"args":[1' + b"0" * 5000 + b"]}", JOB, None),
    (b'{"failure":{"retry_count":"1"},"jid":5}', JOB, ZERO | {"failure": NO_FAILURE}),
    (b'[{"failure":{"backtrace":[1,"b"]}}]', ListOf(JOB), None),
    (b'{"args":' + b"[" * 102 + b"]" * 102 + b"}", JOB, None),
]

DECODED = [
    (b"{}", JOB, ZERO),
    (b"null", JOB, ZERO),
    (b"null", ListOf(JOB), None),
    (b"[null]", ListOf(JOB), [ZERO]),
    (b"[]", ListOf(JOB), []),
    (b'{"retry":0,"v":255}', JOB, ZERO | {"retry": 0, "v": 255}),
    (b'{"retry":-0}', JOB, ZERO | {"retry": 0}),
    (b'{"retry":null,"jid":null,"args":null,"custom":null,"failure":null}', JOB, ZERO),
    (b'{"failure":{}}', JOB, ZERO | {"failure": NO_FAILURE}),
    (b'{"unknown":[{"jid":1}]}', JOB, ZERO),
    (b'{"JID":"a"}', JOB, ZERO | {"jid": "a"}),
    # The Kelvin sign and the long s count as K and S in Go.
    ('{"bac\u212atrace":7}'.encode(), JOB, ZERO | {"backtrace": 7}),
    ('{"arg\u017f":[]}'.encode(), JOB, ZERO | {"args": []}),
    (b'{"jid":"a","Jid":null,"jid":"b"}', JOB, ZERO | {"jid": "b"}),
    (b'{"custom":{"a":1},"custom":{"b":null}}', JOB, ZERO | {"custom": {"a": 1.0, "b": None}}),
    (b'{"args":[1,2],"args":[null]}', JOB, ZERO | {"args": [None]}),
    (b'{"a":"x","a":null}', MapOf(STRING), {"a": ""}),
    (b'[1,true,null,"x",{"b":{},"a":[]}]', ANY, [1.0, True, None, "x", {"b": {}, "a": []}]),
    (b'{"a":-0.5e1}', ANY, {"a": -5.0}),
    (b"12345678901234567890", ANY, 12345678901234567168.0),
]

STRINGS = [
    (b'"\\b\\f\\n\\r\\t\\"\\\\\\/"', '\b\f\n\r\t"\\/'),
    (b'"\\ud83d\\ude00"', "😀"),
    (b'"\\ud800"', "\ufffd"),
    (b'"\\ud800\\ud83d\\ude00"', "\ufffd😀"),
    (b'"\\udc00\\u0041"', "\ufffdA"),
    (b'"\\\\ud800"', "\\ud800"),
    (b'"\xff"', "\ufffd"),
    (b'"\xe2\x82!"', "\ufffd\ufffd!"),
    (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
]

NUMBERS = [
    (b"-0", "-0"),
    (b"1.0", "1"),
    (b"9007199254740993", "9007199254740992"),
    (b"1e20", "100000000000000000000"),
    (b"1e21", "1e+21"),
    (b"12345678901234567890", "12345678901234567000"),
    (b"1e-6", "0.000001"),
    (b"1e-7", "1e-7"),
    (b"5e-324", "5e-324"),
    (b"1e-400", "0"),
]

ENCODED = [
    (
        "<a href='x'>&</a>\u2028\u2029",
        STRING,
        "\"\\u003ca href='x'\\u003e\\u0026\\u003c/a\\u003e\\u2028\\u2029\"",
    ),
    ('\x00\x1f\b\f\n\r\t"\\/\x7f', STRING, '"\\u0000\\u001f\\b\\f\\n\\r\\t\\"\\\\/\x7f"'),
    ("é😀\ufeff\x80", STRING, '"é😀\ufeff\x80"'),
    (b"caf\xc3".decode(errors="surrogateescape"), STRING, '"caf\\ufffd"'),
    ({"b": 1, "a": 2, "é": 3, "": 4}, MapOf(INT), '{"":4,"a":2,"b":1,"é":3}'),
    ({"b": [True, None, {}], "a": [], "<": 0.5}, ANY, '{"\\u003c":0.5,"a":[],"b":[true,null,{}]}'),
    ({}, MapOf(STRING), "{}"),
    (None, MapOf(STRING), "null"),
    ([], ListOf(STRING), "[]"),
    ([None, ["a", "b"]], ListOf(ListOf(STRING)), '[null,["a","b"]]'),
    (ZERO, JOB, '{"retry":null,"jid":"","args":null}'),
    (
        ZERO | {"retry": 0, "failure": NO_FAILURE, "custom": {}, "args": [], "v": 1},
        JOB,
        '{"retry":0,"failure":{"failed_at":"","retry_count":0},"jid":"","args":[],"v":1}',
    ),
    ({}, Struct({}), "{}"),
]


@pytest.mark.parametrize("data", NOT_JSON)
def test_syntax_error_is_refused(data):
    with pytest.raises(ParseError, match=r"^invalid character"):
        decode(data, ANY)


@pytest.mark.parametrize(("data", "shape"), [row[:2] for row in WRONG_TYPES])
def test_wrong_type_is_refused(data, shape):
    with pytest.raises(ParseError, match=r"^json: cannot unmarshal"):
        decode(data, shape)


@pytest.mark.parametrize(("data", "shape", "decoded"), [row for row in WRONG_TYPES if row[2]])
def test_wrong_type_leaves_other_fields_decoded(data, shape, decoded):
    """PUSH depends on this: the `retry` of a refused job becomes the default."""
    target = zero(shape)
    with pytest.raises(ParseError):
        decode(data, shape, into=target)
    assert target == decoded


@pytest.mark.parametrize(("data", "shape", "expected"), DECODED)
def test_json_becomes_the_value_of_its_shape(data, shape, expected):
    assert decode(data, shape) == expected


def test_struct_is_decoded_into_the_earlier_one():
    data = b'{"failure":{"retry_count":3},"failure":{"failed_at":"now"}}'
    expected = NO_FAILURE | {"retry_count": 3, "failed_at": "now"}
    assert decode(data, JOB)["failure"] == expected


@pytest.mark.parametrize(("data", "text"), STRINGS)
def test_string_has_replacements_for_broken_unicode(data, text):
    assert decode(data, STRING) == decode(data, ANY) == text


@pytest.mark.parametrize("data", [row[0] for row in NUMBERS])
def test_any_number_is_a_float(data):
    assert type(decode(data, ANY)) is float


@pytest.mark.parametrize(("data", "text"), NUMBERS)
def test_number_is_written_as_by_go(data, text):
    assert encode(decode(data, ANY)) == text


@pytest.mark.parametrize(("value", "shape", "text"), ENCODED)
def test_value_is_written_as_by_go(value, shape, text):
    assert encode(value, shape) == text


def test_10001_levels_are_refused():
    with pytest.raises(ParseError):
        decode(b"[" * 10_001 + b"]" * 10_001, ANY)


def test_99_levels_are_read_and_written():
    data = b'[{"a":' * 49 + b'["x"]' + b"}]" * 49
    assert encode(decode(data, ANY)).encode() == data
