"""A job's own options `unique_for` and `unique_until` follow Faktory Enterprise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from faktory_unique import InvalidJob, Policy, Unique
from faktory_unique._durations import MAX_SECONDS
from faktory_unique.locks.keys import lock_key
from faktory_unique.locks.transition import read_transition
from faktory_unique.policy.job_options import job_policy
from tests.unit.push_helpers import Faktory, job

MAIL = Policy(
    ttl="1h",
    until="expiry",
    exclusive=True,
    on_conflict="raise",
    on_death="keep",
    on_store_error="push",
    lease=20,
    scope="mail",
    by=[0],
)


@pytest.mark.parametrize("policy", [None, MAIL], ids=["no policy", "a policy"])
class TestOwnOptions:
    @pytest.mark.parametrize(
        ("custom", "ttl", "until"),
        [
            ({"unique_for": 600}, 600, "success"),
            ({"unique_for": 600.5}, 600.5, "success"),
            ({"unique_for": 1}, 1, "success"),
            ({"unique_for": MAX_SECONDS}, MAX_SECONDS, "success"),
            ({"unique_for": 600, "unique_until": None}, 600, "success"),
            ({"unique_for": 600, "unique_until": "success"}, 600, "success"),
            ({"unique_for": 600, "unique_until": "start"}, 600, "start"),
        ],
    )
    def test_it_is_unique_by_class_args_and_queue_for_unique_for(self, policy, custom, ttl, until):
        own = job_policy({"custom": custom}, policy)
        assert (own.ttl, own.until, own.renew, own.on_death) == (ttl, until, False, "release")
        assert (own.per_queue, own.scope, own.by, own.key) == (True, None, None, None)

    @pytest.mark.parametrize(
        "custom", [{"unique_for": False}, {"unique_for": False, "unique_until": "start"}]
    )
    def test_false_makes_one_job_not_unique(self, policy, custom):
        assert job_policy({"custom": custom}, policy) is None

    @pytest.mark.parametrize(
        "custom", [None, "text", {}, {"unique": 1}, {"unique_for": None}, {"unique_until": None}]
    )
    def test_without_options_the_policy_of_the_jobtype_counts(self, policy, custom):
        assert job_policy({"custom": custom}, policy) is policy
        assert job_policy({}, policy) is policy

    @pytest.mark.parametrize(
        ("custom", "message"),
        [
            ({"unique_for": "10m"}, "custom.unique_for: '10m' is not a number of seconds"),
            ({"unique_for": True}, "custom.unique_for: True is not a number of seconds"),
            ({"unique_for": [60]}, "custom.unique_for: [60] is not a number of seconds"),
            ({"unique_for": 0}, "custom.unique_for: 0 seconds; write 1 to 315360000"),
            ({"unique_for": 0.9}, "custom.unique_for: 0.9 seconds; write 1 to"),
            ({"unique_for": -5}, "custom.unique_for: -5 seconds; write 1 to"),
            ({"unique_for": MAX_SECONDS + 1}, "custom.unique_for: 315360001 seconds; write 1 to"),
            ({"unique_for": float("nan")}, "custom.unique_for: nan seconds; write 1 to"),
            ({"unique_for": float("inf")}, "custom.unique_for: inf seconds; write 1 to"),
            (
                {"unique_for": 60, "unique_until": "expiry"},
                "custom.unique_until: 'expiry' is neither",
            ),
            ({"unique_for": 60, "unique_until": True}, "custom.unique_until: True is neither"),
            ({"unique_for": 60, "unique_until": ""}, "custom.unique_until: '' is neither"),
            ({"unique_until": "start"}, "custom.unique_until: 'start' needs unique_for"),
            ({"unique_for": None, "unique_until": "start"}, "custom.unique_until: 'start' needs"),
        ],
    )
    def test_a_value_that_enterprise_refuses_is_named(self, policy, custom, message):
        with pytest.raises(InvalidJob) as caught:
            job_policy({"custom": custom}, policy)
        assert str(caught.value).startswith(message)


def test_other_fields_come_from_the_policy():
    own = job_policy({"custom": {"unique_for": 600}}, MAIL)
    fields = ("exclusive", "on_conflict", "enforce", "on_store_error", "lease")
    assert {n: getattr(own, n) for n in fields} == {n: getattr(MAIL, n) for n in fields}
    assert MAIL.until == "expiry"


def test_without_a_policy_other_fields_have_their_defaults():
    assert job_policy({"custom": {"unique_for": 600}}, None) == Policy(
        ttl=600, renew=False, per_queue=True
    )


def test_the_key_is_that_of_a_policy_per_queue():
    own = job_policy({"custom": {"unique_for": 600}}, Policy(key=lambda args: args[0]))
    assert lock_key(own, job(1)) == lock_key(Policy(per_queue=True), job(1))
    assert lock_key(own, job(1)) != lock_key(own, job(1, queue="other"))
    assert lock_key(own, job(1)) != lock_key(own, job(1, jobtype="Other"))


class TestPushed:
    @pytest.fixture
    def unique(self):
        return Unique("memory://", {"Email": Policy(ttl="1h", renew=True)})

    def lock(self, unique, result):
        return unique._context.store.run([read_transition(result.key)])[
            0
        ], unique._context.store.ttl(result.key)

    def test_a_job_without_a_policy_is_unique_by_its_options(self, unique):
        faktory, custom = Faktory(), {"unique_for": 600}
        [first] = unique.push([job(1, jobtype="Other", custom=custom)], faktory)
        [again] = unique.push([job(1, jid="other-jid", jobtype="Other", custom=custom)], faktory)
        assert (again.status, again.jid) == ("duplicate", first.jid)
        value, ttl = self.lock(unique, first)
        assert value == first.jid
        assert 599 < ttl <= 600

    def test_unique_for_false_pushes_an_equal_job(self, unique):
        faktory = Faktory()
        unique.push([job(1)], faktory)
        [equal] = unique.push([job(1, jid="other-jid", custom={"unique_for": False})], faktory)
        assert (equal.status, equal.key) == ("pushed", None)
        assert faktory.received[1][0]["custom"] == {"unique_for": False}

    def test_the_ttl_is_the_delay_plus_unique_for(self, unique):
        at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        [result] = unique.push([job(1, at=at, custom={"unique_for": 600})], Faktory())
        assert 4197 < self.lock(unique, result)[1] <= 4200

    def test_the_options_stay_in_custom_beside_the_stamp(self, unique):
        faktory = Faktory()
        unique.push([job(1, custom={"unique_for": 600, "unique_until": "start"})], faktory)
        custom = faktory.received[0][0]["custom"]
        assert (custom["unique_for"], custom["unique_until"]) == (600, "start")
        stamp = custom["unique"]
        assert (stamp["until"], stamp["ttl"], stamp["renew"]) == ("start", 600, False)

    def test_a_wrong_option_refuses_the_batch_before_any_write(self, unique):
        faktory = Faktory()
        wrong = job(2, jobtype="Other", custom={"unique_for": "10m"})
        with pytest.raises(
            InvalidJob, match=r"^jobs\[1\]\.custom\.unique_for: '10m' is not a number"
        ):
            unique.push([job(1), wrong], faktory)
        assert faktory.received == []
        assert unique._context.store.values() == {}

    def test_the_error_of_a_single_job_has_no_index(self, unique):
        with pytest.raises(InvalidJob, match=r"^custom\.unique_for: '10m' is not a number"):
            unique.push([job(1, custom={"unique_for": "10m"})], Faktory())

    @pytest.mark.parametrize("until", [["start"], {}, 5, True])
    def test_a_wrong_until_of_any_type_is_named(self, unique, until):
        wrong = job(1, custom={"unique_for": 600, "unique_until": until})
        with pytest.raises(InvalidJob, match=r"^custom\.unique_until: .* is neither"):
            unique.push([wrong], Faktory())

    def test_the_policy_may_have_any_callable_as_key(self):
        class Pick:
            __hash__ = None

            def __call__(self, args):
                return args[0]

        assert job_policy({"custom": {"unique_for": 600}}, Policy(key=Pick())).ttl == 600
