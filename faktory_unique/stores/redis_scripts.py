"""The Lua scripts that change a lock in Redis, read from the `.lua` files beside this module.

Each file documents its KEYS and ARGV.
"""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A Lua script.

    Attributes:
        text: its source, as `SCRIPT LOAD` sends it.
        sha: the hexadecimal SHA-1 of its text, by which `EVALSHA` runs it.
    """

    text: bytes
    sha: str


def _load(file_name: str) -> Script:
    text = files("faktory_unique.stores").joinpath(file_name).read_bytes()
    return Script(text, sha1(text, usedforsecurity=False).hexdigest())


COMPARE_AND_SET = _load("compare_and_set.lua")
COMPARE_AND_SET_UNLESS_REPLACED = _load("compare_and_set_unless_replaced.lua")
SCRIPTS = (COMPARE_AND_SET, COMPARE_AND_SET_UNLESS_REPLACED)
