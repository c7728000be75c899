"""The `faktory-unique` command."""

from __future__ import annotations

from typing import Annotated

import typer

from faktory_unique.errors import FaktoryUniqueError

from .demo import run_demo

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _command() -> None:
    """Unique jobs for open-source Faktory."""


@app.command()
def demo(
    faktory: Annotated[
        str | None, typer.Option(envvar="FAKTORY_URL", help="tcp://:password@host:port")
    ] = None,
    store: Annotated[
        str | None, typer.Option(envvar="FAKTORY_UNIQUE_STORE", help="redis://host:port/0")
    ] = None,
) -> None:
    """Pushes, works and deduplicates jobs in a queue of its own, and shows what became of each."""
    if not faktory or not store:
        missing = (
            "--faktory (or FAKTORY_URL)" if not faktory else "--store (or FAKTORY_UNIQUE_STORE)"
        )
        typer.echo(
            f"demo: {missing} is not set. It touches only servers that it is pointed at, e.g.\n"
            "  faktory-unique demo --faktory tcp://localhost:7419 --store redis://localhost:6379/0",
            err=True,
        )
        raise typer.Exit(2)
    try:
        kept = run_demo(faktory, store)
    except (FaktoryUniqueError, ValueError) as exc:  # ValueError: a URL that is none
        typer.echo(f"demo: {exc}", err=True)
        raise typer.Exit(1) from exc
    raise typer.Exit(0 if kept else 1)
