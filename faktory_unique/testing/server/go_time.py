"""Times as the server reads and writes them: RFC 3339, in nanoseconds since the epoch."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from .errors import ParseError

SECOND = 1_000_000_000

# Go takes an hour of one digit, a comma for the point, and any number of digits behind it, of
# which nine count (time/format.go parse).
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})"
    r"(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_LATEST = (23, 59, 59, 24, 60)  # hour, minute, second; hours and minutes of the offset

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # all is UTC, and the text ends with Z instead


def parse_time(text: str) -> int:
    """Return the time in nanoseconds since the epoch.

    Raises:
        ParseError: the text is not a time.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ParseError(f"parsing time {text!r}: write it as 2006-01-02T15:04:05Z")
    year, month, day, *clock = (int(found[group] or 0) for group in (1, 2, 3, 4, 5, 6, 9, 10))
    if any(map(int.__gt__, clock, _LATEST)):
        raise ParseError(f"parsing time {text!r}: out of range")
    try:  # Python has no year 0; the year 400 has the same days, 146,097 later
        days = date(year or 400, month, day).toordinal() - (0 if year else 146_097)
    except ValueError as exc:
        raise ParseError(f"parsing time {text!r}: {exc}") from exc
    hour, minute, second, offset_hours, offset_minutes = clock
    offset = (60 * offset_hours + offset_minutes) * (-1 if found[8] == "-" else 1)
    minutes = 60 * (24 * (days - _EPOCH.toordinal()) + hour) + minute - offset
    return (60 * minutes + second) * SECOND + int((found[7] or "").ljust(9, "0")[:9])


def format_time(nanoseconds: int) -> str:
    """Return the time in UTC, without zeros at the end of the fraction."""
    seconds, fraction = divmod(nanoseconds, SECOND)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    return f"{text}.{fraction:09}".rstrip("0").rstrip(".") + "Z"
