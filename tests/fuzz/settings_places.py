"""Places of settings: load the same settings from code, the environment or a TOML file."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import date, time

from faktory_unique import InvalidSettings
from faktory_unique.policy.settings import load_settings


@contextmanager
def variables(**values):
    """Set environment variables for one example; those of monkeypatch last for all examples."""
    named = {f"FAKTORY_UNIQUE_{name.upper()}": value for name, value in values.items()}
    os.environ.update(named)
    try:
        yield
    finally:
        for name in named:
            del os.environ[name]


def in_code(_folder, settings):
    return load_settings(**settings)


def in_environment(_folder, settings):
    with variables(**{name: json.dumps(value) for name, value in settings.items()}):
        return load_settings()


def in_toml(folder, settings):
    return load_settings(config=toml_file(folder, settings))


PLACES = {"code": in_code, "environment": in_environment, "toml": in_toml}


def toml_file(folder, settings):
    path = folder / "unique.toml"
    lines = [f"{_toml(name)} = {_toml(value)}\n" for name, value in settings.items()]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path


def _toml(value):
    """Return a value in TOML; raise TypeError or UnicodeEncodeError if TOML cannot have it."""
    if isinstance(value, str):
        value.encode()
        return '"' + "".join(map(_toml_char, value)) + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        members = [f"{_toml(name)} = {_toml(item)}" for name, item in value.items()]
        return "{" + ", ".join(members) + "}"
    raise TypeError(f"no TOML: {type(value)}")


def _toml_char(char):
    return f"\\u{ord(char):04x}" if ord(char) < 0x20 or char in '"\\\x7f' else char


def outcome(place, folder, settings):
    """Return the policies and None, or None and the message; any other error fails the test."""
    try:
        loaded = place(folder, settings)
    except InvalidSettings as exc:
        return None, str(exc)
    return (loaded.policies, loaded.default), None


def writable(settings):
    """Return the names of the places that can have these settings."""
    places = ["code"]
    for name, write in (("environment", json.dumps), ("toml", _toml)):
        try:
            write(settings)
        except (TypeError, UnicodeEncodeError):
            continue
        places.append(name)
    return places
