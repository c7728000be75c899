"""A pattern matches what Redis 7.0 matches: these are answers of its ZSCAN … MATCH."""

import pytest

from faktory_unique.testing.server.redis_glob import glob

MATCHES = [
    (b"*", b""),
    (b"*", b"any\nthing\x00"),
    (b"**", b"a"),
    (b"a*", b"a"),
    (b"*a*b", b"xaxbxb"),
    (b"*ab", b"aab"),
    (b"a?c", b"a\nc"),
    (b"?", b"\xff"),
    (b"", b""),
    (b"[abc]", b"b"),
    (b"[^abc]", b"d"),
    (b"[a-c]", b"b"),
    (b"[c-a]", b"b"),
    (b"[a-]", b"a"),  # ] ends the range, and with the pattern the class
    (b"[a-]", b"]"),
    (b"[-a]", b"-"),
    (b"[a-", b"-"),
    (b"[abc", b"c"),
    (b"[\\]]", b"]"),
    (b"[\\a-c]", b"-"),  # an escaped byte starts no range
    (b"[a-\\]", b"^"),
    (b"[\\", b"\\"),
    (b"[^", b"x"),
    (b"[^]", b"]"),
    (b"[a-\xff]", b"\x00"),  # a signed char, \xff is -1
    (b"[\x80-\xff]", b"\x90"),
    (b"[.]", b"."),
    (b"\\*", b"*"),
    (b"\\a", b"a"),
    (b"a\\", b"a\\"),
    (b"a]", b"a]"),
]

MISSES = [
    (b"**", b""),
    (b"?", b""),
    (b"?", b"ab"),
    (b"", b"a"),
    (b"a", b"A"),
    (b"a", b"ab"),
    (b"a*b", b"abc"),
    (b"ab*ba", b"aba"),
    (b"[", b"["),
    (b"[]", b"]"),
    (b"[]a]", b"a"),
    (b"[^a]", b"a"),
    (b"[\\a-c]", b"b"),
    (b"[a-\xff]", b"b"),
    (b"\\*", b"a"),
    (b"a.c", b"abc"),
]


@pytest.mark.parametrize(("pattern", "value"), MATCHES)
def test_matches(pattern, value):
    assert glob(pattern)(value) is True


@pytest.mark.parametrize(("pattern", "value"), MISSES)
def test_does_not_match(pattern, value):
    assert glob(pattern)(value) is False


@pytest.mark.timeout(5)
def test_many_stars_take_no_time():
    assert not glob(b"*a" * 20 + b"b")(b"a" * 3000)
