"""A glob matches the texts that Redis 7.0 matches: these are results of its ZSCAN … MATCH."""

import pytest

from faktory_unique.testing.server.glob import matching

MATCHES = [
    ("*", ""),
    ("*", "any\nthing"),
    ("**", "a"),
    ("a*", "a"),
    ("*a*b", "xaxbxb"),
    ("*ab", "aab"),
    ("a?c", "a\nc"),
    ("", ""),
    ("[abc]", "b"),
    ("[^abc]", "d"),
    ("[a-c]", "b"),
    ("[c-a]", "b"),
    ("[a-]", "a"),  # ] ends the range, and with the pattern the class
    ("[a-]", "]"),
    ("[-a]", "-"),
    ("[a-", "-"),
    ("[abc", "c"),
    ("[\\]]", "]"),
    ("[\\a-c]", "-"),  # an escaped byte starts no range
    ("[a-\\]", "^"),
    ("[\\", "\\"),
    ("[^", "x"),
    ("[^]", "]"),
    ("[.]", "."),
    ("\\*", "*"),
    ("\\a", "a"),
    ("a\\", "a\\"),
    ("a]", "a]"),
    ("a??b", "aéb"),  # bytes, not characters
]

MISSES = [
    ("?", ""),
    ("?", "ab"),
    ("", "a"),
    ("a", "A"),
    ("a", "ab"),
    ("a*b", "abc"),
    ("ab*ba", "aba"),
    ("[", "["),
    ("[]", "]"),
    ("[]a]", "a"),
    ("[^a]", "a"),
    ("[\\a-c]", "b"),
    ("\\*", "a"),
    ("a.c", "abc"),
]


@pytest.mark.parametrize(("pattern", "text"), MATCHES)
def test_glob_matches(pattern, text):
    assert matching([text, text], pattern) == [text, text]


@pytest.mark.parametrize(("pattern", "text"), MISSES)
def test_glob_does_not_match(pattern, text):
    assert matching([text], pattern) == []


def test_many_stars_take_no_time():
    assert matching(["a" * 3000], "*a" * 20 + "b") == []
