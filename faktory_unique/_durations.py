"""Parse durations such as 90, "90s", "1h30m", "PT1H30M" (ISO 8601) or a timedelta, into seconds."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from pydantic import TypeAdapter, ValidationError

from ._util import short_repr

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_UNITS_PATTERN = re.compile(
    "".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?)\s*{unit}\s*)?" for unit in _UNITS), re.IGNORECASE
)
_TIMEDELTA = TypeAdapter(timedelta)

# Ten years, in seconds. Redis refuses expiries that overflow its clock, and no useful lock is
# longer.
MAX_SECONDS = 315_360_000


def parse_duration(duration: object) -> float:
    """Return a duration as seconds. It may be negative, infinite or NaN if the number is.

    Args:
        duration: a number of seconds, `"90"`, `"90s"`, `"1h30m"`, `"PT1H30M"` or a timedelta.

    Raises:
        ValueError: the value is none of these. The message shows it, shortened.
    """
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        try:
            return float(duration)
        except OverflowError:  # an int beyond all floats
            return math.inf if duration > 0 else -math.inf
    if isinstance(duration, str):
        text = duration.strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        counts = _UNITS_PATTERN.fullmatch(text)
        if text and counts:
            return sum(float(n) * _UNITS[u] for u, n in counts.groupdict().items() if n)
        if text[:1] in {"P", "p"}:
            try:
                return _TIMEDELTA.validate_python(text.upper()).total_seconds()
            except ValidationError:
                pass
    raise ValueError(
        f"{short_repr(duration)} is not a duration; "
        "write 90, '90s', '1h30m', 'PT1H30M' or a timedelta"
    )
