"""JSON is read and written as encoding/json does: the expected texts were printed by Go 1.26."""

import json

import pytest

from faktory_unique.testing.go.encode import encode
from faktory_unique.testing.go.errors import GoError, GoTypeError
from faktory_unique.testing.go.json import decode
from faktory_unique.testing.go.shapes import (
    ANY,
    FLOAT64,
    INT,
    STRING,
    UINT8,
    Field,
    Map,
    Pointer,
    Slice,
    String,
    Struct,
)

FAILURE = Struct(
    "client.Failure",
    (
        Field("failed_at", STRING),
        Field("backtrace", Slice(STRING), omit_empty=True),
        Field("retry_count", INT),
    ),
)
JOB = Struct(
    "client.Job",
    (
        Field("retry", Pointer(INT)),
        Field("failure", Pointer(FAILURE), omit_empty=True),
        Field("custom", Map(ANY), omit_empty=True),
        Field("jid", STRING),
        Field("args", Slice(ANY)),
        Field("backtrace", INT, omit_empty=True),
        Field("v", UINT8, omit_empty=True),
        Field("target", String("client.Structure"), omit_empty=True),
    ),
)
ZERO = {
    "retry": None,
    "failure": None,
    "custom": None,
    "jid": "",
    "args": None,
    "backtrace": 0,
    "v": 0,
    "target": "",
}
NO_FAILURE = {"failed_at": "", "backtrace": None, "retry_count": 0}

SYNTAX_ERRORS = [
    (b"", "unexpected end of JSON input"),
    (b" \n", "unexpected end of JSON input"),
    (b'"abc', "unexpected end of JSON input"),
    (b"[1", "unexpected end of JSON input"),
    (b'{"a"', "unexpected end of JSON input"),
    (b'{"a":', "unexpected end of JSON input"),
    (b"\xef\xbb\xbf1", "invalid character 'ï' looking for beginning of value"),
    (b"\x80", "invalid character '\\u0080' looking for beginning of value"),
    (b"'a'", "invalid character '\\'' looking for beginning of value"),
    (b"NaN", "invalid character 'N' looking for beginning of value"),
    (b"-Infinity", "invalid character 'I' in numeric literal"),
    (b"[1,]", "invalid character ']' looking for beginning of value"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b'["a"}', "invalid character '}' after array element"),
    (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
    (b"{1:2}", "invalid character '1' looking for beginning of object key string"),
    (b'{"a"1}', "invalid character '1' after object key"),
    (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
    (b"1 x", "invalid character 'x' after top-level value"),
    (b"01", "invalid character '1' after top-level value"),
    (b"-", "invalid character ' ' in numeric literal"),
    (b"1.", "invalid character ' ' after decimal point in numeric literal"),
    (b"[1.e5]", "invalid character 'e' after decimal point in numeric literal"),
    (b"[1e]", "invalid character ']' in exponent of numeric literal"),
    (b"1e+", "invalid character ' ' in exponent of numeric literal"),
    (b"tru", "invalid character ' ' in literal true (expecting 'e')"),
    (b"[falze]", "invalid character 'z' in literal false (expecting 's')"),
    (b"nan", "invalid character 'a' in literal null (expecting 'u')"),
    (b'"a\tb"', "invalid character '\\t' in string literal"),
    (b'"\x00"', "invalid character '\\x00' in string literal"),
    (b'"\\', "invalid character ' ' in string escape code"),
    (b'"\\\'"', "invalid character '\\'' in string escape code"),
    (b'"\\u12"', "invalid character '\"' in \\u hexadecimal character escape"),
    (b"[" * 10_001 + b"]" * 10_001, "invalid character '[' exceeded max depth"),
]

# The text, the shape, the error and what has been decoded all the same.
TYPE_ERRORS = [
    (b"5", JOB, "number into Go value of type client.Job", ZERO),
    (b"true", Slice(JOB), "bool into Go value of type []client.Job", None),
    (b"{}", Slice(Pointer(INT)), "object into Go value of type []*int", None),
    (b"[1]", Slice(JOB), "number into Go value of type client.Job", [ZERO]),
    (b"[]", Map(STRING), "array into Go value of type map[string]string", None),
    (
        b'{"a":1,"b":"c"}',
        Map(STRING),
        "number into Go value of type string",
        {"a": "", "b": "c"},
    ),
    (
        b'{"retry":"3","jid":"x"}',
        JOB,
        "string into Go struct field Job.retry of type int",
        ZERO | {"retry": 0, "jid": "x"},
    ),
    (
        b'{"retry":1.5}',
        JOB,
        "number 1.5 into Go struct field Job.retry of type int",
        ZERO | {"retry": 0},
    ),
    (
        b'{"backtrace":9223372036854775808}',
        JOB,
        "number 9223372036854775808 into Go struct field Job.backtrace of type int",
        ZERO,
    ),
    (b'{"v":256}', JOB, "number 256 into Go struct field Job.v of type uint8", ZERO),
    (b'{"v":-0}', JOB, "number -0 into Go struct field Job.v of type uint8", ZERO),
    (b'{"jid":{}}', JOB, "object into Go struct field Job.jid of type string", ZERO),
    (b'{"target":[]}', JOB, "array into Go struct field Job.target of type client.Structure", ZERO),
    (b'{"args":"x"}', JOB, "string into Go struct field Job.args of type []interface {}", ZERO),
    (
        b'{"custom":[]}',
        JOB,
        "array into Go struct field Job.custom of type map[string]interface {}",
        ZERO,
    ),
    (
        b'{"args":[1,{"a":[1e400]},2]}',
        JOB,
        "number 1e400 into Go struct field Job.args of type float64",
        ZERO | {"args": [1.0, {"a": [None]}, 2.0]},
    ),
    (
        b'{"failure":{"retry_count":"1"},"jid":5}',
        JOB,
        "string into Go struct field Failure.failure.retry_count of type int",
        ZERO | {"failure": NO_FAILURE},
    ),
    (
        b'[{"failure":{"backtrace":[1,"b"]}}]',
        Slice(JOB),
        "number into Go struct field Failure.failure.backtrace of type string",
        [ZERO | {"failure": NO_FAILURE | {"backtrace": ["", "b"]}}],
    ),
    (b'{"a":1e400}', Map(FLOAT64), "number 1e400 into Go value of type float64", {"a": 0.0}),
    (b'{"a":"1"}', Map(FLOAT64), "string into Go value of type float64", {"a": 0.0}),
]

DECODED = [
    (b"{}", JOB, ZERO),
    (b"null", JOB, ZERO),
    (b"null", Slice(JOB), None),
    (b"[null]", Slice(JOB), [ZERO]),
    (b"[]", Slice(JOB), []),
    (b'{"retry":0,"v":255}', JOB, ZERO | {"retry": 0, "v": 255}),
    (b'{"retry":null,"jid":null,"args":null,"custom":null,"failure":null}', JOB, ZERO),
    (b'{"failure":{}}', JOB, ZERO | {"failure": NO_FAILURE}),
    (b'{"unknown":[{"jid":1}]}', JOB, ZERO),
    (b'{"JID":"a"}', JOB, ZERO | {"jid": "a"}),
    # The Kelvin sign and the long s, which Go takes for a K and an S.
    ('{"bac\u212atrace":7}'.encode(), JOB, ZERO | {"backtrace": 7}),
    ('{"arg\u017f":[]}'.encode(), JOB, ZERO | {"args": []}),
    (b'{"jid":"a","Jid":null,"jid":"b"}', JOB, ZERO | {"jid": "b"}),
    (b'{"custom":{"a":1},"custom":{"b":null}}', JOB, ZERO | {"custom": {"a": 1.0, "b": None}}),
    (b'{"args":[1,2],"args":[null]}', JOB, ZERO | {"args": [None]}),
    (b'{"a":"x","a":null}', Map(STRING), {"a": ""}),
    (b'{"a":-0.5e1}', Map(FLOAT64), {"a": -5.0}),
    (b'[1,true,null,"x",{"b":{},"a":[]}]', ANY, [1.0, True, None, "x", {"b": {}, "a": []}]),
    (b"12345678901234567890", ANY, 12345678901234567168.0),
]

# Members that come twice: the second is decoded into what the first one left.
REPEATED_BACKTRACES = [
    (b'"backtrace":["a","b"],"backtrace":[null]', ["a"]),
    (b'"backtrace":["a","b","c"],"backtrace":["x"],"backtrace":[null,null]', ["x", "b"]),
    (b'"backtrace":["a","b"],"backtrace":[],"backtrace":[null]', [""]),
    (b'"backtrace":["a","b"],"backtrace":null,"backtrace":[null]', [""]),
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
    ({"b": 1, "a": 2, "é": 3, "": 4}, Map(INT), '{"":4,"a":2,"b":1,"é":3}'),
    ({"b": [True, None, {}], "a": [], "<": 0.5}, ANY, '{"\\u003c":0.5,"a":[],"b":[true,null,{}]}'),
    ({}, Map(STRING), "{}"),
    (None, Map(STRING), "null"),
    ([], Slice(STRING), "[]"),
    ([None, ["a", "b"]], Slice(Slice(STRING)), '[null,["a","b"]]'),
    (ZERO, JOB, '{"retry":null,"jid":"","args":null}'),
    (
        ZERO | {"retry": 0, "failure": NO_FAILURE, "custom": {}, "args": [], "v": 1},
        JOB,
        '{"retry":0,"failure":{"failed_at":"","retry_count":0},"jid":"","args":[],"v":1}',
    ),
    ({}, Struct("client.Empty", ()), "{}"),
]


@pytest.mark.parametrize(("data", "text"), SYNTAX_ERRORS)
def test_a_syntax_error_is_gos(data, text):
    with pytest.raises(GoError) as caught:
        decode(data, ANY)
    assert str(caught.value) == text


@pytest.mark.parametrize(("data", "shape", "text", "_decoded"), TYPE_ERRORS)
def test_the_first_type_error_is_gos(data, shape, text, _decoded):
    with pytest.raises(GoTypeError) as caught:
        decode(data, shape)
    assert str(caught.value) == f"json: cannot unmarshal {text}"


@pytest.mark.parametrize(("data", "shape", "_text", "decoded"), TYPE_ERRORS)
def test_decoding_goes_on_after_a_type_error(data, shape, _text, decoded):
    with pytest.raises(GoTypeError) as caught:
        decode(data, shape)
    assert caught.value.decoded == decoded


@pytest.mark.parametrize(("data", "shape", "expected"), DECODED)
def test_json_becomes_the_value_of_its_type(data, shape, expected):
    assert decode(data, shape) == expected


@pytest.mark.parametrize(("members", "expected"), REPEATED_BACKTRACES)
def test_a_slice_is_decoded_into_what_was_there(members, expected):
    assert decode(b"{" + members + b"}", FAILURE)["backtrace"] == expected


def test_a_struct_is_decoded_into_what_was_there():
    data = b'{"failure":{"retry_count":3},"failure":{"failed_at":"now"}}'
    expected = NO_FAILURE | {"retry_count": 3, "failed_at": "now"}
    assert decode(data, JOB)["failure"] == expected


@pytest.mark.parametrize(("data", "text"), STRINGS)
def test_a_string_has_a_replacement_for_whatever_is_no_unicode(data, text):
    assert decode(data, STRING) == text


@pytest.mark.parametrize(("data", "_text"), NUMBERS)
def test_any_number_is_a_float(data, _text):
    assert type(decode(data, ANY)) is float


@pytest.mark.parametrize(("data", "text"), NUMBERS)
def test_a_number_is_written_as_go_does(data, text):
    assert encode(decode(data, ANY), ANY) == text


@pytest.mark.parametrize(("value", "shape", "text"), ENCODED)
def test_a_value_is_written_as_go_does(value, shape, text):
    assert encode(value, shape) == text


@pytest.mark.parametrize(
    ("number", "shown"), [(float("nan"), "NaN"), (float("inf"), "+Inf"), (float("-inf"), "-Inf")]
)
def test_a_number_that_is_not_finite_is_not_written(number, shown):
    with pytest.raises(GoError, match=f"^json: unsupported value: {shown.replace('+', '[+]')}$"):
        encode({"a": number}, Map(FLOAT64))


def test_ten_thousand_levels_are_read_and_written():
    data = b'[{"a":' * 5_000 + b'"x"' + b"}]" * 5_000
    assert encode(decode(data, ANY), ANY).encode() == data


def test_what_the_json_module_cannot_read_is_read_alike():
    """More brackets than levels are allowed go the slow way, to the same end."""
    value = [
        {"jid": f'"{index}"\ud83d\ude00é', "args": [-1.5e3, [], {}, None]} for index in range(6000)
    ]
    value = json.loads(json.dumps(value))
    assert decode(json.dumps(value, indent=1).encode(), ANY) == value
