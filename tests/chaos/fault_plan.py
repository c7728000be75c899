"""Plan of faults: which fault hits which target when; a pure function of duration and seed."""

from __future__ import annotations

import random
from itertools import count
from typing import Any, NamedTuple

SERVERS = ("faktory", "redis")
ROLES = ("producer", "worker")

# Each kind of fault, with the targets that it can hit.
KINDS = {
    "delay": SERVERS,
    "cut": SERVERS,
    "cut_reply": SERVERS,
    "truncate": SERVERS,
    "hold": SERVERS,
    "outage": SERVERS,
    "overtake": ("redis",),
    "refuse": SERVERS,
    "black_hole": SERVERS,
    "kill": ROLES,
    "stop": ROLES,
    "terminate": ("worker",),
    "restart": SERVERS,
    "kill_server": ("faktory",),
    "forget": ("redis",),
}
# How often each kind is in a deck; each kind of network fault is there twice.
_PER_DECK = {"kill": 3, "stop": 3, "terminate": 1, "restart": 2, "kill_server": 1}
_NETWORK_PER_DECK = 2
# Rare: when Redis loses all locks, the audit can say nothing more about them.
_DECKS_PER_FORGET = 4

PER_SECOND = 1.15
"""Faults per second, network faults included; a fault that finds no target does not count."""

_PAUSE_BEFORE = 1.0
_PAUSE_AFTER = 1.0

# A run of this many seconds is long enough to stop a worker past its reservation.
_LONG_RUN = 300
_PAST_RESERVATION = (64.0, 82.0)

# The commands that are held, cut short, lose their reply, or begin an outage; see `wire`. FETCH is
# by far the most frequent command, and a lost reply to it costs a job its reservation, so it is no
# more likely than the others.
_COMMANDS = {
    "faktory": ("PUSHB", "ACK", "PUSHB", "FAIL", "ACK", "FETCH", "requeue"),
    "redis": ("acquire", "confirm", "hold", "release", "swap", "acquire_run", "release_run"),
}

# How long a command is held: mostly for less than its sender waits (3 s, or 1 s for Redis).
_HOLD_SECONDS = {"faktory": (0.2, 2.5), "redis": (0.1, 0.8)}
_LATE_HOLD_SECONDS = {"faktory": (3.2, 6), "redis": (1.2, 3)}

# Commands of a push that another command for the same lock, by a worker, overtakes.
_OVERTAKEN = {"confirm": "release", "swap": "hold"}
_OVERTAKE_SECONDS = 0.8
_OVERTAKE_TIMES = 10


class Fault(NamedTuple):
    """A planned fault.

    Attributes:
        at: seconds after the start of the run.
        kind: one of `KINDS`.
        target: a server, or a role: one process with this role is hit.
        parameters: what else the kind needs, by name.
    """

    at: float
    kind: str
    target: str
    parameters: dict[str, Any]


def plan_faults(seconds: float, seed: int) -> list[Fault]:
    """Return the faults of a run in the order of time, each kind at least once.

    Args:
        seconds: how long faults are injected.
        seed: the same seed gives the same plan.
    """
    rng = random.Random(f"plan:{seed}")
    number = max(len(KINDS), round(seconds * PER_SECOND))
    kinds = _deal_kinds(rng, number)
    targets = {kind: _endless(rng, options) for kind, options in KINDS.items()}
    step = max(0.0, seconds - _PAUSE_BEFORE - _PAUSE_AFTER) / number
    return [
        Fault(
            round(_PAUSE_BEFORE + (place + rng.random()) * step, 3),
            kind,
            target := next(targets[kind]),
            _parameters(rng, kind, target, seconds),
        )
        for place, kind in enumerate(kinds)
    ]


def _deal_kinds(rng, number):
    """Return kinds as from shuffled decks of cards; each kind is once in the first deck."""
    common = [kind for kind in KINDS if kind != "forget"]
    deck = [kind for kind in common for _ in range(_PER_DECK.get(kind, _NETWORK_PER_DECK))]
    dealt = _shuffled(rng, KINDS)
    for decks in count(1):
        if len(dealt) >= number:
            break
        dealt += _shuffled(rng, [*deck, "forget"] if decks % _DECKS_PER_FORGET == 0 else deck)
    return dealt[:number]


def _endless(rng, options):
    while True:
        yield from _shuffled(rng, options)


def _shuffled(rng, options):
    cards = list(options)
    rng.shuffle(cards)
    return cards


def _parameters(rng, kind, target, seconds):
    command = rng.choice(_COMMANDS.get(target, ("",)))
    towards = rng.choice(("server", "client"))
    index, duration = rng.randrange(100), round(rng.uniform(1, 3), 2)
    group = rng.random() < 0.5
    drawn = {
        "delay": {"by": round(rng.uniform(0.02, 1.5), 3), "seconds": duration},
        "cut": {"reset": rng.random() < 0.5},
        "cut_reply": {"command": command},
        "truncate": {"command": command, "towards": towards},
        "hold": _hold(rng, target, command, towards),
        "overtake": _overtake(rng),
        "outage": {"command": command, "seconds": duration},
        "refuse": {"seconds": duration},
        "black_hole": {"seconds": duration},
        # With `group` a worker's handlers are hit too. Without, they go on and may outlive it.
        "kill": {"index": index, "group": group},
        "stop": {"index": index, "group": group, "seconds": _stop_seconds(rng, target, seconds)},
        "terminate": {"index": index},
    }
    return drawn.get(kind, {})


def _hold(rng, target, command, towards):
    """Return a hold's parameters: sometimes the command arrives when its sender has given up."""
    bounds = (_LATE_HOLD_SECONDS if rng.random() < 0.2 else _HOLD_SECONDS).get(target, (0, 0))
    return {"command": command, "towards": towards, "seconds": round(rng.uniform(*bounds), 2)}


def _overtake(rng):
    """Return the parameters of holds that end once a worker has changed the same lock."""
    command = rng.choice(("confirm", "confirm", "confirm", "swap"))
    held = {"command": command, "towards": "server", "until": _OVERTAKEN[command]}
    return {**held, "seconds": _OVERTAKE_SECONDS, "times": _OVERTAKE_TIMES}


def _stop_seconds(rng, target, seconds):
    """Return a stop's length: mostly short, at times past a lease or a reservation."""
    if target == "worker" and seconds >= _LONG_RUN and rng.random() < 0.3:
        return round(rng.uniform(*_PAST_RESERVATION), 2)
    return round(rng.uniform(8, 14) if rng.random() < 0.3 else rng.uniform(0.5, 5), 2)
