"""The failure of a job as the server stores it: error type, message and backtrace cut to size."""

from __future__ import annotations

from typing import Any

# The characters that Go trims. Python's strip removes four more control characters.
_GO_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

EXPIRED = {
    "errtype": "ReservationExpired",
    "message": "Faktory job reservation expired",
    "backtrace": None,
}


def reported_failure(report: dict[str, Any]) -> dict[str, Any]:
    """Return the failure that the server stores after a FAIL (manager/retry.go:22-168)."""
    return {
        "errtype": _cut(report["errtype"], 100),
        "message": _cut(report["message"], 1_000),
        "backtrace": (report["backtrace"] or [])[:50],
    }


def _cut(text: str, max_bytes: int) -> str:
    """Return a text, trimmed and cut to a number of bytes; "unknown" if it is empty."""
    kept = text.strip(_GO_SPACES).encode()[:max_bytes].decode(errors="surrogateescape")
    return kept or "unknown"
