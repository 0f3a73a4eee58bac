"""Options that several commands share: one name, one meaning, one sentence of help."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

PIPELINE_HELP = "Pipeline YAML, Gadgetron XML, or a shipped name."

PipelineOption = Annotated[str | None, typer.Option("-c", "--config", help=PIPELINE_HELP)]
Group = Annotated[
    str | None, typer.Option("-G", "--group", help="Group in the HDF5 file; dataset, else the first.")
]
Noise = Annotated[
    Path | None,
    typer.Option(
        "--noise",
        exists=True,
        help="Raw file with the noise scan, where the scan has none of its own.",
    ),
]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of the smoothing noise.")]
Samples = Annotated[int | None, typer.Option("--samples", help="Smoothing copies at each denoiser call.")]
ImageType = Annotated[str | None, typer.Option("--type", help="uint16, float32 or complex64.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other setting, by dotted name."),
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more on standard error.")]


def overrides(
    settings: Iterable[str] | None,
    device: str | None = None,
    seed: int | None = None,
    samples: int | None = None,
    image_type: str | None = None,
) -> dict[str, str]:
    """What the options change in the pipeline, by dotted name; ``--set`` comes last. ConfigurationError."""
    from smug_recon.pipeline import parse_settings

    given = {"device": device, "seed": seed, "samples": samples, "images.type": image_type}
    chosen = {name: str(value) for name, value in given.items() if value is not None}
    return {**chosen, **parse_settings(settings or ())}


def _patient_id(value: str | None) -> str | None:
    if value is not None and (not 0 < len(value.strip()) <= 64 or "\\" in value):
        raise typer.BadParameter("1 to 64 characters, no backslash")
    return value


Enhanced = Annotated[
    bool, typer.Option("--enhanced", help="DICOM as Enhanced MR: a file a volume, not one a slice.")
]
Anonymise = Annotated[
    bool,
    typer.Option("--anonymise", help="DICOM without patient, dates, site and free text; other UIDs."),
]
PatientId = Annotated[
    str | None,
    typer.Option(
        "--patient-id",
        callback=_patient_id,
        help="PatientID of the DICOM files; with --anonymise a pseudonym.",
    ),
]
Preview = Annotated[bool, typer.Option("--preview/--no-preview", help="Write PNG previews.")]
Send = Annotated[
    str | None,
    typer.Option(
        "--send",
        metavar="AET@HOST:PORT",
        help="Send the DICOM images to this PACS, or to that of a YAML file (docs/pacs.md).",
    ),
]


def start_logging(level: int = logging.WARNING) -> None:
    """The log of a command: one line a message, on standard error."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=level)


def unwind_on_sigterm() -> None:
    """SIGTERM ends the command as an exception does, so that what it started is stopped; exit code 143."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
