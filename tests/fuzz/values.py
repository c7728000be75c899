"""Random values from a seed that stress RFC 8785: valid JSON values, and invalid ones."""

from __future__ import annotations

import enum
import math
import random
import struct
import uuid
from collections import OrderedDict, defaultdict, namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath

MAX_INT = 2**53 - 1
MAX_DEPTH = 200

# About one value in eight is invalid: enough of each kind, and most values are written.
_INVALID_SHARE = 0.12


class Level(enum.IntEnum):
    LOW = 1
    HIGH = MAX_INT


class Colour(enum.StrEnum):
    RED = "red"
    ODD = "\U0001f600\u2028"


class Ratio(float, enum.Enum):
    HALF = 0.5
    TINY = 1e-7


class Plain(enum.Enum):
    A = 1


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is tested


class UnequalStr(str):
    """A str that is unequal to an equal text, so that one dict can have both as keys."""

    __slots__ = ()

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__


_ESCAPED = [chr(point) for point in range(0x20)] + ['"', "\\", "/", "\x7f", "\x80", "\x9f"]
_NEIGHBOURS = ["\ud7ff", "\ue000", "\ufb33", "\ufeff", "\ufffd", "\uffff", "\U00010000"]
_NEIGHBOURS += ["\U0001f600", "\U0010fffe", "\U0010ffff"]
_ODD = ["\u0301", "e\u0301", "\u00e9", "\u2028", "\u2029", "\u200d", "\u00a0", "\u00df", "\u0130"]
_ODD += ["\u1100\u1161", "\uac00", "</script>", "\\u0000", "\\ud800", "%", "{", "}"]
_WORDS = ["", "a", "A", "aa", "id", "user_id", "1", "10", "2", "-", "true", "null", "x" * 70]

# The powers at which ECMAScript or Python's repr switch to exponents, and their neighbours.
_POWERS = [
    sign * factor * base
    for exponent in (-324, -323, -308, -8, -7, -6, -5, -4, -1, 0, 1, 15, 16, 17, 20, 21, 22, 23)
    for base in [float(f"1e{exponent}")]
    for factor in (1.0, 1.5, 9.999999999999999, 1.2345678901234567)
    for sign in (1, -1)
]
_POWERS += [math.nextafter(power, to) for power in _POWERS for to in (math.inf, -math.inf)]
_EDGES = [-0.0, 0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1 / 3]
_EDGES += [float(sign * (2**53 + off)) for sign in (1, -1) for off in range(-4, 5)]
_INTS = [sign * (MAX_INT - off) for sign in (1, -1) for off in range(4)]
_INTS += [0, 1, -1, 9, 10, 99, 2**31 - 1, 2**31, -(2**31) - 1, 2**32, 10**15]

_WHEN = datetime(2024, 2, 29, 12, tzinfo=UTC)

# Values that are invalid at any place.
_INVALID_LEAVES = {
    "nan": [math.nan, -math.nan, struct.unpack(">d", bytes.fromhex("7ff0000000000001"))[0]],
    "inf": [math.inf, -math.inf],
    "big int": [
        *(sign * (MAX_INT + over) for sign in (1, -1) for over in (1, 2, 3)),
        *(2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**40, -(10**400)),
    ],
    "surrogate": [*"\ud800\udbff\udc00\udfff", "a\ud83d", "\ud83d\ude00", "\ude00\ud83d"],
    "type": [
        *({1, 2}, frozenset(), b"", b"x", bytearray(b"x"), memoryview(b"x")),
        *(_WHEN, _WHEN.date(), date(1, 1, 1), time(12), timedelta(1)),
        *(Decimal("1.5"), Fraction(1, 2), uuid.UUID(int=1), PurePosixPath("x"), Plain.A),
        *(1j, range(2), {}.keys(), object(), ..., int, iter(())),
    ],
}
_INVALID_KEYS = {
    "surrogate key": ["\ud800", "a\udfff", "\ud83d\ude00"],
    "key": [1, True, None, 1.5, b"a", ("a",), Level.LOW, _WHEN, frozenset()],
}
INVALID = [*_INVALID_LEAVES, *_INVALID_KEYS, "key twice", "loop", "deep"]


class Values:
    """A sequence of random values; the same seed gives the same values.

    Attributes:
        invalid: the kind of the invalid part of the last drawn value; None if it is valid.
    """

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.invalid = None

    def draw(self):
        """Return the next value: valid, or with exactly one invalid part."""
        rng = self._random
        self.invalid = rng.choice(INVALID) if rng.random() < _INVALID_SHARE else None
        # A value without floats and odd keys takes another, faster path.
        scalar, key = (self._scalar, self._key) if rng.random() < 0.7 else (self._plain, _word)
        if self.invalid == "deep":
            return self._wrapped(key, MAX_DEPTH + rng.choice((1, 1, 2, rng.randint(3, 40))))
        if self.invalid is not None:
            return self._with_invalid(scalar, key)
        if rng.random() < 0.002:
            return self._wrapped(key, rng.randint(MAX_DEPTH - 2, MAX_DEPTH))
        return self._nested(scalar, key, rng.choice((0, 1, 1, 2, 2, 3, 4)))

    def _nested(self, scalar, key, levels):
        rng = self._random
        kind = rng.random()
        if levels == 0 or kind < 0.15:
            return scalar()
        width = rng.choice((0, 1, 2, 2, 3, 4))
        if levels == 1 and kind < 0.2:
            width *= 8  # many keys in one object, so that a wrong order of some is noticed
        if kind < 0.5:
            items = [self._nested(scalar, key, levels - 1) for _ in range(width)]
            if kind < 0.38:
                return items
            return Point(*items) if width == 2 and kind < 0.4 else tuple(items)
        members = {key(rng): self._nested(scalar, key, levels - 1) for _ in range(width)}
        if kind < 0.98:
            return members
        return OrderedDict(members) if kind < 0.99 else defaultdict(list, members)

    def _with_invalid(self, scalar, key):
        """Return a value with the invalid part somewhere inside, and valid parts around it."""
        rng = self._random
        if self.invalid in _INVALID_LEAVES:
            value = rng.choice(_INVALID_LEAVES[self.invalid])
        elif self.invalid in _INVALID_KEYS:
            value = self._around(rng.choice(_INVALID_KEYS[self.invalid]), scalar(), scalar, key)
        elif self.invalid == "key twice":
            name = key(rng)
            value = {name: scalar(), UnequalStr(name): scalar()}
        else:
            loop = [scalar()]
            loop.append(rng.choice((loop, {"loop": loop}, (loop,), [[loop]])))
            value = loop
        for _ in range(rng.randrange(4)):
            if rng.random() < 0.5:
                items = [scalar() for _ in range(rng.randrange(3))]
                items.insert(rng.randint(0, len(items)), value)
                value = items if rng.random() < 0.7 else tuple(items)
            else:
                value = self._around(key(rng), value, scalar, key)
        return value

    def _around(self, name, value, scalar, key):
        """Return an object with this member, and others before and after it."""
        rng = self._random
        before = {key(rng): scalar() for _ in range(rng.randrange(3))}
        after = {key(rng): scalar() for _ in range(rng.randrange(3))}
        return {**before, **{k: v for k, v in after.items() if k != name}, name: value}

    def _wrapped(self, key, levels):
        rng = self._random
        value = self._text()
        for _ in range(levels):
            kind = rng.randrange(3)
            value = [value] if kind == 0 else (value,) if kind == 1 else {key(rng): value}
        return value

    def _plain(self):
        rng = self._random
        kind = rng.randrange(6)
        if kind < 2:
            return self._text()
        if kind < 4:
            return self._integer()
        return rng.choice((None, True, False, [], {}, ()))

    def _scalar(self):
        rng = self._random
        kind = rng.randrange(20)
        if kind < 9:
            return self._number()
        if kind < 12:
            return self._integer()
        if kind < 17:
            return self._text()
        if kind < 19:
            return rng.choice((None, True, False, [], {}, ()))
        return rng.choice((Level.LOW, Level.HIGH, Colour.RED, Colour.ODD, *Ratio))

    def _number(self):
        rng = self._random
        kind = rng.randrange(8)
        if kind < 3:  # any double
            number = struct.unpack(">d", rng.randbytes(8))[0]
            return number if math.isfinite(number) else 0.5
        if kind == 3:
            return rng.choice(_POWERS)
        if kind == 4:
            return rng.choice(_EDGES)
        if kind == 5:  # few digits, at any place
            return float(f"{rng.randint(-9999, 9999)}e{rng.randint(-30, 30)}")
        if kind == 6:  # an integral one
            return float(rng.randint(-(2**70), 2**70) >> rng.randrange(70))
        sign = rng.getrandbits(1) << 63  # subnormal
        return struct.unpack(">d", (sign | rng.getrandbits(52)).to_bytes(8, "big"))[0]

    def _integer(self):
        rng = self._random
        if rng.random() < 0.4:
            return rng.choice(_INTS)
        return (rng.getrandbits(53) >> rng.randrange(53)) * rng.choice((1, -1))

    def _text(self):
        rng = self._random
        return "".join([self._piece() for _ in range(rng.choice((0, 1, 1, 2, 3, 5)))])

    def _piece(self):
        rng = self._random
        kind = rng.randrange(8)
        if kind < 2:
            return rng.choice(_ESCAPED)
        if kind == 2:
            return rng.choice(_NEIGHBOURS)
        if kind == 3:
            return rng.choice(_ODD)
        if kind == 4:
            return chr(rng.randrange(0x80))
        if kind == 5:
            point = rng.randrange(0x110000)
            return "\ud7ff" if 0xD800 <= point <= 0xDFFF else chr(point)
        return rng.choice(_WORDS)

    def _key(self, rng):
        """Return a key; the order of U+E000 to U+FFFF and of keys beyond differs in UTF-16."""
        if rng.random() < 0.4:
            return rng.choice(_NEIGHBOURS) + rng.choice(_WORDS)
        return self._text()


def _word(rng):
    return rng.choice(_WORDS) + rng.choice(_ESCAPED[:0x22])
