"""The rows of ACK and FAIL, in all their bands, and what an unknown answer means."""

from __future__ import annotations

import pytest

from faktory_unique import ReportStatus
from faktory_unique.locks.transition import held

ENDS = {"retry": 0}, {"retry": -1}
UNTIL_OTHERS = pytest.mark.parametrize("until", ["start", "expiry"])


class TestAck:
    def test_in_time_until_success_it_is_freed(self, ground):
        unique = ground.unique()
        result = ground.push(unique)
        assert ground.ack(ground.fetch(unique)) is ReportStatus.ACCEPTED
        assert ground.lock(result) is None
        assert ground.sizes()["working"] == 0
        assert ground.events()[-1] == "released"

    @UNTIL_OTHERS
    def test_in_time_else_nothing_is_done(self, ground, until):
        unique = ground.unique(until=until)
        result = ground.push(unique)
        ground.ack(ground.fetch(unique))
        assert ground.lock(result) == (held(result.jid) if until == "expiry" else None)

    @pytest.mark.parametrize("arrives", [True, False])
    def test_unknown_it_is_sent_again_and_then_freed(self, ground, monkeypatch, arrives):
        unique = ground.unique()
        result, fetched = ground.push_and_fetch(unique)
        ground.losing(monkeypatch, "ACK", arrives=arrives)
        assert ground.ack(fetched) is ReportStatus.ACCEPTED
        assert ground.lock(result) is None
        assert ground.sizes()["working"] == 0

    @pytest.mark.parametrize("late", [60, 69])
    def test_late_it_is_kept_for_the_rerun_which_frees_it(self, fake, late):
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique)
        fake.faktory.clock.advance(late)
        assert fake.ack(fetched) is ReportStatus.LATE
        assert fake.lock(result) == held(result.jid)

    @pytest.mark.parametrize("end", ENDS)
    def test_late_where_the_expiry_was_the_end_it_is_freed(self, fake, end):
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique, **end)
        fake.faktory.clock.advance(65)
        assert fake.ack(fetched) is ReportStatus.LATE
        assert fake.lock(result) is None

    def test_late_where_death_keeps_it_it_is_kept(self, fake):
        unique = fake.unique(on_death="keep")
        result, fetched = fake.push_and_fetch(unique, retry=-1)
        fake.faktory.clock.advance(65)
        assert fake.ack(fetched) is ReportStatus.LATE
        assert fake.lock(result) == held(result.jid)

    def test_late_and_unknown_it_is_not_sent_again(self, fake, monkeypatch):
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique)
        fake.faktory.clock.advance(61)
        fake.losing(monkeypatch, "ACK", arrives=False)
        assert fake.ack(fetched) is ReportStatus.UNKNOWN
        assert fake.lock(result) == held(result.jid)

    def test_later_report_is_withheld_for_the_reruns_sake(self, fake):
        """By then another worker can have the job: the ACK would end its run unfinished."""
        unique = fake.unique()
        result = fake.push(unique)
        slow = fake.fetch(unique)
        fake.advance(150)
        again = fake.fetch(unique)
        assert again.job["jid"] == slow.job["jid"]
        assert fake.ack(slow) is ReportStatus.WITHHELD
        assert fake.sizes()["working"] == 1
        assert fake.lock(result) == held(result.jid)
        assert fake.ack(again) is ReportStatus.ACCEPTED
        assert fake.lock(result) is None

    @UNTIL_OTHERS
    @pytest.mark.parametrize("end", ENDS)
    def test_late_else_nothing_is_done(self, fake, until, end):
        unique = fake.unique(until=until)
        result, fetched = fake.push_and_fetch(unique, **end)
        fake.faktory.clock.advance(65)
        fake.ack(fetched)
        assert fake.lock(result) == (held(result.jid) if until == "expiry" else None)


class TestFail:
    def test_to_be_retried_the_hold_stands(self, ground):
        unique = ground.unique()
        result, fetched = ground.push_and_fetch(unique)
        ttl = ground.ttl(result)
        assert ground.fail(fetched) is ReportStatus.ACCEPTED
        assert ground.sizes()["retries"] == 1
        assert ground.lock(result) == held(result.jid)
        assert ttl - 2 <= ground.ttl(result) <= ttl
        assert not ground.push(unique)

    def test_dead_it_is_freed(self, ground):
        unique = ground.unique()
        result = ground.push(unique, retry=-1)
        assert ground.fail(ground.fetch(unique)) is ReportStatus.ACCEPTED
        assert ground.sizes()["dead"] == 1
        assert ground.lock(result) is None
        assert ground.events()[-1] == "released"

    def test_dead_and_kept_its_equal_is_a_duplicate_for_ttl(self, ground):
        unique = ground.unique(on_death="keep")
        result = ground.push(unique, retry=-1)
        ground.fail(ground.fetch(unique))
        assert ground.sizes()["dead"] == 1
        assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), 600)
        assert not ground.push(unique)

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_one_that_was_never_begun_keeps_its_lock_for_its_retry(self, ground, until):
        """For want of a handler, or by another middleware's exception: nothing has held it."""
        unique = ground.unique(until=until)
        result, fetched = ground.push_and_fetch(unique, jobtype="Unheard::Of")
        assert not fetched.runs
        assert ground.handle(fetched) is ReportStatus.ACCEPTED
        assert ground.sizes()["retries"] == 1
        assert ground.lock(result) == held(result.jid)
        assert ground.ttl(result) == (15 + 29 + 10) + 600

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_one_that_was_never_begun_and_is_dead_has_no_lock(self, ground, until):
        unique = ground.unique(until=until)
        result = ground.push(unique, jobtype="Unheard::Of", retry=-1)
        ground.handle(ground.fetch(unique))
        assert ground.sizes()["dead"] == 1
        assert ground.lock(result) is None

    @pytest.mark.parametrize("on_death", ["release", "keep"])
    def test_dropped_it_is_freed(self, ground, on_death):
        unique = ground.unique(on_death=on_death)
        result = ground.push(unique, retry=0)
        assert ground.fail(ground.fetch(unique)) is ReportStatus.ACCEPTED
        assert sum(ground.sizes().values()) == 0
        assert ground.lock(result) is None

    def test_dead_after_its_retries_it_is_freed_then_and_not_before(self, fake):
        unique = fake.unique()
        result = fake.push(unique, retry=2)
        for failures in range(2):
            fake.fail(fake.fetch(unique))
            assert fake.sizes()["retries"] == 1
            assert fake.lock(result) == held(result.jid), failures
            fake.advance(120)
        fake.fail(fake.fetch(unique))
        assert fake.sizes()["dead"] == 1
        assert fake.lock(result) is None

    @UNTIL_OTHERS
    @pytest.mark.parametrize("retry", [0, -1, 3])
    def test_else_nothing_is_done(self, ground, until, retry):
        unique = ground.unique(until=until)
        result = ground.push(unique, retry=retry)
        ground.fail(ground.fetch(unique))
        assert ground.lock(result) == (held(result.jid) if until == "expiry" else None)

    @pytest.mark.parametrize("arrives", [True, False])
    def test_unknown_fail_is_resent_and_not_found_means_accepted(
        self, ground, monkeypatch, arrives
    ):
        unique = ground.unique()
        result, fetched = ground.push_and_fetch(unique, retry=-1)
        ground.losing(monkeypatch, "FAIL", arrives=arrives)
        assert ground.fail(fetched) is ReportStatus.ACCEPTED
        assert ground.sizes()["dead"] == 1
        assert ground.lock(result) is None

    def test_not_found_at_the_first_it_is_kept(self, ground):
        unique = ground.unique()
        result, fetched = ground.push_and_fetch(unique, retry=-1)
        ground.client._ack(fetched.job["jid"])
        assert ground.fail(fetched) is ReportStatus.REFUSED
        assert ground.lock(result) == held(result.jid)

    @pytest.mark.parametrize("end", ENDS)
    def test_late_it_is_freed_where_it_was_the_end(self, fake, end):
        fake.advance(5)  # expired reservations are looked for every 15 s: 5 s before, 10 s after
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique, **end)
        fake.faktory.clock.advance(63)
        assert fake.fail(fetched) is ReportStatus.LATE
        assert fake.lock(result) is None

    @pytest.mark.parametrize("end", ENDS)
    def test_fail_after_the_expiry_is_refused_and_the_lock_lapses(self, fake, end):
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique, **end)
        fake.faktory.clock.advance(65)
        assert fake.fail(fetched) is ReportStatus.REFUSED
        assert fake.lock(result) == held(result.jid)
        fake.advance(30)
        assert fake.lock(result) is None

    def test_late_to_be_retried_the_hold_stands(self, fake):
        fake.advance(5)
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique)
        fake.faktory.clock.advance(63)
        assert fake.fail(fetched) is ReportStatus.LATE
        assert fake.sizes()["retries"] == 1
        assert fake.lock(result) == held(result.jid)

    def test_later_still_it_is_not_sent(self, fake):
        """It would take the reservation of the worker that has the job by then."""
        unique = fake.unique()
        result = fake.push(unique)
        slow = fake.fetch(unique)
        fake.advance(150)
        again = fake.fetch(unique)
        assert fake.fail(slow) is ReportStatus.WITHHELD
        assert fake.sizes()["working"] == 1
        assert fake.ack(again) is ReportStatus.ACCEPTED
        assert fake.lock(result) is None


def test_unreported_job_keeps_its_lock_until_its_rerun(fake):
    """A worker that died: the longest silence is covered, at each of its attempts."""
    unique = fake.unique(ttl=1)
    result = fake.push(unique, retry=2)
    for _ in range(2):
        fake.fetch(unique)
        while not fake.sizes()["queued"]:
            assert fake.lock(result) == held(result.jid)
            fake.advance(1)
    fake.fetch(unique)
    while not fake.sizes()["dead"]:
        assert fake.lock(result) == held(result.jid)
        fake.advance(1)
    fake.advance(30)
    assert fake.lock(result) is None
