"""``smug-recon send FILES... --to AET@HOST:PORT``."""

from pathlib import Path

import typer

from smug_recon.options import Settings, Verbose, start_logging, unwind_on_sigterm


def command(
    files: list[Path] = typer.Argument(
        None, exists=True, help="DICOM files, or folders of them; none: what is left in the queue."
    ),
    to: str = typer.Option(
        None, "--to", metavar="AET@HOST:PORT", help="The PACS, or a YAML file that describes it."
    ),
    queue: Path = typer.Option(None, file_okay=False, help="Folder of the queue; one for this user."),
    settings: Settings = None,
    give_up: float = typer.Option(
        600.0, min=0.0, help="Try for so many seconds; what is left stays in the queue."
    ),
    again: bool = typer.Option(False, "--again", help="Send what was sent before once more."),
    retry: bool = typer.Option(False, "--retry", help="Send what was set aside once more."),
    status: bool = typer.Option(False, "--status", help="Say what the queue holds, and send nothing."),
    verbose: Verbose = False,
) -> None:
    """Send DICOM files to a PACS; what cannot be sent now stays in a queue on disk.

    Exit code 0: all is stored there; 1: something was set aside; 4: something is still in the queue.
    """
    if to is None and not status:
        raise typer.BadParameter("AET@HOST:PORT, or a YAML file", param_hint="--to")

    import logging

    from smug_recon.pacs import Queue, deliver, load_destination
    from smug_recon.pacs.delivery import exit_code
    from smug_recon.pacs.destination import default_queue
    from smug_recon.pacs.status import outcome_text, status_text
    from smug_recon.pipeline import parse_settings

    start_logging(logging.INFO if verbose else logging.WARNING)
    unwind_on_sigterm()
    chosen = parse_settings(settings or ())
    if queue is not None:
        chosen["queue"] = str(queue)
    destination = load_destination(to, chosen) if to is not None else None
    if status:
        folder = destination.folder if destination else queue or default_queue()
        found = Queue(folder)
        typer.echo(status_text(found, destination.to if destination else None))
        counts = found.counts()
        found.close()
        raise typer.Exit(
            exit_code(counts.values() if destination is None else [counts.get(destination.to, {})])
        )
    assert destination is not None
    outcome = deliver(files or [], destination, give_up, again=again, retry=retry)
    typer.echo(outcome_text(outcome, destination.to))
    raise typer.Exit(outcome.exit_code)
