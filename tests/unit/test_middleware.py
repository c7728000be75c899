"""A middleware chain calls the first middleware first; an empty chain is the bare call."""

from __future__ import annotations

from datetime import timedelta

import pytest

from faktory_unique import Middleware, PushResult, PushStatus, Requeue, RetryLater
from faktory_unique.middleware import compose, validated_chain
from faktory_unique.results import require_one_result_each


class Named(Middleware):
    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def ack(self, job, call_next):
        self.calls.append(f"{self.name} in")
        status = call_next(job)
        self.calls.append(f"{self.name} out")
        return status


def bare(job):
    return job


@pytest.mark.parametrize("middleware", [[], [Middleware()], [Named("a", [])]])
def test_a_chain_that_overrides_nothing_is_the_bare_call(middleware):
    assert compose(middleware, "push", bare) is bare


def test_the_first_middleware_is_outermost():
    calls = []
    call = compose([Named("a", calls), Middleware(), Named("b", calls)], "ack", bare)
    assert call("job") == "job"
    assert calls == ["a in", "b in", "b out", "a out"]


@pytest.mark.parametrize("verb", ["push", "fetch", "perform", "ack"])
def test_the_base_class_returns_the_result_of_call_next(verb):
    assert getattr(Middleware(), verb)("job", lambda job: (job, "result")) == ("job", "result")


def test_the_base_class_passes_on_the_error_of_fail():
    assert Middleware().fail("job", "error", lambda *args: args) == ("job", "error")


@pytest.mark.parametrize(
    ("wrong", "message"), [(Named, r"pass Named\(\)"), (bare, "is not an instance"), (None, "None")]
)
def test_an_item_that_is_no_middleware_is_named(wrong, message):
    with pytest.raises(TypeError, match=message):
        validated_chain([Middleware(), wrong])


@pytest.mark.parametrize(
    ("status", "true"),
    [(status, status in {"pushed", "unguarded", "observed"}) for status in PushStatus],
)
def test_a_result_is_true_if_the_job_was_pushed(status, true):
    assert bool(PushResult(status=status, jid="j", submitted_jid="j")) is true


def test_a_missing_result_is_an_error():
    with pytest.raises(RuntimeError, match="1 results for 2 jobs"):
        require_one_result_each(
            [PushResult(status=PushStatus.PUSHED, jid="j", submitted_jid="j")], [{}, {}]
        )


def test_a_push_that_returns_none_is_an_error():
    with pytest.raises(RuntimeError, match="no list of results for 1 jobs"):
        require_one_result_each(None, [{}])


def test_a_single_middleware_must_be_in_a_list():
    with pytest.raises(TypeError, match=r"middleware is a list: pass \["):
        validated_chain(Middleware())


def test_a_middleware_that_is_in_the_chain_twice_is_refused():
    twice = Middleware()
    with pytest.raises(ValueError, match="is in the chain twice"):
        validated_chain([twice, Middleware(), twice])


@pytest.mark.parametrize("delay", ["5", None, -1, float("nan"), float("inf")])
def test_a_delay_that_is_no_number_of_seconds_is_refused(delay):
    with pytest.raises(ValueError, match="is not a number of seconds from 0 to"):
        Requeue(delay)


def test_a_delay_may_be_zero_or_a_fraction():
    assert (Requeue(0).delay, Requeue(0.5).delay) == (0, 0.5)


@pytest.mark.parametrize("delay", [90, "90", "1m30s", timedelta(seconds=90)])
def test_retry_later_takes_any_duration(delay):
    assert RetryLater(delay).requeue == Requeue(90)


@pytest.mark.parametrize("delay", [-1, "soon", None, True, 10**12])
def test_retry_later_refuses_a_wrong_duration(delay):
    with pytest.raises(ValueError, match=r"duration|number of seconds"):
        RetryLater(delay)


def test_the_base_class_passes_on_the_delay_of_requeue():
    middleware = Middleware()
    assert middleware.requeue({}, 5, lambda _job, delay: delay) == 5
