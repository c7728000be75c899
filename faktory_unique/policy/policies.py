"""`Policies`: the policy of a jobtype, by exact name, by the most specific glob, or the default."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from math import inf
from typing import TYPE_CHECKING

from faktory_unique._util import FirstTimes, log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .policy import Policy


class Policies:
    """The policies of all jobtypes, by exact name or by glob.

    The exact name comes first. Otherwise the matching glob with the most characters that are not
    wildcards counts, so that the order of the settings' sources does not matter. If two globs have
    equally many, the first of them counts.

    Args:
        policies: the policy of each name or glob.
        default: the policy of all other jobtypes; None if their jobs are not unique.
    """

    def __init__(self, policies: Mapping[str, Policy], default: Policy | None = None) -> None:
        self._exact = dict(policies)
        globs = [(name, p) for name, p in policies.items() if any(c in name for c in "*?[")]
        self._globs = sorted(globs, key=lambda glob: -len(re.sub(r"\[[^]]*\]|[*?]", "", glob[0])))
        self._default = default
        self._names = {name.casefold(): name for name in policies}
        self._warned = FirstTimes()

    @property
    def shortest_lease(self) -> float:
        """The shortest lease of all policies, in seconds; infinite if there is no policy."""
        policies = [*self._exact.values(), *filter(None, [self._default])]
        return min((policy.lease for policy in policies), default=inf)

    def for_jobtype(self, jobtype: str) -> Policy | None:
        """Return the policy of a jobtype; None if its jobs are not unique.

        A jobtype that differs by case alone from a policy's name has another policy or none. That
        is logged once, since it is hardly meant.
        """
        policy = self._exact.get(jobtype)
        if policy is not None:
            return policy
        for glob, policy in self._globs:
            if fnmatchcase(jobtype, glob):
                return policy
        similar = self._names.get(jobtype.casefold())
        if similar is not None and self._warned.is_first(jobtype):
            log.warning(
                "jobtype differs from a policy's name by case alone, which does not apply to it: "
                "jobtype=%s policy=%s; correct one of them, or give the jobtype a policy",
                jobtype,
                similar,
            )
        return self._default
