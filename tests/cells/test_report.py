"""Cells of ACK and FAIL: in time, late, withheld and with an unknown reply."""

from __future__ import annotations

import pytest

from faktory_unique import ReportStatus
from faktory_unique.locks.transition import held

ENDS = {"retry": 0}, {"retry": -1}
UNTIL_OTHERS = pytest.mark.parametrize("until", ["start", "expiry"])


class TestAck:
    def test_ack_in_time_releases_until_success(self, harness):
        unique = harness.unique()
        result = harness.push(unique)
        assert harness.ack(harness.fetch(unique)) is ReportStatus.ACCEPTED
        assert harness.lock(result) is None
        assert harness.sizes()["working"] == 0
        assert harness.events()[-1] == "released"

    @UNTIL_OTHERS
    def test_ack_in_time_changes_no_other_lock(self, harness, until):
        unique = harness.unique(until=until)
        result = harness.push(unique)
        harness.ack(harness.fetch(unique))
        assert harness.lock(result) == (held(result.jid) if until == "expiry" else None)

    @pytest.mark.parametrize("arrives", [True, False])
    def test_unknown_ack_is_resent_and_releases(self, harness, monkeypatch, arrives):
        unique = harness.unique()
        result, fetched = harness.push_and_fetch(unique)
        harness.lose(monkeypatch, "ACK", arrives=arrives)
        assert harness.ack(fetched) is ReportStatus.ACCEPTED
        assert harness.lock(result) is None
        assert harness.sizes()["working"] == 0

    @pytest.mark.parametrize("late", [60, 69])
    def test_late_ack_keeps_the_lock_for_the_rerun(self, fake, late):
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique)
        fake.faktory.clock.advance(late)
        assert fake.ack(fetched) is ReportStatus.LATE
        assert fake.lock(result) == held(result.jid)

    @pytest.mark.parametrize("end", ENDS)
    def test_late_ack_releases_if_the_expiry_ended_the_job(self, fake, end):
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique, **end)
        fake.faktory.clock.advance(65)
        assert fake.ack(fetched) is ReportStatus.LATE
        assert fake.lock(result) is None

    def test_late_ack_keeps_the_lock_if_death_keeps_it(self, fake):
        unique = fake.unique(on_death="keep")
        result, fetched = fake.push_and_fetch(unique, retry=-1)
        fake.faktory.clock.advance(65)
        assert fake.ack(fetched) is ReportStatus.LATE
        assert fake.lock(result) == held(result.jid)

    def test_late_unknown_ack_is_not_resent(self, fake, monkeypatch):
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique)
        fake.faktory.clock.advance(61)
        fake.lose(monkeypatch, "ACK", arrives=False)
        assert fake.ack(fetched) is ReportStatus.UNKNOWN
        assert fake.lock(result) == held(result.jid)

    def test_later_ack_is_withheld_because_of_the_rerun(self, fake):
        """By then another worker may have the job: the ACK would end an unfinished run."""
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
    def test_late_ack_changes_no_other_lock(self, fake, until, end):
        unique = fake.unique(until=until)
        result, fetched = fake.push_and_fetch(unique, **end)
        fake.faktory.clock.advance(65)
        fake.ack(fetched)
        assert fake.lock(result) == (held(result.jid) if until == "expiry" else None)


class TestFail:
    def test_retried_job_keeps_its_hold(self, harness):
        unique = harness.unique()
        result, fetched = harness.push_and_fetch(unique)
        ttl = harness.ttl(result)
        assert harness.fail(fetched) is ReportStatus.ACCEPTED
        assert harness.sizes()["retries"] == 1
        assert harness.lock(result) == held(result.jid)
        assert ttl - 2 <= harness.ttl(result) <= ttl
        assert not harness.push(unique)

    def test_dead_job_releases_its_lock(self, harness):
        unique = harness.unique()
        result = harness.push(unique, retry=-1)
        assert harness.fail(harness.fetch(unique)) is ReportStatus.ACCEPTED
        assert harness.sizes()["dead"] == 1
        assert harness.lock(result) is None
        assert harness.events()[-1] == "released"

    def test_dead_job_with_keep_makes_duplicates_for_ttl(self, harness):
        unique = harness.unique(on_death="keep")
        result = harness.push(unique, retry=-1)
        harness.fail(harness.fetch(unique))
        assert harness.sizes()["dead"] == 1
        assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), 600)
        assert not harness.push(unique)

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_retried_job_that_never_started_keeps_its_lock(self, harness, until):
        """It has no handler, or another middleware raised: no hold was applied."""
        unique = harness.unique(until=until)
        result, fetched = harness.push_and_fetch(unique, jobtype="Unknown::Job")
        assert not fetched.runs
        assert harness.handle(fetched) is ReportStatus.ACCEPTED
        assert harness.sizes()["retries"] == 1
        assert harness.lock(result) == held(result.jid)
        assert harness.ttl(result) == (15 + 29 + 10) + 600

    @pytest.mark.parametrize("until", ["success", "start"])
    def test_dead_job_that_never_started_releases_its_lock(self, harness, until):
        unique = harness.unique(until=until)
        result = harness.push(unique, jobtype="Unknown::Job", retry=-1)
        harness.handle(harness.fetch(unique))
        assert harness.sizes()["dead"] == 1
        assert harness.lock(result) is None

    @pytest.mark.parametrize("on_death", ["release", "keep"])
    def test_dropped_job_releases_its_lock(self, harness, on_death):
        unique = harness.unique(on_death=on_death)
        result = harness.push(unique, retry=0)
        assert harness.fail(harness.fetch(unique)) is ReportStatus.ACCEPTED
        assert sum(harness.sizes().values()) == 0
        assert harness.lock(result) is None

    def test_lock_is_released_at_death_after_the_retries_only(self, fake):
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
    def test_fail_changes_no_other_lock(self, harness, until, retry):
        unique = harness.unique(until=until)
        result = harness.push(unique, retry=retry)
        harness.fail(harness.fetch(unique))
        assert harness.lock(result) == (held(result.jid) if until == "expiry" else None)

    @pytest.mark.parametrize("arrives", [True, False])
    def test_unknown_fail_is_resent_and_not_found_means_accepted(
        self, harness, monkeypatch, arrives
    ):
        unique = harness.unique()
        result, fetched = harness.push_and_fetch(unique, retry=-1)
        harness.lose(monkeypatch, "FAIL", arrives=arrives)
        assert harness.fail(fetched) is ReportStatus.ACCEPTED
        assert harness.sizes()["dead"] == 1
        assert harness.lock(result) is None

    def test_fail_not_found_at_once_keeps_the_lock(self, harness):
        unique = harness.unique()
        result, fetched = harness.push_and_fetch(unique, retry=-1)
        harness.client._ack(fetched.job["jid"])
        assert harness.fail(fetched) is ReportStatus.REFUSED
        assert harness.lock(result) == held(result.jid)

    @pytest.mark.parametrize("end", ENDS)
    def test_late_fail_releases_if_it_ends_the_job(self, fake, end):
        fake.advance(5)  # the server looks for expired reservations 5 s before and 10 s after
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

    def test_late_fail_of_a_retried_job_keeps_its_hold(self, fake):
        fake.advance(5)
        unique = fake.unique()
        result, fetched = fake.push_and_fetch(unique)
        fake.faktory.clock.advance(63)
        assert fake.fail(fetched) is ReportStatus.LATE
        assert fake.sizes()["retries"] == 1
        assert fake.lock(result) == held(result.jid)

    def test_later_fail_is_withheld(self, fake):
        """It would end the reservation of the worker that has the job by then."""
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
    """Its worker died. The hold covers the longest silence, at each of its attempts."""
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
