"""Checks of push results: each must say what really happened to its job."""

from __future__ import annotations

from faktory_unique import PushStatus


class ResultChecker:
    """The checks of all push results of one world.

    Args:
        checker: the checker of the world.
    """

    def __init__(self, checker):
        self._checker = checker

    def check(self, results, before):
        """Check the results of one push.

        Args:
            results: as the push returned them.
            before: the jids that were on the server before the push.
        """
        for result in results:
            accepted = self._is_accepted(result.jid)
            if result and not accepted:
                self._checker.add_breach("untrue", f"{result.jid} was reported as pushed")
            if result.status is PushStatus.DUPLICATE:
                self._check_duplicate(result)
            if result and accepted:
                self._check_replacement(result)
            refused = result.status in {PushStatus.REFUSED, PushStatus.NOT_SENT}
            if refused and accepted and result.jid not in before:
                self._checker.add_breach("untrue", f"{result.jid} was reported as {result.status}")

    def _check_replacement(self, result):
        """Check that a job that replaces another has its lock, unless its result says otherwise."""
        jobs = self._checker.jobs
        work = jobs.work_of(jobs.job(result.jid))
        replaced = self._checker.works.get(result.replaced)
        was_stopped = self._checker.fault_log.any_stopped(work.processes_involved)
        if result.confirmed and work.is_live and not (work.has_lock or was_stopped):
            self._checker.add_breach("untrue", f"{work.owner} was reported to have its lock")
        if replaced is not None and not (replaced.replaced or self._checker.fault_log.any_fault):
            self._checker.add_breach("not replaced", f"{replaced.owner}, by {work.owner}")

    def _check_duplicate(self, result):
        """Check that a duplicate names work that is on the server, or about to be pushed."""
        if not (self._checker.locks.ever_had_lock(result.jid) or self._is_accepted(result.jid)):
            self._checker.add_breach(
                "untrue", f"{result.jid}, which never had a lock, was reported as its holder"
            )
        elif result.confirmed and not (
            result.jid in self._checker.works or self._is_accepted(result.jid)
        ):
            self._checker.add_breach(
                "untrue", f"{result.jid}, never accepted, was reported as confirmed"
            )

    def _is_accepted(self, jid):
        """Return whether a job with this jid was accepted."""
        return jid in self._checker.jobs.jids()
