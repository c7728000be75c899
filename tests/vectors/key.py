"""The key of a job's work by docs/key-format.md, with the rfc8785 package.

`python -m tests.vectors.key keys.json` prints the key of each case, or why it has none, as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from pathlib import Path

import rfc8785

DEEPEST = 200
LONGEST = 315_360_000
POSITION = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
ESCAPED = {"%": "%25", "{": "%7B", "}": "%7D"}


def canonical(jobtype, args, queue="", custom=None, policy=None):
    """Return the text that is digested, and the name in the key.

    Raises:
        ValueError: the job has no key.
    """
    if says_itself(custom or {}):
        policy = {"per_queue": True}
    policy = policy or {}
    if not jobtype or not isinstance(args, list) or {"by", "key"} <= policy.keys():
        raise ValueError("no jobtype, args that are no list, or two selections")
    checked(args)  # all of them: the whole job is sent
    work = {"jobtype": policy.get("scope", jobtype)}
    if "by" in policy:
        work["by"] = [path_of(path) for path in policy["by"]]
        if not work["by"]:
            raise ValueError("an empty selection")
        work["args"] = [select(args, path) for path in work["by"]]
    elif "key" in policy:
        work["key"] = checked(policy["key"])
    else:
        work["args"] = args
    if policy.get("per_queue"):
        work["queue"] = queue or "default"
    return rfc8785.dumps(work), work["jobtype"]


def says_itself(custom):
    """Return whether the job itself says that it is unique, by Enterprise's rules."""
    unique_for, until = custom.get("unique_for"), custom.get("unique_until")
    if unique_for is None and until is None:
        return False
    number = isinstance(unique_for, int | float) and not isinstance(unique_for, bool)
    if not number or not 1 <= unique_for <= LONGEST or until not in {None, "success", "start"}:
        raise ValueError(f"custom has impossible values: {custom}")
    return True


def lock_key(text, name):
    """Return the Redis key."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()[:16]).decode().rstrip("=")
    return f"unique:1:{''.join(ESCAPED.get(sign, sign) for sign in name)}:{digest}"


def path_of(path):
    if type(path) not in {int, str}:
        raise ValueError("no path into args")
    position, *steps = str(path).split(".")
    if not POSITION.fullmatch(position) or int(position) >= 2**53 or "" in steps:
        raise ValueError(f"{path} is not a path into args")
    return path if steps else int(position)


def select(args, path):
    for step in str(path).split("."):
        there = (
            POSITION.fullmatch(step) and int(step) < len(args)
            if isinstance(args, list)
            else (isinstance(args, dict) and step in args)
        )
        if not there:
            raise ValueError(f"args have no {path}")
        args = args[int(step) if isinstance(args, list) else step]
    return args


def checked(value):
    if depth(value) > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    rfc8785.dumps(value)  # raises if a value is not JSON
    return value


def depth(value):
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0) if isinstance(value, dict | list) else 0


def answer(case):
    try:
        policy = dict(case.get("policy", {}))
        if "key" in policy:
            policy["key"] = json.loads(policy["key"])
        args = json.loads(case["args"])
        text, name = canonical(case["jobtype"], args, case.get("queue"), case.get("custom"), policy)
    except ValueError as exc:
        return {"refused": str(exc)}
    return {"canonical": text.decode(), "key": lock_key(text, name)}


if __name__ == "__main__":
    cases = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["cases"]
    sys.stdout.write(json.dumps([answer(case) for case in cases]))
