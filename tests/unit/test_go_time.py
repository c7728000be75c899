"""The fake's times are Go's: the expected ones were printed by Go 1.26's time package."""

import pytest

from faktory_unique.testing.server.errors import ParseError
from faktory_unique.testing.server.go_time import SECOND, format_time, parse_time

# Texts that time.Parse takes, seconds and nanoseconds since the epoch, and the time written again.
TIMES = [
    ("2024-02-29T12:30:45.123456789Z", 1709209845, 123456789, "2024-02-29T12:30:45.123456789Z"),
    ("2024-01-01T00:00:00Z", 1704067200, 0, "2024-01-01T00:00:00Z"),
    ("1969-12-31T23:59:59.50Z", -1, 500000000, "1969-12-31T23:59:59.5Z"),
    ("2024-01-01T00:00:00,25Z", 1704067200, 250000000, "2024-01-01T00:00:00.25Z"),
    ("2024-01-01T5:00:00Z", 1704085200, 0, "2024-01-01T05:00:00Z"),
    ("2024-01-01T00:00:00+24:60", 1703977200, 0, "2023-12-30T23:00:00Z"),
    ("2024-01-01T00:00:00-05:30", 1704087000, 0, "2024-01-01T05:30:00Z"),
    ("2024-01-01T00:00:00.1234567899Z", 1704067200, 123456789, "2024-01-01T00:00:00.123456789Z"),
    (
        "9999-12-31T23:59:59.999999999Z",
        253402300799,
        999999999,
        "9999-12-31T23:59:59.999999999Z",
    ),
]

NO_TIMES = [
    *("", "tomorrow", "2024", "2024/01/01", "2024-1-1T00:00:00Z", "2024-01-01"),
    *("2024-01-01 00:00:00Z", "2024-01-01t00:00:00Z", "2024-01-01Tx", "2024-01-01T00:0:00Z"),
    *("2024-01-01T00:00", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00z"),
    *("2024-01-01T00:00:00+0100", "2024-01-01T00:00:00x01:00", "2024-13-01T00:00:00Z"),
    *("2024-00-01T00:00:00Z", "2023-02-29T00:00:00Z", "2024-01-00T00:00:00Z"),
    *("2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z"),
    *("2024-01-01T00:00:00+25:00", "2024-01-01T00:00:00+25:61", "2024-01-01T00:00:00x25:00"),
    *("2024-01-01T00:00:00+00:61", "2024-01-01T00:00:00+25:xx", "2024-01-01T00:00:00+25:é"),
    *("2023-02-28T00:00:00Zx", "\uff1224-01-01T00:00:00Z", "2024-01-01T00:00:00Z\n"),
]


@pytest.mark.parametrize(("text", "seconds", "nanoseconds", "_written"), TIMES)
def test_time_is_read_in_nanoseconds(text, seconds, nanoseconds, _written):
    assert parse_time(text) == seconds * SECOND + nanoseconds


@pytest.mark.parametrize(("_text", "seconds", "nanoseconds", "written"), TIMES)
def test_time_is_written_in_utc_without_final_zeros(_text, seconds, nanoseconds, written):
    assert format_time(seconds * SECOND + nanoseconds) == written


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0000-02-29T00:00:00Z", -62162121600), ("0001-01-01T00:00:00Z", -62135596800)],
)
def test_years_0_and_1_are_read(text, seconds):
    assert parse_time(text) == seconds * SECOND


@pytest.mark.parametrize("text", NO_TIMES)
def test_other_text_is_refused(text):
    with pytest.raises(ParseError, match=r"^parsing time "):
        parse_time(text)
