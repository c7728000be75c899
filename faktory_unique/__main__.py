"""Entry point of `python -m faktory_unique` and of the `faktory-unique` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. Exit with the install command if typer or rich is missing."""
    try:
        from .cli import app  # noqa: PLC0415  # typer and rich come with the extra `cli`
    except ModuleNotFoundError as exc:
        if exc.name not in {"typer", "rich"}:
            raise
        sys.exit(f"faktory-unique needs {exc.name}: pip install 'faktory-unique[cli]'")
    app()


if __name__ == "__main__":
    main()
