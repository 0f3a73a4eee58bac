"""``smug-recon stream -c PIPELINE``."""

from pathlib import Path

import typer


def command(
    pipeline: str = typer.Option(
        None, "-c", "--config", help="Pipeline YAML, Gadgetron XML, or a shipped name."
    ),
    group: str = typer.Option(None, "-G", "--group", help="Group, where an HDF5 file comes in."),
    noise: Path = typer.Option(
        None, exists=True, help="Raw file with the noise scan, where the scan has none of its own."
    ),
    device: str = typer.Option(None, help="auto, cpu or cuda."),
    seed: int = typer.Option(None, help="Seed of the smoothing noise."),
    samples: int = typer.Option(None, help="Smoothing copies at each denoiser call."),
    image_type: str = typer.Option(None, "--type", help="uint16, float32 or complex64."),
    settings: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Any other setting, by dotted name."
    ),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="Say more on standard error."),
) -> None:
    """Reconstruct an MRD stream from standard input to standard output, in this process; the log is on standard error.

    No end mark (id 4) leaves after an error. Exit code 3 if a fallback image was sent.
    """
    overrides = {"device": device, "seed": seed, "samples": samples, "images.type": image_type}
    chosen = {name: str(value) for name, value in overrides.items() if value is not None}

    import logging
    import signal
    import sys

    from smug_recon.errors import ConfigurationError

    for file, name in ((sys.stdin, "input"), (sys.stdout, "output")):
        if file.isatty():
            raise ConfigurationError(
                f"a terminal as standard {name}",
                "an MRD stream in a pipe or a file",
                "write ismrmrd_hdf5_to_stream -i RAW.h5 --use-stdout | smug-recon stream > IMAGES.mrd, or use replay",
            )

    from smug_recon.pipeline import parse_settings
    from smug_recon.replay.pipe import own_standard_output

    output = own_standard_output()
    logging.basicConfig(
        format="%(levelname)s: %(message)s", level=logging.INFO if verbose else logging.WARNING
    )
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))

    from smug_recon.replay.piped import reconstruct_stream
    from smug_recon.replay.raw import open_raw

    with open_raw("-", group) as source:
        report = reconstruct_stream(
            source, output, pipeline, {**chosen, **parse_settings(settings)}, noise=noise
        )
    if report.fallbacks:
        typer.echo(f"smug-recon: {report.fallbacks} fallback images", err=True)
        raise typer.Exit(3)
