"""Raw files: ``ismrmrd.Dataset.read_acquisition``, line by line, against our reader in blocks."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import ismrmrd
import numpy as np

from smug_recon.benchmarks.interleave import interleave
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.record import Result, Row, speed_row
from smug_recon.benchmarks.sizes import Size
from smug_recon.replay.reading.raw import open_raw
from smug_recon.replay.results.images import open_dataset
from smug_recon.simulation.raw.file import GROUP, RawFile

COILS, SAMPLES = 8, 230
STOCK, MESSAGES, OBJECTS = "Dataset.read_acquisition", "as messages", "as objects"
OPENING = "opening a file"


def run(size: Size) -> Result:
    """Measure at a size; the file is in the page cache. Ours is open before: opening starts the process that reads."""
    with tempfile.TemporaryDirectory(prefix="smug-recon-") as folder:
        path = Path(folder) / "raw.h5"
        write_lines(path, size.lines)
        with open_raw(path) as raw:
            cases = {
                STOCK: lambda: stock(path),
                MESSAGES: lambda: sum(len(block.payload) for block in raw.blocks()),
                OBJECTS: lambda: [item.data for item in raw.items()],
                OPENING: lambda: open_raw(path).close(),
            }
            times, found = interleave(cases, size.rounds)
    equal = all(np.array_equal(a, b) for a, b in zip(found[STOCK], found[OBJECTS], strict=True))
    same = {"equal samples": float(equal)}
    rows = [
        speed_row(f"{MESSAGES} against {STOCK}", times, STOCK, MESSAGES),
        speed_row(f"{OBJECTS} against {STOCK}", times, STOCK, OBJECTS, accuracy=same),
    ]
    for name, aim in ((STOCK, None), (MESSAGES, 20000.0), (OBJECTS, None)):
        rates = [size.lines / seconds for seconds in times[name].wall_s]
        middle = size.lines / times[name].median_wall_s
        rows.append(Row(name, "lines/s", middle, min(rates), max(rates), aim))
    of_cpu = [size.lines / seconds for seconds in times[MESSAGES].cpu_s]
    rows.append(
        Row(f"{MESSAGES}, of processor time", "lines/s", statistics.median(of_cpu), min(of_cpu), max(of_cpu))
    )
    opening_ms = [1e3 * seconds for seconds in times[OPENING].cpu_s]
    rows.append(
        Row(
            f"{OPENING}, of processor time",
            "ms",
            statistics.median(opening_ms),
            min(opening_ms),
            max(opening_ms),
        )
    )
    about = f"{size.lines} lines of {COILS} coils and {SAMPLES} samples, HDF5."
    return Result("reading", size.name, about, machine(), rows)


def write_lines(path: Path, count: int) -> None:
    """Write a raw file of random lines."""
    rng = np.random.default_rng(0)
    xml = '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"></ismrmrdHeader>'
    head = np.zeros((), ismrmrd.hdf5.acquisition_header_dtype)
    head["version"], head["number_of_samples"] = 1, SAMPLES
    head["active_channels"] = head["available_channels"] = COILS
    with RawFile(path, **{GROUP: xml}) as file:
        for number in range(count):
            head["scan_counter"] = number
            samples = rng.standard_normal((COILS, 2 * SAMPLES), np.float32).view(np.complex64)
            file.append(head.copy(), samples)


def stock(path: Path) -> list[np.ndarray]:
    """Read all lines as the ismrmrd package does."""
    with open_dataset(path, "r", GROUP) as dataset:
        return [dataset.read_acquisition(number).data for number in range(dataset.number_of_acquisitions())]
