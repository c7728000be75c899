"""The key of a case by the library itself."""

from __future__ import annotations

import json

from pydantic import ValidationError

from faktory_unique import InvalidJob, Policy
from faktory_unique.locks.job_validation import check_job
from faktory_unique.locks.keys import lock_key
from faktory_unique.policy.job_options import policy_of


def answer(case):
    """As the programs of other languages tell it, but for the text that is digested."""
    try:
        asked = dict(case.get("policy", {}))
        if "key" in asked:
            chosen = json.loads(asked["key"])
            asked["key"] = lambda _args: chosen
        job = {**case, "jid": "jid-0001", "args": json.loads(case["args"])}
        check_job(job)
        return {"key": lock_key(policy_of(job, Policy(**asked)), job)}
    except (InvalidJob, ValidationError, json.JSONDecodeError) as exc:
        return {"refused": str(exc)}
