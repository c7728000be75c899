"""The cases of keys.json, and their names."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent
FILE = HERE / "keys.json"
CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]
NAMES = [case["name"] for case in CASES]
