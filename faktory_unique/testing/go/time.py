"""Times as Go reads and writes them in RFC3339Nano, in nanoseconds since the epoch."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from typing import NamedTuple, NoReturn

from .errors import GoError
from .quote import quote_in_time

_LAYOUT = b"2006-01-02T15:04:05.999999999Z07:00"

_SECOND = 10**9
_DAY = 86_400 * _SECOND
_NANO_DIGITS = 9

# Python knows no year 0, but after 400 years the Gregorian calendar begins anew.
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
_EPOCH = date(1970, 1, 1).toordinal()


class _Element(NamedTuple):
    """An element of the layout: the bytes that fit it and the numbers that it may be."""

    layout: bytes
    pattern: re.Pattern[bytes]
    name: str = ""
    low: int = 0
    high: int = 0


_DASH = _Element(b"-", re.compile(rb"-"))
_COLON = _Element(b":", re.compile(rb":"))
_TWO_DIGITS = re.compile(rb"([0-9]{2})")

# What time/format.go parse goes through, in this order. It takes an hour of one digit.
_ELEMENTS = (
    _Element(b"2006", re.compile(rb"([0-9]{4})"), "year", 0, 9999),
    _DASH,
    _Element(b"01", _TWO_DIGITS, "month", 1, 12),
    _DASH,
    _Element(b"02", _TWO_DIGITS, "day", 0, 99),  # looked at when all the rest is right
    _Element(b"T", re.compile(rb"T")),
    _Element(b"15", re.compile(rb"([0-9]{1,2})"), "hour", 0, 23),
    _COLON,
    _Element(b"04", _TWO_DIGITS, "minute", 0, 59),
    _COLON,
    _Element(b"05", _TWO_DIGITS, "second", 0, 59),
)

# It also takes a comma for the point, and any number of digits, of which nine count.
_FRACTION = re.compile(rb"[.,]([0-9]{1,9})[0-9]*")

# Hours and minutes of the zone may be 24 and 60. Their limits come before their syntax.
_ZONE_ELEMENT = b"Z07:00"
_ZONE = re.compile(rb"(.)([0-9]{2}):(?:([0-9]{2})|..)", re.DOTALL)
_MAX_ZONE_HOUR, _MAX_ZONE_MINUTE = 24, 60


def parse_time(text: str) -> int:
    """time.Parse(time.RFC3339Nano, text), which is not all that strict about RFC 3339.

    Raises:
        GoError: it is no time.
    """
    value = text.encode("utf-8", "surrogateescape")
    at = 0
    numbers: list[int] = []
    for element in _ELEMENTS:
        match = element.pattern.match(value, at)
        if match is None:
            _cannot_parse(value, at, element.layout)
        at = match.end()
        if element.name:
            number = int(match[1])
            if not element.low <= number <= element.high:
                _fail(value, f"{element.name} out of range")
            numbers.append(number)
    year, month, day, hour, minute, second = numbers
    nanoseconds = 0
    if fraction := _FRACTION.match(value, at):
        nanoseconds = int(fraction[1].ljust(_NANO_DIGITS, b"0"))
        at = fraction.end()
    offset, at = _zone(value, at)
    if at < len(value):
        _fail(value, f"extra text: {quote_in_time(value[at:])}")
    cycle, year = divmod(year, _CYCLE_YEARS)
    year += _CYCLE_YEARS
    if not 1 <= day <= monthrange(year, month)[1]:
        _fail(value, "day out of range")
    days = date(year, month, day).toordinal() - _EPOCH + (cycle - 1) * _CYCLE_DAYS
    minutes = (days * 24 + hour) * 60 + minute - offset
    return (minutes * 60 + second) * _SECOND + nanoseconds


def _zone(value: bytes, at: int) -> tuple[int, int]:
    """The minutes that the zone is ahead of UTC, and where it ends."""
    if value[at : at + 1] == b"Z":
        return 0, at + 1
    match = _ZONE.match(value, at)
    if match is None:
        _cannot_parse(value, at, _ZONE_ELEMENT)
    sign, hours, minutes = match[1], int(match[2]), int(match[3] or 0)
    if minutes > _MAX_ZONE_MINUTE:
        _fail(value, "time zone offset minute out of range")
    if hours > _MAX_ZONE_HOUR:
        _fail(value, "time zone offset hour out of range")
    if match[3] is None or sign not in b"+-":
        _cannot_parse(value, at, _ZONE_ELEMENT)
    offset = hours * 60 + minutes
    return (-offset if sign == b"-" else offset), match.end()


def _cannot_parse(value: bytes, at: int, layout: bytes) -> NoReturn:
    whole, rest, element = map(quote_in_time, (value, value[at:], layout))
    raise GoError(
        f"parsing time {whole} as {quote_in_time(_LAYOUT)}: cannot parse {rest} as {element}"
    )


def _fail(value: bytes, reason: str) -> NoReturn:
    raise GoError(f"parsing time {quote_in_time(value)}: {reason}")


def format_time(nanoseconds: int) -> str:
    """The time in UTC as RFC3339Nano has it: without zeros at the end of the fraction."""
    days, nanoseconds = divmod(nanoseconds, _DAY)
    cycle, day = divmod(days + _EPOCH - 1, _CYCLE_DAYS)
    of_cycle = date.fromordinal(day + 1)
    year = of_cycle.year + cycle * _CYCLE_YEARS
    seconds, nanoseconds = divmod(nanoseconds, _SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{nanoseconds:09}".rstrip("0").rstrip(".")
    sign = "-" if year < 0 else ""
    return f"{sign}{abs(year):04}-{of_cycle:%m-%d}T{hour:02}:{minute:02}:{second:02}{fraction}Z"
