"""What becomes of jobs that step aside for others, which were pushed in their place."""

from __future__ import annotations

from itertools import count

from tests.simulation.work import Sent


class AsideTruth:
    """The jobs of one world that were replaced.

    Args:
        truth: of the world.
    """

    def __init__(self, truth):
        self._truth = truth
        self._order = count()
        self._accepted_at = {}
        self._begun_at = {}
        self._stepped_aside = []
        self._replaced_when_fetched = set()

    def moment(self):
        """Now, in an order of all that happens, also where the clock stands."""
        return next(self._order)

    def accepted(self, jid, actor):
        """A job was accepted. A copy that is put back is as old as what it is a copy of."""
        of = actor.works_on["jid"] if actor.works_on is not None else None
        since = actor.since if isinstance(actor, Sent) else self.moment()
        self._accepted_at[jid] = self._accepted_at.get(of, since)

    def fetched(self, jid, work):
        """A job is a worker's."""
        if work.replaced:
            self._replaced_when_fetched.add(jid)

    def begins(self, jid, work):
        """A handler begins a job: not one that should have stepped aside."""
        self._begun_at[work.owner] = self.moment()
        if jid in self._replaced_when_fetched and not self._truth.struck.any_of(work.touched):
            self._truth.broke("superseded", f"{jid} runs, and was replaced before it was fetched")

    def steps_aside(self, jid, work):
        """A job was acknowledged unrun: only for one that Faktory has accepted in its place."""
        work.must_be_told = False
        if any(other.replaces == work.owner for other in self._truth.works.values()):
            self._stepped_aside.append((jid, work.owner, self._accepted_at[jid]))
        else:
            self._truth.broke("lost", f"{jid} was acknowledged and never done")

    def unheard(self):
        """The jids of jobs that stepped aside, and for which nothing that was as new ran."""
        return [
            jid
            for jid, owner, since in self._stepped_aside
            if not self._ran_for(owner, since, set())
        ]

    def _ran_for(self, owner, since, asked):
        """Whether a job in the place of this owner's was begun since, or has died; or its own."""
        asked.add(owner)
        for work in self._truth.works.values():
            if work.replaces == owner and work.owner not in asked:
                if self._begun_at.get(work.owner, -1) > since or work.died:
                    return True
                if self._ran_for(work.owner, since, asked):
                    return True
        return False
