"""`PushHistory`: while one thread pushes a jid, no other thread of the process does."""

from __future__ import annotations

from faktory_unique.unique.push_history import PushHistory


def test_second_thread_does_not_push_a_jid_in_progress():
    pushes, first = PushHistory(), object()
    assert pushes.begin(["a", "b"], first) == {"a", "b"}
    assert pushes.begin(["b", "c"], object()) == {"c"}
    pushes.end(["a", "b"], first)
    assert pushes.begin(["b"], object()) == {"b"}


def test_second_thread_does_not_end_the_first_push():
    """Each thread ends all jids that it has tried to begin."""
    pushes, second = PushHistory(), object()
    pushes.begin(["a"], object())
    pushes.begin(["a"], second)
    pushes.end(["a"], second)
    assert pushes.begin(["a"], object()) == set()
