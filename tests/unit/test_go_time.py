r"""Times and quoted text are Go's: the expected ones were printed by Go 1.26."""

import pytest

from faktory_unique.testing.go.errors import GoError
from faktory_unique.testing.go.quote import quote, quote_in_time
from faktory_unique.testing.go.time import format_time, parse_time

SECOND = 10**9

# What time.Parse takes: the seconds and nanoseconds since the epoch, and the time written again.
TIMES = [
    ("2024-02-29T12:30:45.123456789Z", 1709209845, 123456789, "2024-02-29T12:30:45.123456789Z"),
    ("2024-01-01T00:00:00Z", 1704067200, 0, "2024-01-01T00:00:00Z"),
    ("1969-12-31T23:59:59.50Z", -1, 500000000, "1969-12-31T23:59:59.5Z"),
    ("2024-01-01T00:00:00,25Z", 1704067200, 250000000, "2024-01-01T00:00:00.25Z"),
    ("2024-01-01T5:00:00Z", 1704085200, 0, "2024-01-01T05:00:00Z"),
    ("2024-01-01T00:00:00+24:60", 1703977200, 0, "2023-12-30T23:00:00Z"),
    ("2024-01-01T00:00:00-05:30", 1704087000, 0, "2024-01-01T05:30:00Z"),
    ("2024-01-01T00:00:00.1234567899Z", 1704067200, 123456789, "2024-01-01T00:00:00.123456789Z"),
    ("0000-02-29T00:00:00Z", -62162121600, 0, "0000-02-29T00:00:00Z"),
    (
        "9999-12-31T23:59:59.999999999Z",
        253402300799,
        999999999,
        "9999-12-31T23:59:59.999999999Z",
    ),
]

# What it cannot parse: the part of the text, and the part of the layout that it was to be.
UNPARSED = [
    ("", "", "2006"),
    ("tomorrow", "tomorrow", "2006"),
    ("2024", "", "-"),
    ("2024/01/01", "/01/01", "-"),
    ("2024-1-1T00:00:00Z", "1-1T00:00:00Z", "01"),
    ("2024-01-01", "", "T"),
    ("2024-01-01 00:00:00Z", " 00:00:00Z", "T"),
    ("2024-01-01t00:00:00Z", "t00:00:00Z", "T"),
    ("2024-01-01Tx", "x", "15"),
    ("2024-01-01T00:0:00Z", "0:00Z", "04"),
    ("2024-01-01T00:00", "", ":"),
    ("2024-01-01T00:00:00", "", "Z07:00"),
    ("2024-01-01T00:00:00.Z", ".Z", "Z07:00"),
    ("2024-01-01T00:00:00z", "z", "Z07:00"),
    ("2024-01-01T00:00:00+0100", "+0100", "Z07:00"),
    ("2024-01-01T00:00:00x01:00", "x01:00", "Z07:00"),
]

# What it does not take although it can parse it.
REFUSED = [
    ("2024-13-01T00:00:00Z", "month out of range"),
    ("2024-00-01T00:00:00Z", "month out of range"),
    ("2023-02-29T00:00:00Z", "day out of range"),
    ("2024-01-00T00:00:00Z", "day out of range"),
    ("2024-01-01T24:00:00Z", "hour out of range"),
    ("2024-01-01T00:60:00Z", "minute out of range"),
    ("2024-01-01T00:00:60Z", "second out of range"),
    ("2024-01-01T00:00:00+25:00", "time zone offset hour out of range"),
    ("2024-01-01T00:00:00+25:61", "time zone offset minute out of range"),
    ("2024-01-01T00:00:00x25:00", "time zone offset hour out of range"),
    ("2024-01-01T00:00:00+25:xx", "time zone offset hour out of range"),
    ("2024-01-01T00:00:00+25:é", "time zone offset hour out of range"),
    ("2023-02-30T00:00:00Zx", 'extra text: "x"'),
]

QUOTED = [
    ("plain", '"plain"'),
    ('say "hi" \\', '"say \\"hi\\" \\\\"'),
    ("\a\b\f\n\r\t\v\x00\x1b\x7f", '"\\a\\b\\f\\n\\r\\t\\v\\x00\\x1b\\x7f"'),
    ("é😀", '"é😀"'),
    ("\u200b\u2028\ue000\U000e0001", '"\\u200b\\u2028\\ue000\\U000e0001"'),
    ("\xa0\xad", '"\\u00a0\\u00ad"'),
    (b"a\xff\xc3z".decode(errors="surrogateescape"), '"a\\xff\\xc3z"'),
]


@pytest.mark.parametrize(("text", "seconds", "nanoseconds", "_again"), TIMES)
def test_a_time_is_the_nanoseconds_since_the_epoch(text, seconds, nanoseconds, _again):
    assert parse_time(text) == seconds * SECOND + nanoseconds


@pytest.mark.parametrize(("_text", "seconds", "nanoseconds", "again"), TIMES)
def test_a_time_is_written_in_utc_and_without_zeros_at_the_end(_text, seconds, nanoseconds, again):
    assert format_time(seconds * SECOND + nanoseconds) == again


@pytest.mark.parametrize(("text", "part", "element"), UNPARSED)
def test_the_error_says_what_cannot_be_parsed_as_what(text, part, element):
    layout = "2006-01-02T15:04:05.999999999Z07:00"
    with pytest.raises(GoError) as caught:
        parse_time(text)
    expected = f'parsing time "{text}" as "{layout}": cannot parse "{part}" as "{element}"'
    assert str(caught.value) == expected


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_the_error_says_what_is_wrong_with_what_can_be_parsed(text, reason):
    with pytest.raises(GoError) as caught:
        parse_time(text)
    assert str(caught.value) == f"parsing time {quote_in_time(text.encode())}: {reason}"


@pytest.mark.parametrize(("text", "quoted"), QUOTED)
def test_text_is_quoted_like_strconv_does(text, quoted):
    assert quote(text) == quoted


def test_errors_about_times_quote_byte_by_byte():
    assert quote_in_time('é"\\\x7f\n'.encode()) == '"\\xc3\\xa9\\"\\\\\x7f\\x0a"'
