"""``smug-recon stream -c PIPELINE``."""

import typer

from smug_recon.options import (
    Device,
    Group,
    ImageType,
    Noise,
    PipelineOption,
    Samples,
    Seed,
    Settings,
    Verbose,
    overrides,
    start_logging,
    unwind_on_sigterm,
)


def command(
    pipeline: PipelineOption = None,
    group: Group = None,
    noise: Noise = None,
    device: Device = None,
    seed: Seed = None,
    samples: Samples = None,
    image_type: ImageType = None,
    settings: Settings = None,
    verbose: Verbose = False,
) -> None:
    """Reconstruct an MRD stream from standard input to standard output, in this process; the log is on standard error.

    No end mark (id 4) leaves after an error. Exit code 3 if a fallback image was sent.
    """
    import logging
    import sys

    from smug_recon.errors import ConfigurationError

    for file, name in ((sys.stdin, "input"), (sys.stdout, "output")):
        if file.isatty():
            raise ConfigurationError(
                f"a terminal as standard {name}",
                "an MRD stream in a pipe or a file",
                "write ismrmrd_hdf5_to_stream -i RAW.h5 --use-stdout | smug-recon stream > IMAGES.mrd, or use replay",
            )

    from smug_recon.replay.pipe import own_standard_output

    output = own_standard_output()
    start_logging(logging.INFO if verbose else logging.WARNING)
    unwind_on_sigterm()

    from smug_recon.replay.piped import reconstruct_stream
    from smug_recon.replay.reading.raw import open_raw

    chosen = overrides(settings, device, seed, samples, image_type)
    with open_raw("-", group) as source:
        report = reconstruct_stream(source, output, pipeline, chosen, noise=noise)
    if report.fallbacks:
        typer.echo(f"smug-recon: {report.fallbacks} fallback images", err=True)
        raise typer.Exit(3)
