"""Which jids a process is pushing: one that is being pushed by one thread is not by another."""

from __future__ import annotations

from faktory_unique.unique.push_history import PushHistory


def test_whoever_comes_second_does_not_push_it():
    pushes, first = PushHistory(), object()
    assert pushes.begin(["a", "b"], first) == {"a", "b"}
    assert pushes.begin(["b", "c"], object()) == {"c"}
    pushes.end(["a", "b"], first)
    assert pushes.begin(["b"], object()) == {"b"}


def test_whoever_comes_second_does_not_end_it():
    """Each ends what it has tried to begin."""
    pushes, second = PushHistory(), object()
    pushes.begin(["a"], object())
    pushes.begin(["a"], second)
    pushes.end(["a"], second)
    assert pushes.begin(["a"], object()) == set()
