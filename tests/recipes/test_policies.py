"""The recipes that are a policy, as printed in docs/recipes.md."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.recipes.page import BLOCKS, PAGE

SOON = ("timedelta(seconds=30)", "timedelta(seconds=3)")


def test_blocks_of_the_page_are_files_and_compile():
    for name, block in BLOCKS.items():
        compile(block, name, "exec")
    assert PAGE.count("```python") == len(BLOCKS)


class TestAtMostOnePerHour:
    def test_push_after_the_first_run_is_a_duplicate(self, recipe, wait_for, all_done):
        report = recipe("report.py")
        first = report.module.request_report(7)
        again = report.module.request_report(7)
        assert (first.status, again.status, again.jid) == ("pushed", "duplicate", first.jid)
        assert report.module.request_report(8)
        report.work()
        all_done()
        assert len(report.lines()) == 2
        again = report.module.request_report(7)
        assert (again.status, again.jid) == ("duplicate", first.jid)
        assert 3_500 < report.module.unique.holder("AccountReport", [7]).ttl <= 3_600
        assert report.module.unique.release("AccountReport", [7])
        assert report.module.request_report(7)

    def test_push_after_the_hour_is_queued(self, recipe, wait_for, all_done):
        report = recipe("report.py", an_hour=('ttl="1h"', 'ttl="2s"'))
        since = time.monotonic()
        report.module.request_report(7)
        report.work()
        all_done()
        wait_for(lambda: report.module.request_report(7))
        assert time.monotonic() - since + 0.1 >= 2
        wait_for(lambda: report.lines() == ["report for 7"] * 2)


def test_job_that_pushes_its_successor_runs_page_by_page(recipe, all_done):
    feed = recipe("feed.py")
    worker = feed.work()
    assert feed.module.push_page(7, 1)
    all_done()
    assert feed.lines() == ["feed 7, page 1", "feed 7, page 2", "feed 7, page 3"]
    assert "a handler pushed its own work" not in worker.log()


def test_job_that_pushes_itself_is_warned_of(recipe, all_done):
    """Without a counter in its args it is a duplicate of itself."""
    feed = recipe(
        "feed.py",
        same_page=(
            "push_page(feed_id, page + 1)",
            "print(push_page(feed_id, page).of_running_job, flush=True)",
        ),
    )
    worker = feed.work()
    assert not feed.module.push_page(7, 1).of_running_job
    assert feed.module.push_page(7, 2)
    all_done()
    assert sorted(feed.lines()) == ["True", "True", "feed 7, page 1", "feed 7, page 2"]
    assert (
        "a handler pushed its own work, which is a duplicate of itself: jobtype=ImportPage"
        in worker.log()
    )


def test_debounce_runs_only_the_newest(recipe, wait_for, all_done, capsys):
    reindex = recipe("reindex.py", soon=SOON)
    worker = reindex.work()
    first, second, third = (reindex.module.document_saved(7, revision) for revision in (1, 2, 3))
    assert (first.replaced, second.replaced, third.replaced) == (None, first.jid, second.jid)
    assert capsys.readouterr().out == (
        f"revision 2 replaces job {first.jid}\nrevision 3 replaces job {second.jid}\n"
    )
    assert all([first, second, third])
    reindex.module.document_saved(8, 1)
    all_done()
    assert sorted(reindex.lines()) == [
        "document 7 as of revision 3",
        "document 8 as of revision 1",
    ]
    superseded = [line for line in worker.log().splitlines() if "superseded" in line]
    assert sorted(jid in " ".join(superseded) for jid in (first.jid, second.jid)) == [True] * 2
    assert len(superseded) == 2
    assert not list(reindex.module.unique.locks())


def test_debounced_exclusive_job_waits_for_the_running_one(recipe, wait_for, all_done):
    """The page says to add `exclusive=True` if runs must not overlap.

    The first run takes longer than the promotion of the second job, which can skip a tick: 10 s.
    """
    run = 'print(f"document {document_id} as of revision {revision}", flush=True)'
    reindex = recipe(
        "reindex.py",
        soon=("timedelta(seconds=30)", "timedelta(seconds=1)"),
        exclusive=("by=[0]", "by=[0], exclusive=True"),
        longer=(run, f"{run}\n    import time; time.sleep(13); print('end', flush=True)"),
    )
    worker = reindex.work()
    first = reindex.module.document_saved(7, 1)
    wait_for(reindex.lines)
    assert reindex.module.document_saved(7, 2).replaced == first.jid
    all_done()
    assert "run_blocked" in worker.log()
    runs = [f"document 7 as of revision {revision}" for revision in (1, 2)]
    assert reindex.lines() == [runs[0], "end", runs[1], "end"]


def test_syncs_of_a_customer_never_overlap(recipe, wait_for, all_done):
    sync = recipe("sync.py")
    sync.work()
    sync.work()
    pushed = [sync.module.customer_changed(7, "first")]
    wait_for(lambda: "7 begin first" in sync.lines())
    waiting = sync.module.customer_changed(7, "second")
    duplicate = sync.module.customer_changed(7, "third")
    pushed += [waiting, sync.module.customer_changed(8, "first")]
    assert all(pushed)
    assert (duplicate.status, duplicate.jid) == ("duplicate", waiting.jid)
    all_done()
    of_7 = [line for line in sync.lines() if line.startswith("7")]
    assert of_7 == ["7 begin first", "7 end first", "7 begin second", "7 end second"]
    assert sync.lines().index("8 begin first") < sync.lines().index("7 end first")


def test_waiting_for_the_run_lock_spends_no_retry(recipe, wait_for, all_done):
    """A job with no retries waits all the same."""
    sync = recipe("sync.py", no_retries=("reserve_for=60", "reserve_for=60, retry=0"))
    worker = sync.work()
    sync.module.customer_changed(7, "first")
    wait_for(lambda: "7 begin first" in sync.lines())
    sync.module.customer_changed(7, "second")
    wait_for(lambda: "run_blocked" in worker.log())
    all_done()
    assert sync.lines()[-1] == "7 end second"


def test_push_while_running_is_queued(recipe, wait_for, all_done):
    totals = recipe("totals.py")
    first = totals.module.sale_recorded(7)
    while_queued = totals.module.sale_recorded(7)
    assert (while_queued.status, while_queued.jid) == ("duplicate", first.jid)
    totals.work()
    wait_for(lambda: totals.lines() == ["7 begin"])
    while_running = totals.module.sale_recorded(7)
    assert while_running.status == "pushed"
    all_done()
    assert Counter(totals.lines()) == {"7 begin": 2, "7 end": 2}
    assert totals.lines()[:2] == ["7 begin", "7 begin"]  # they overlap, as the page says


def test_observed_duplicates_are_counted_and_run(recipe, wait_for, all_done):
    observing = recipe("observing.py")
    statuses = [observing.module.welcome(user_id).status for user_id in (7, 7, 8, 7)]
    assert statuses == ["pushed", "observed", "pushed", "observed"]
    assert observing.module.observed == {"Welcome": 2}
    observing.work()
    all_done()
    assert Counter(observing.lines()) == {"welcome 7": 3, "welcome 8": 1}
    assert not list(observing.module.unique.locks())
    assert observing.module.welcome(2**60)  # JSON cannot carry it; there is no exception


@pytest.mark.parametrize("heading", ["No lost update while running", "Unique only while queued"])
def test_policy_stands_under_both_headings(heading):
    [section] = [part for part in PAGE.split("\n## ") if part.startswith(f"{heading}\n")]
    assert 'until="start"' in section
