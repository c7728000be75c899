"""Canonical JSON is RFC 8785 from both encoders; a value that JSON cannot carry is refused."""

import enum
import json
import math
import struct
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from faktory_unique.errors import InvalidJob
from faktory_unique.locks.canonical_json import (
    _is_plain,
    _json_with_places,
    _string_json,
    canonical_json,
)

MAX_INT = 2**53 - 1

# ---- RFC 8785, as published --------------------------------------------------------------------

APPENDIX_B = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "7fffffffffffffff": None,
    "7ff0000000000000": None,
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("ieee", "text"), APPENDIX_B.items())
def test_numbers_match_appendix_b(ieee, text):
    (number,) = struct.unpack(">d", bytes.fromhex(ieee))
    if text is None:
        with pytest.raises(InvalidJob):
            canonical_json(number)
    else:
        assert canonical_json(number) == text.encode()


def test_keys_are_sorted_as_in_section_3_2_3():
    published = r"""{
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    }"""
    assert list(json.loads(canonical_json(json.loads(published))).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_the_published_example_gives_the_published_bytes():
    published = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    assert canonical_json(json.loads(published)) == bytes.fromhex("""
        7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72
        75 65 2c 66 61 6c 73 65 5d 2c 22 6e 75 6d 62 65 72 73 22 3a
        5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31
        65 2b 33 30 2c 34 2e 35 2c 30 2e 30 30 32 2c 31 65 2d 32 37
        5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30
        30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d
    """)


def test_characters_are_escaped_as_in_section_3_2_2_2():
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
    short |= {'"': '\\"', "\\": "\\\\"}
    for point in range(sys.maxunicode + 1):
        char = chr(point)
        if 0xD800 <= point <= 0xDFFF:
            assert _string_json(char) is None
            continue
        expected = short.get(char, f"\\u{point:04x}" if point < 0x20 else char)
        assert _string_json(char) == f'"{expected}"'.encode()


# ---- any value ---------------------------------------------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"]))
integers = st.integers(-MAX_INT, MAX_INT)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | integers | floats | text


def nested(leaves, keys):
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
        max_leaves=30,
    )


values = nested(scalars, text)
plain_values = nested(
    st.none() | st.booleans() | integers | text, st.text(st.characters(max_codepoint=0x7F))
)


@given(values)
def test_values_give_the_bytes_of_the_rfc8785_package(value):
    assert canonical_json(value) == rfc8785.dumps(value)


@given(floats)
def test_numbers_give_the_bytes_of_the_rfc8785_package(number):
    assert canonical_json(number) == rfc8785.dumps(number)


@given(plain_values)
def test_the_fast_and_the_slow_encoder_agree(value):
    assert _is_plain(value, 200)
    assert canonical_json(value) == _json_with_places(value, "value")


@given(values)
def test_the_order_of_keys_does_not_count(value):
    def reordered(value):
        if isinstance(value, list | tuple):
            return [reordered(item) for item in value]
        if isinstance(value, dict):
            return {key: reordered(item) for key, item in reversed(value.items())}
        return value

    assert canonical_json(reordered(value)) == canonical_json(value)


@given(integers)
def test_an_int_and_an_equal_float_are_one_number(number):
    assert canonical_json(number) == canonical_json(float(number)) == str(number).encode()


@given(values)
def test_decoding_the_bytes_gives_the_value(value):
    def listed(value):
        if isinstance(value, list | tuple):
            return [listed(item) for item in value]
        if isinstance(value, dict):
            return {key: listed(item) for key, item in value.items()}
        return value

    # As doubles: 1.2345678901234567e20 is encoded without exponent, and as an int it would be
    # another number than this double.
    assert json.loads(canonical_json(value), parse_int=float) == listed(value)


@given(values)
def test_a_decoded_value_has_the_same_bytes(value):
    assert canonical_json(json.loads(canonical_json(value), parse_int=float)) == canonical_json(
        value
    )


# ---- equal values ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"null"),
        (True, b"true"),
        (False, b"false"),
        (1, b"1"),
        (1.0, b"1"),
        (-0.0, b"0"),
        (1e20, b"100000000000000000000"),
        (1e21, b"1e+21"),
        (1e-6, b"0.000001"),
        (1e-7, b"1e-7"),
        (1.5e-7, b"1.5e-7"),
        (1e16, b"10000000000000000"),
        (0.5, b"0.5"),
        (float(2**53), b"9007199254740992"),
        (MAX_INT, b"9007199254740991"),
        (-MAX_INT, b"-9007199254740991"),
        ("", b'""'),
        ([], b"[]"),
        ((), b"[]"),
        ({}, b"{}"),
        ([[], {}, [0.5, []], ()], b"[[],{},[0.5,[]],[]]"),
        ({"": 0.5, "a": {}}, b'{"":0.5,"a":{}}'),
        # Code points sort the other way round: the surrogate pair of U+1F600 begins with D83D.
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'.encode()),
        ("\u2028</script>\x7f", '"\u2028</script>\x7f"'.encode()),
    ],
)
def test_a_value_has_one_canonical_form(value, expected):
    assert canonical_json(value) == expected
    assert _json_with_places(value, "value") == expected


def test_a_boolean_is_no_number():
    assert canonical_json([True, False]) != canonical_json([1, 0])


class Level(enum.IntEnum):
    LOW = 1


class Flags(enum.IntFlag):
    A = 1
    B = 2


class Colour(enum.StrEnum):
    RED = "red"


class Mixed(str, enum.Enum):  # noqa: UP042 - this form is still in use
    RED = "red"


class Ratio(float, enum.Enum):
    HALF = 0.5


Point = namedtuple("Point", "x y")  # noqa: PYI024 - this test is about the untyped one


class OddStr(str):
    __slots__ = ()

    def __str__(self):
        return "lie"

    __repr__ = __str__

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__

    def encode(self, *_):
        return b"lie"

    def isidentifier(self):
        return False


class OddInt(int):
    def __str__(self):
        return "lie"

    __repr__ = __str__

    def __int__(self):
        return 7

    __index__ = __abs__ = __int__

    def __le__(self, other):
        return False

    __lt__ = __ge__ = __gt__ = __le__


class OddFloat(float):
    def __repr__(self):
        return "lie"

    __str__ = __repr__

    def __float__(self):
        return 7.0

    def __abs__(self):
        return 7.0


class OddList(list):
    def __iter__(self):
        return iter([7, 8])

    def __len__(self):
        return 1


class OddDict(dict):
    def items(self):
        return [("b", 1), ("a", 2)]

    def keys(self):
        return ["lie"]

    __iter__ = keys


@pytest.mark.parametrize(
    "value",
    [
        Level.LOW,
        Flags.A | Flags.B,
        Colour.RED,
        Mixed.RED,
        Ratio.HALF,
        Point(1, [2]),
        {Colour.RED: Level.LOW},
        OrderedDict(b=1, a=2),
        defaultdict(list, b=[1], a=[]),
        Counter("abca"),
        OddStr("true"),
        {OddStr("true"): 1},
        OddInt(1),
        OddInt(-(2**40)),
        OddFloat(1.5),
        OddFloat(-0.5),
        OddList([1]),
        OddList(),
        OddDict(x=1),
        OddDict(),  # json.dumps sends {}, and ignores items()
        [OddDict(x=OddList()), OddStr()],
    ],
    ids=repr,
)
def test_a_subclass_is_the_value_that_json_dumps_sends(value):
    sent = json.loads(json.dumps(value))
    assert canonical_json(value) == canonical_json(sent)
    assert canonical_json([value]) == b"[%b]" % canonical_json(sent)


def test_a_shared_part_is_no_cycle():
    part = [0.5]
    assert canonical_json([part, part, {"a": part}]) == b'[[0.5],[0.5],{"a":[0.5]}]'


# ---- refusals ----------------------------------------------------------------------------------


@dataclass
class Data:
    n: int = 1


class Model(BaseModel):
    n: int = 1


class Plain(enum.Enum):
    A = 1


class Scalar:
    """Has the methods of a numpy scalar, for example of int64; it is no int."""

    def item(self):
        return 1

    tolist = item


class Array(Scalar):
    def __len__(self):
        return 1


class LazyText:
    """A proxy like Django's lazy translations: isinstance says that it is a str."""

    __class__ = property(lambda _: str)

    def __str__(self):
        return "text"


def looped_list():
    loop = [1]
    loop.append(loop)
    return [0, loop]


def looped_dict():
    child = {"name": "c"}
    child["parent"] = {"child": child}
    return [child]


class Endless(list):
    """Each iteration has a new list inside."""

    def __iter__(self):
        return iter([Endless()])


class Unfolding(list):
    """Iterating over it never gives a first item."""

    def __iter__(self):
        return iter(self)


def deep(levels, wrap=lambda inner: [inner]):
    value = wrap(0)
    for _ in range(levels - 1):
        value = wrap(value)
    return value


WHEN = datetime(2024, 2, 29, 12, tzinfo=UTC)
ID = uuid.UUID(int=1)
SURROGATE = "str has a surrogate, which is not Unicode text; pass "
REPLACED = '.encode(errors="backslashreplace").decode()'
KEY_SURROGATE = "object key has a surrogate, which is not Unicode text; use keys without surrogates"
ROUNDED = "is beyond ±(2**53-1) and would be rounded; pass "
OTHER = "as a str, a number, a list or a dict"
DEEP = "nested deeper than 200 levels; pass a flatter value"

REFUSED = [
    # the place
    ([0, 1, {"when": WHEN}], "args[2].when: datetime is not JSON; pass when.isoformat()"),
    ([0, 1, WHEN], "args[2]: datetime is not JSON; pass args[2].isoformat()"),
    (WHEN, "args: datetime is not JSON; pass args.isoformat()"),
    (
        [{"odd key": WHEN}],
        'args[0]["odd key"]: datetime is not JSON; pass args[0]["odd key"].isoformat()',
    ),
    (
        [{"order": {"days": [[WHEN]]}}],
        "args[0].order.days[0][0]: datetime is not JSON; pass days[0][0].isoformat()",
    ),
    (
        {"a": {"": {'"{0}\n': WHEN}}},
        r'args.a[""]["\"{0}\n"]: datetime is not JSON; pass a[""]["\"{0}\n"].isoformat()',
    ),
    ({"größe": {1.5}}, "args.größe: set is not JSON; pass sorted(größe)"),
    # types
    ([date(2024, 2, 29)], "args[0]: date is not JSON; pass args[0].isoformat()"),
    ([time(12)], "args[0]: time is not JSON; pass args[0].isoformat()"),
    ([{"wait": timedelta(1)}], "args[0].wait: timedelta is not JSON; pass wait.total_seconds()"),
    ([{"tags": {"a"}}], "args[0].tags: set is not JSON; pass sorted(tags)"),
    ([frozenset()], "args[0]: frozenset is not JSON; pass sorted(args[0])"),
    ([{}.keys()], "args[0]: dict_keys is not JSON; pass sorted(args[0])"),
    (
        [b"x"],
        "args[0]: bytes is not JSON; pass args[0].decode() if it is text, else args[0].hex()",
    ),
    (
        {"raw": bytearray(b"x")},
        "args.raw: bytearray is not JSON; pass raw.decode() if it is text, else raw.hex()",
    ),
    ([memoryview(b"x")], "args[0]: memoryview is not JSON; pass args[0].hex()"),
    ([{"price": Decimal("1.5")}], "args[0].price: Decimal is not JSON; pass str(price)"),
    ([{"user_id": ID}], "args[0].user_id: UUID is not JSON; pass str(user_id)"),
    ([PurePosixPath("x")], "args[0]: PurePosixPath is not JSON; pass str(args[0])"),
    ([{"colour": Plain.A}], "args[0].colour: Plain is not JSON; pass colour.value"),
    ([{"a": MappingProxyType({})}], "args[0].a: mappingproxy is not JSON; pass dict(a)"),
    ([range(2)], "args[0]: range is not JSON; pass list(args[0])"),
    ([deque()], "args[0]: deque is not JSON; pass list(args[0])"),
    ([{}.values()], "args[0]: dict_values is not JSON; pass list(args[0])"),
    ([iter([])], "args[0]: list_iterator is not JSON; pass list(args[0])"),
    ([{"d": Data()}], "args[0].d: Data is not JSON; pass dataclasses.asdict(d)"),
    ([Scalar()], "args[0]: Scalar is not JSON; pass args[0].item()"),
    ([Array()], "args[0]: Array is not JSON; pass args[0].tolist()"),
    ([{"m": Model()}], 'args[0].m: Model is not JSON; pass m.model_dump(mode="json")'),
    ([object()], f"args[0]: object is not JSON; pass args[0] {OTHER}"),
    ([Data], f"args[0]: type is not JSON; pass args[0] {OTHER}"),
    ([1j], f"args[0]: complex is not JSON; pass args[0] {OTHER}"),
    ([Fraction(1, 2)], f"args[0]: Fraction is not JSON; pass args[0] {OTHER}"),
    ([...], f"args[0]: ellipsis is not JSON; pass args[0] {OTHER}"),
    ([orjson.Fragment(b"1")], f"args[0]: Fragment is not JSON; pass args[0] {OTHER}"),
    ({"title": LazyText()}, f"args.title: LazyText is not JSON; pass title {OTHER}"),
    # numbers
    ([math.nan], "args[0]: nan is not JSON; pass None or a finite number"),
    ([math.inf], "args[0]: inf is not JSON; pass None or a finite number"),
    ([{"a": -math.inf}], "args[0].a: -inf is not JSON; pass None or a finite number"),
    ([OddFloat("inf")], "args[0]: inf is not JSON; pass None or a finite number"),
    ([2**53], f"args[0]: 9007199254740992 {ROUNDED}str(args[0])"),
    ([{"id": -(2**53)}], f"args[0].id: -9007199254740992 {ROUNDED}str(id)"),
    ([0.5, OddInt(2**53)], f"args[1]: 9007199254740992 {ROUNDED}str(args[1])"),
    ([10**5000], f"args[0]: an integer of 16610 bits {ROUNDED}str(args[0])"),
    # strings and keys
    (["\ud800"], f"args[0]: {SURROGATE}args[0]{REPLACED}"),
    ([{"name": "x\udfffx"}], f"args[0].name: {SURROGATE}name{REPLACED}"),
    (["\ud83d\ude00"], f"args[0]: {SURROGATE}args[0]{REPLACED}"),
    ([0.5, OddStr("\ud800")], f"args[1]: {SURROGATE}args[1]{REPLACED}"),
    ([{"\ud800": 1}], rf'args[0]["\ud800"]: {KEY_SURROGATE}'),
    ([{1: 2}], "args[0]: object key is int, not str; use str keys"),
    ([{True: 2}], "args[0]: object key is bool, not str; use str keys"),
    ({None: 2}, "args: object key is NoneType, not str; use str keys"),
    ([{1.5: 2}], "args[0]: object key is float, not str; use str keys"),
    ([{"a": {("a",): 2}}], "args[0].a: object key is tuple, not str; use str keys"),
    ([{b"a": 2}], "args[0]: object key is bytes, not str; use str keys"),
    ([{Level.LOW: 2}], "args[0]: object key is Level, not str; use str keys"),
    (
        [{"a": 1, OddStr("a"): 2}],
        "args[0].a: object has this key twice; use distinct str keys",
    ),
    # depth
    (looped_list(), "args[1][1]: list contains itself; pass an id instead"),
    (looped_dict(), "args[0].parent.child: dict contains itself; pass an id instead"),
    (deep(201), f"args{'[0]' * 200}: {DEEP}"),
    (deep(100_000), f"args{'[0]' * 200}: {DEEP}"),
    (deep(100_000, lambda inner: (inner,)), f"args{'[0]' * 200}: {DEEP}"),
    (deep(100_000, lambda inner: {"a": inner}), f"args{'.a' * 200}: {DEEP}"),
    (deep(1_000, lambda inner: [0.5, {"a b": inner}]), "args" + '[1]["a b"]' * 100 + f": {DEEP}"),
    (Endless(), f"args{'[0]' * 200}: {DEEP}"),
    ([Unfolding()], "args: nested too deeply; pass a flatter value"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[m[:60] for _, m in REFUSED])
def test_an_error_names_the_place_and_the_remedy(value, message):
    with pytest.raises(InvalidJob) as refused:
        canonical_json(value, path="args")
    assert str(refused.value) == message
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_an_unnamed_value_is_called_value():
    with pytest.raises(
        InvalidJob, match=r"^value\[0\]: set is not JSON; pass sorted\(value\[0\]\)$"
    ):
        canonical_json([set()])


@pytest.mark.parametrize(
    "value",
    [
        ["\ud800 secret"],
        ["secret", WHEN],
        [{"a": "secret", 1: "secret"}],
        [Decimal("4111.1")],
        [{"secret"}],
        [b"secret"],
    ],
    ids=repr,
)
def test_an_error_does_not_show_the_value(value):
    with pytest.raises(InvalidJob) as refused:
        canonical_json(value)
    assert not any(word in str(refused.value) for word in ("secret", "2024", "4111"))
    assert refused.value.__context__ is None


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
@pytest.mark.parametrize("leaf", [0, 0.5])
def test_200_levels_are_accepted_with_and_without_floats(wrap, leaf):
    value = leaf
    for _ in range(200):
        value = wrap(value)
    assert _is_plain(value, 200) is (leaf == 0)
    assert canonical_json(value) == _json_with_places(value, "value") == rfc8785.dumps(value)
    with pytest.raises(InvalidJob):
        canonical_json(wrap(value))


def test_a_nearly_full_stack_gives_the_bytes_or_an_error():
    value = deep(200)
    expected = b"[" * 200 + b"0" + b"]" * 200

    def descend(frames):
        if frames:
            return descend(frames - 1)
        try:
            return canonical_json(value) == expected
        except InvalidJob as refused:
            return str(refused)

    used, frame = 0, sys._getframe()
    while frame:
        used, frame = used + 1, frame.f_back
    results = [descend(sys.getrecursionlimit() - used - left) for left in range(20, 300, 20)]
    assert set(results) == {True, "value: nested too deeply; pass a flatter value"}


def test_an_exception_of_a_subclass_is_raised_unchanged():
    class Broken(list):
        def __iter__(self):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        canonical_json(Broken())
