"""JSON values that stress RFC 8785, and values that are none, from a seed."""

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
DEEPEST = 200

# About one value in eight is unfit: enough of each kind, and most of the time for what has bytes.
_UNFIT_SHARE = 0.12


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


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped one is what is asked about


class Apart(str):
    """Text that a dict takes for another key than its equal, so that one object has both."""

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

# Every power at which ECMAScript, or Python's repr, turns to exponents, and those around it.
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

# What is unfit wherever it stands as a value.
_UNFIT_LEAVES = {
    "nan": [math.nan, -math.nan, struct.unpack(">d", bytes.fromhex("7ff0000000000001"))[0]],
    "inf": [math.inf, -math.inf],
    "big int": [
        *(sign * (MAX_INT + over) for sign in (1, -1) for over in (1, 2, 3)),
        *(2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**40, -(10**400)),
    ],
    "surrogate": [
        "\ud800",
        "\udbff",
        "\udc00",
        "\udfff",
        "a\ud83d",
        "\ud83d\ude00",
        "\ude00\ud83d",
    ],
    "type": [
        *({1, 2}, frozenset(), b"", b"x", bytearray(b"x"), memoryview(b"x")),
        *(_WHEN, _WHEN.date(), date(1, 1, 1), time(12), timedelta(1)),
        *(Decimal("1.5"), Fraction(1, 2), uuid.UUID(int=1), PurePosixPath("x"), Plain.A),
        *(1j, range(2), {}.keys(), object(), ..., int, iter(())),
    ],
}
_UNFIT_KEYS = {
    "surrogate key": ["\ud800", "a\udfff", "\ud83d\ude00"],
    "key": [1, True, None, 1.5, b"a", ("a",), Level.LOW, _WHEN, frozenset()],
}
UNFIT = [*_UNFIT_LEAVES, *_UNFIT_KEYS, "key twice", "loop", "deep"]


class Values:
    """Values one after another, the same ones for the same seed.

    Attributes:
        unfit: what the value drawn last has in it that is not to be written; None where it is fit.
    """

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.unfit = None

    def draw(self):
        """The next value: fit, or with exactly one thing in it that is not."""
        chance = self._random
        self.unfit = chance.choice(UNFIT) if chance.random() < _UNFIT_SHARE else None
        # Without floats and odd keys a value is written by another, faster way.
        scalar, key = (self._scalar, self._key) if chance.random() < 0.7 else (self._plain, _word)
        if self.unfit == "deep":
            return self._wrapped(key, DEEPEST + chance.choice((1, 1, 2, chance.randint(3, 40))))
        if self.unfit is not None:
            return self._spoilt(scalar, key)
        if chance.random() < 0.002:
            return self._wrapped(key, chance.randint(DEEPEST - 2, DEEPEST))
        return self._nested(scalar, key, chance.choice((0, 1, 1, 2, 2, 3, 4)))

    def _nested(self, scalar, key, levels):
        chance = self._random
        kind = chance.random()
        if levels == 0 or kind < 0.15:
            return scalar()
        width = chance.choice((0, 1, 2, 2, 3, 4))
        if levels == 1 and kind < 0.2:
            width *= 8  # many keys in one object: an order that is wrong for some of them shows
        if kind < 0.5:
            items = [self._nested(scalar, key, levels - 1) for _ in range(width)]
            if kind < 0.38:
                return items
            return Point(*items) if width == 2 and kind < 0.4 else tuple(items)
        members = {key(chance): self._nested(scalar, key, levels - 1) for _ in range(width)}
        if kind < 0.98:
            return members
        return OrderedDict(members) if kind < 0.99 else defaultdict(list, members)

    def _spoilt(self, scalar, key):
        """A value with the unfit thing somewhere inside, and fit ones before and after it."""
        chance = self._random
        if self.unfit in _UNFIT_LEAVES:
            value = chance.choice(_UNFIT_LEAVES[self.unfit])
        elif self.unfit in _UNFIT_KEYS:
            value = self._around(chance.choice(_UNFIT_KEYS[self.unfit]), scalar(), scalar, key)
        elif self.unfit == "key twice":
            name = key(chance)
            value = {name: scalar(), Apart(name): scalar()}
        else:
            loop = [scalar()]
            loop.append(chance.choice((loop, {"loop": loop}, (loop,), [[loop]])))
            value = loop
        for _ in range(chance.randrange(4)):
            if chance.random() < 0.5:
                items = [scalar() for _ in range(chance.randrange(3))]
                items.insert(chance.randint(0, len(items)), value)
                value = items if chance.random() < 0.7 else tuple(items)
            else:
                value = self._around(key(chance), value, scalar, key)
        return value

    def _around(self, name, value, scalar, key):
        """An object with this member, and others before and after it."""
        chance = self._random
        before = {key(chance): scalar() for _ in range(chance.randrange(3))}
        after = {key(chance): scalar() for _ in range(chance.randrange(3))}
        return {**before, **{k: v for k, v in after.items() if k != name}, name: value}

    def _wrapped(self, key, levels):
        chance = self._random
        value = self._text()
        for _ in range(levels):
            kind = chance.randrange(3)
            value = [value] if kind == 0 else (value,) if kind == 1 else {key(chance): value}
        return value

    def _plain(self):
        chance = self._random
        kind = chance.randrange(6)
        if kind < 2:
            return self._text()
        if kind < 4:
            return self._integer()
        return chance.choice((None, True, False, [], {}, ()))

    def _scalar(self):
        chance = self._random
        kind = chance.randrange(20)
        if kind < 9:
            return self._number()
        if kind < 12:
            return self._integer()
        if kind < 17:
            return self._text()
        if kind < 19:
            return chance.choice((None, True, False, [], {}, ()))
        return chance.choice((Level.LOW, Level.HIGH, Colour.RED, Colour.ODD, *Ratio))

    def _number(self):
        chance = self._random
        kind = chance.randrange(8)
        if kind < 3:  # any double
            number = struct.unpack(">d", chance.randbytes(8))[0]
            return number if math.isfinite(number) else 0.5
        if kind == 3:
            return chance.choice(_POWERS)
        if kind == 4:
            return chance.choice(_EDGES)
        if kind == 5:  # few digits, at any place
            return float(f"{chance.randint(-9999, 9999)}e{chance.randint(-30, 30)}")
        if kind == 6:  # an integral one
            return float(chance.randint(-(2**70), 2**70) >> chance.randrange(70))
        sign = chance.getrandbits(1) << 63  # subnormal
        return struct.unpack(">d", (sign | chance.getrandbits(52)).to_bytes(8, "big"))[0]

    def _integer(self):
        chance = self._random
        if chance.random() < 0.4:
            return chance.choice(_INTS)
        return (chance.getrandbits(53) >> chance.randrange(53)) * chance.choice((1, -1))

    def _text(self):
        chance = self._random
        return "".join([self._piece() for _ in range(chance.choice((0, 1, 1, 2, 3, 5)))])

    def _piece(self):
        chance = self._random
        kind = chance.randrange(8)
        if kind < 2:
            return chance.choice(_ESCAPED)
        if kind == 2:
            return chance.choice(_NEIGHBOURS)
        if kind == 3:
            return chance.choice(_ODD)
        if kind == 4:
            return chr(chance.randrange(0x80))
        if kind == 5:
            point = chance.randrange(0x110000)
            return "\ud7ff" if 0xD800 <= point <= 0xDFFF else chr(point)
        return chance.choice(_WORDS)

    def _key(self, chance):
        """A key; those from U+E000 on and those beyond U+FFFF change places in UTF-16."""
        if chance.random() < 0.4:
            return chance.choice(_NEIGHBOURS) + chance.choice(_WORDS)
        return self._text()


def _word(chance):
    return chance.choice(_WORDS) + chance.choice(_ESCAPED[:0x22])
