"""What the terminal shows: one bar over all scans that are to be done, and a line for each that failed."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

import typer
from distributed import Client
from tqdm import tqdm

from smug_recon.archive.plan import Planned
from smug_recon.archive.record import FAILED
from smug_recon.archive.run import Watcher


class Terminal(Watcher):
    """A bar on standard error where that is a terminal; failures are said in any case."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def planned(self, found: Planned) -> None:
        """Say how much there is to do."""
        typer.echo(
            f"scans     {found.scans}: {found.jobs} to do ({found.bytes / 1e9:.2f} GB), {found.done} done before"
        )
        if found.failed_before:
            typer.echo(f"failed    {found.failed_before} before, left as they are (--retry-failed)")
        self._bar = tqdm(total=found.jobs, unit=" scans", disable=not found.jobs or not sys.stderr.isatty())

    def started(self, client: Client) -> None:
        """Say where it runs, and where to watch."""
        typer.echo(f"scheduler {client.scheduler.address if client.scheduler else ''}")
        if client.dashboard_link:
            typer.echo(f"dashboard {client.dashboard_link}")
        if not client.nthreads():
            typer.echo("workers   none: the scans wait until some join the scheduler")

    def ended(self, answer: dict[str, Any]) -> None:
        """Move the bar."""
        self._bar.update()
        if answer["status"] == FAILED:
            text = f"failed    {answer['path']}: {answer['reason'].partition(chr(10))[0]}"
            tqdm.write("".join(letter if letter.isprintable() else "?" for letter in text), file=sys.stderr)
