"""Fuzz canonical JSON against the rfc8785 package: `python -m tests.fuzz.canonical COUNT [SEED]`.

At the first value on which the two disagree, the program prints it and exits with status 1.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import rfc8785

from faktory_unique.errors import InvalidJob
from faktory_unique.locks.canonical_json import canonical_json
from tests.fuzz.values import Values

# Differences by design: our rule is stricter, or we refuse and they crash. For each kind of invalid
# part: the text of our error, and whether theirs writes bytes or runs out of stack ("crash").
#
# deep: JSON may have any depth, but a server and a worker must read it, so we have a limit.
# key twice: a dict can have two keys with the same text, and readers differ on them.
# loop: not JSON. Theirs does not check for loops, and follows one until the stack ends.
BY_DESIGN = {
    "deep": ("nested deeper than 200 levels", "bytes"),
    "key twice": ("object has this key twice", "bytes"),
    "loop": ("contains itself", "crash"),
}


class Disagreement(AssertionError):
    """The two canonicalizers wrote different bytes, or ours wrote or refused what it must not."""


def ours(value, canonicalizer=canonical_json):
    """Return our bytes, or our `InvalidJob`; any other exception is raised."""
    try:
        return canonicalizer(value)
    except InvalidJob as error:
        return error


def theirs(value):
    """Return their bytes or error; ValueError, since str.encode refuses a surrogate in a key."""
    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError) as error:
        return error


def compare(value, invalid, canonicalizer=canonical_json):
    """Compare both canonicalizers on a value.

    Args:
        value: the value.
        invalid: the kind of its invalid part; None if it is valid.
        canonicalizer: ours.

    Returns:
        True if both wrote the same bytes, False if both handled the invalid part correctly.

    Raises:
        Disagreement: neither is the case.
    """
    try:
        mine = ours(value, canonicalizer)
    except Exception as crash:  # any but InvalidJob: the error must show the input
        raise _disagreement(value, invalid, repr(crash), theirs(value)) from crash
    other = theirs(value)
    if invalid is None:
        is_right = isinstance(mine, bytes) and mine == other
    elif invalid in BY_DESIGN:
        message, expected = BY_DESIGN[invalid]
        crashed = isinstance(other, RecursionError)
        actual = "bytes" if isinstance(other, bytes) else "crash" if crashed else "refused"
        is_right = isinstance(mine, InvalidJob) and message in str(mine) and actual == expected
    else:
        is_right = isinstance(mine, InvalidJob) and isinstance(other, ValueError)
    if not is_right:
        raise _disagreement(value, invalid, mine, other)
    return invalid is None


def _disagreement(value, invalid, mine, other):
    # ascii, so that it can be pasted from any terminal into a test.
    return Disagreement(f"input: {value!a}\ninvalid: {invalid}\nours: {mine!a}\ntheirs: {other!a}")


def run(count, seed, canonicalizer=canonical_json, on_progress=lambda _done: None):
    """Compare both canonicalizers on `count` random values.

    Args:
        count: the number of values.
        seed: the same seed gives the same values.
        canonicalizer: ours.
        on_progress: called after each value with the number of values so far.

    Returns:
        The number of values that both wrote, and a Counter of the refused ones by their kind.

    Raises:
        Disagreement: at the first value on which they disagree.
    """
    values, refused = Values(seed), Counter()
    for done in range(1, count + 1):
        value = values.draw()
        try:
            if not compare(value, values.invalid, canonicalizer):
                refused[values.invalid] += 1
        except Disagreement as exc:
            raise Disagreement(f"value {done} of seed {seed}\n{exc}") from exc
        on_progress(done)
    return count - refused.total(), refused


def _main(count, seed):
    start = time.monotonic()

    def on_progress(done):
        if done % max(1, count // 20) == 0:
            _print(f"{done} of {count}, {time.monotonic() - start:.0f} s")

    try:
        agreed, refused = run(count, seed, on_progress=on_progress)
    except Disagreement as exc:
        _print(exc)
        return 1
    _print("refused: " + ", ".join(f"{kind}={n}" for kind, n in sorted(refused.items())))
    _print(f"fuzz: canonical={count} agreed={agreed} refused={refused.total()} seed={seed}")
    return 0


def _print(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()))
