"""The key of a case, computed by the library."""

from __future__ import annotations

import json

from pydantic import ValidationError

from faktory_unique import InvalidJob, Policy
from faktory_unique.locks.job_validation import check_job
from faktory_unique.locks.keys import lock_key
from faktory_unique.policy.job_options import job_policy


def answer(case):
    """Return the key or the refusal, like the programs of other languages, without `canonical`."""
    try:
        fields = dict(case.get("policy", {}))
        if "key" in fields:
            chosen = json.loads(fields["key"])
            fields["key"] = lambda _args: chosen
        job = {**case, "jid": "jid-0001", "args": json.loads(case["args"])}
        check_job(job)
        return {"key": lock_key(job_policy(job, Policy(**fields)), job)}
    except (InvalidJob, ValidationError, json.JSONDecodeError) as exc:
        return {"refused": str(exc)}
