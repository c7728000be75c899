"""The chain: the first outermost, and an empty one is the bare call."""

from __future__ import annotations

from datetime import timedelta

import pytest

from faktory_unique import Middleware, PushResult, PushStatus, Requeue, RetryLater
from faktory_unique.middleware import compose, require_one_result_each, validated_chain


class Named(Middleware):
    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    def ack(self, job, call_next):
        self.seen.append(f"{self.name} in")
        answer = call_next(job)
        self.seen.append(f"{self.name} out")
        return answer


def bare(job):
    return job


@pytest.mark.parametrize("middleware", [[], [Middleware()], [Named("a", [])]])
def test_without_anything_to_do_at_a_verb_it_is_the_bare_call(middleware):
    assert compose(middleware, "push", bare) is bare


def test_the_first_is_outermost():
    seen = []
    call = compose([Named("a", seen), Middleware(), Named("b", seen)], "ack", bare)
    assert call("job") == "job"
    assert seen == ["a in", "b in", "b out", "a out"]


@pytest.mark.parametrize("verb", ["push", "fetch", "perform", "ack"])
def test_the_base_calls_on_and_answers_what_it_is_answered(verb):
    assert getattr(Middleware(), verb)("job", lambda job: (job, "answer")) == ("job", "answer")


def test_the_base_hands_on_the_error_too():
    assert Middleware().fail("job", "error", lambda *told: told) == ("job", "error")


@pytest.mark.parametrize(
    ("wrong", "told"), [(Named, r"pass Named\(\)"), (bare, "is no instance"), (None, "None")]
)
def test_what_is_no_middleware_is_named(wrong, told):
    with pytest.raises(TypeError, match=told):
        validated_chain([Middleware(), wrong])


@pytest.mark.parametrize(
    ("status", "true"),
    [(status, status in {"pushed", "unguarded", "observed"}) for status in PushStatus],
)
def test_a_result_is_true_when_pushed(status, true):
    assert bool(PushResult(status=status, jid="j", submitted_jid="j")) is true


def test_there_is_a_result_for_each_job():
    with pytest.raises(RuntimeError, match="1 results for 2 jobs"):
        require_one_result_each(
            [PushResult(status=PushStatus.PUSHED, jid="j", submitted_jid="j")], [{}, {}]
        )


def test_a_middleware_that_answers_nothing_is_told_what_to_answer():
    with pytest.raises(RuntimeError, match="no list of results for 1 jobs"):
        require_one_result_each(None, [{}])


def test_a_single_middleware_is_told_to_be_a_list():
    with pytest.raises(TypeError, match=r"middleware is a list: pass \["):
        validated_chain(Middleware())


def test_a_middleware_that_stands_twice_is_refused():
    twice = Middleware()
    with pytest.raises(ValueError, match="stands twice"):
        validated_chain([twice, Middleware(), twice])


@pytest.mark.parametrize("delay", ["5", None, -1, float("nan"), float("inf")])
def test_a_delay_that_is_no_number_of_seconds_is_refused(delay):
    with pytest.raises(ValueError, match="a delay is a number of seconds"):
        Requeue(delay)


def test_a_delay_may_be_nothing_or_a_fraction():
    assert (Requeue(0).delay, Requeue(0.5).delay) == (0, 0.5)


@pytest.mark.parametrize("delay", [90, "90", "1m30s", timedelta(seconds=90)])
def test_retry_later_takes_any_duration(delay):
    assert RetryLater(delay).requeue == Requeue(90)


@pytest.mark.parametrize("delay", [-1, "soon", None, True, 10**12])
def test_retry_later_refuses_what_is_no_duration(delay):
    with pytest.raises(ValueError, match=r"duration|number of seconds"):
        RetryLater(delay)


def test_a_middleware_changes_nothing_of_its_own():
    every = Middleware()
    assert every.requeue({}, 5, lambda _job, delay: delay) == 5
