"""``smug-recon evaluate CONFIG -o DIR``."""

from pathlib import Path

import typer


def command(
    config: Path = typer.Argument(
        ..., help="Evaluation config (YAML); benchmarks/configs holds the shipped ones."
    ),
    out: Path = typer.Option(
        ..., "-o", "--out", help="Folder of the results. Jobs found there are not done again."
    ),
    slices: Path = typer.Option(None, help="Slice file (HDF5) in place of the config's."),
    limit: int = typer.Option(None, min=1, help="Slices at most, subjects in turn."),
    device: str = typer.Option("cpu", help="cpu or cuda."),
    workers: int = typer.Option(
        1, min=1, help="Processes of a local Dask cluster; the numbers do not depend on them."
    ),
    scheduler: str = typer.Option(
        None, help="Address of a Dask scheduler (tcp://HOST:PORT) whose workers share this file system."
    ),
) -> None:
    """Measure reconstructions under noise, attacks and shifts: CSV, markdown and figures."""
    from smug_recon.robustness.results.report import write_report
    from smug_recon.robustness.running.evaluate import evaluate
    from smug_recon.robustness.settings.evaluation import load_evaluation
    from smug_recon.training.output import written

    loaded = load_evaluation(config, slices, limit)
    evaluation = evaluate(loaded, out, device, workers, scheduler)
    with written(out):
        write_report(loaded, evaluation.jobs, out)
    typer.echo(f"{out / 'results.csv'}, {out / 'slices.csv'}, {out / 'report.md'}")
    if evaluation.failures:
        typer.echo(
            f"smug-recon: {len(evaluation.failures)} of {len(evaluation.jobs)} jobs failed, {out / 'failed.csv'} says why; "
            "call again to try them again",
            err=True,
        )
        raise typer.Exit(1)
