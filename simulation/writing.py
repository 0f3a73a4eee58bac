"""Simulating onto the disk in bounded memory, the noise scan in the stream or apart from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import h5py

from smug_recon.errors import ConfigurationError
from smug_recon.simulation.protocol.schedule import NOISE_READOUTS
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import GROUP, RawFile
from smug_recon.simulation.raw.header import IMAGING_PART, NOISE_PART, WHOLE
from smug_recon.simulation.scan import Scanner

STREAM, BESIDE, FILE = NOISE_PLACES = ("stream", "group", "file")
NOISE_GROUP, IMAGING_GROUP = "dataset_1", "dataset_2"


def noise_file(path: Path) -> Path:
    """Return the file of the noise scan of a raw file, where it is a file of its own."""
    return path.with_name(f"{path.stem}_noise{path.suffix}")


def write_scan(
    settings: ScanSettings, path: Path, truth: Path | None = None, noise_in: str = STREAM
) -> Iterator[int]:
    """Simulate a raw scan onto the disk; yields the number of readouts written so far.

    Args:
        path: of the raw file; with the noise in the stream it is that of ``write_raw(simulate_scan(settings),
            path)``. truth: of the truth file, if there is to be one.
        noise_in: ``stream`` (in front of the imaging readouts), ``group`` (``dataset_1``, the scan in
            ``dataset_2``, as converters write several measurements of one file) or ``file`` (:func:`noise_file`).
            Apart, both count from 1 and the header of the scan names the noise scan as a dependency.

    Raises:
        ConfigurationError: another ``noise_in``, or no noise scan that could lie apart.
    """
    if noise_in not in NOISE_PLACES:
        raise ConfigurationError(
            f"noise-in {noise_in!r}", f"one of {', '.join(NOISE_PLACES)}", "change --noise-in"
        )
    apart = noise_in != STREAM
    if apart and not settings.noise_scan:
        raise ConfigurationError(
            f"noise-in {noise_in!r} without a noise scan", "a noise scan", "leave out --no-noise-scan"
        )
    scanner = Scanner(settings)
    noise_xml = scanner.header(NOISE_PART)
    scan_xml = scanner.header(IMAGING_PART if apart else WHOLE)
    group = IMAGING_GROUP if noise_in == BESIDE else GROUP
    with ExitStack() as files:
        if noise_in == BESIDE:
            scan = noise = files.enter_context(
                RawFile(path, **{NOISE_GROUP: noise_xml, IMAGING_GROUP: scan_xml})
            )
        else:
            scan = noise = files.enter_context(RawFile(path, **{GROUP: scan_xml}))
        if noise_in == FILE:
            noise = files.enter_context(RawFile(noise_file(path), **{GROUP: noise_xml}))
        for count, (head, samples) in enumerate(scanner.readouts(), 1):
            if apart and count <= NOISE_READOUTS:
                noise.append(head, samples, NOISE_GROUP if noise_in == BESIDE else GROUP)
            else:
                head["scan_counter"] -= NOISE_READOUTS if apart else 0
                scan.append(head, samples, group)
            yield count
    if truth is None:
        return
    truth.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(truth, "w") as answers:
        scanner.fill_truth(lambda name, shape, dtype: answers.create_dataset(name, shape, dtype))
