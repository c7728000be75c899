"""What a push told its caller, and whether it is so."""

from __future__ import annotations

from faktory_unique import PushStatus


class ResultTruth:
    """The results of one world's pushes.

    Args:
        truth: of the world.
    """

    def __init__(self, truth):
        self._truth = truth

    def check(self, results, before):
        """What a push told its caller must be so; `before`: the jids that were there already."""
        for result in results:
            there = self._is_there(result.jid)
            if result and not there:
                self._truth.broke("untrue", f"{result.jid} was said to be pushed")
            if result.status is PushStatus.DUPLICATE:
                self._check_duplicate(result)
            if result and there:
                self._check_place(result)
            refused = result.status in {PushStatus.REFUSED, PushStatus.NOT_SENT}
            if refused and there and result.jid not in before:
                self._truth.broke("untrue", f"{result.jid} was said to be {result.status}")

    def _check_place(self, result):
        """What was pushed in the place of another has it, or it was said that it has not."""
        jobs = self._truth.jobs
        work, replaced = jobs.work_of(jobs.job(result.jid)), self._truth.works.get(result.replaced)
        stood_still = self._truth.struck.any_stood_still(work.touched)
        if result.confirmed and work.is_live and not (work.in_place or stood_still):
            self._truth.broke("untrue", f"{work.owner} was said to have its place")
        if replaced is not None and not (replaced.replaced or self._truth.struck.anybody):
            self._truth.broke("not replaced", f"{replaced.owner}, by {work.owner}")

    def _check_duplicate(self, result):
        """A duplicate names the work that is there, or that another push is about to bring."""
        if not (self._truth.locks.has_had(result.jid) or self._is_there(result.jid)):
            self._truth.broke("untrue", f"{result.jid}, which never had a lock, was said to be it")
        elif result.confirmed and not (
            result.jid in self._truth.works or self._is_there(result.jid)
        ):
            self._truth.broke("untrue", f"{result.jid}, never accepted, was said to be confirmed")

    def _is_there(self, jid):
        """Whether a job of this jid was accepted."""
        return jid in self._truth.jobs.jids()
