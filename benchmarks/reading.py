"""Raw files: ``ismrmrd.Dataset.read_acquisition``, line by line, against our reader in blocks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import ismrmrd
import numpy as np

from smug_recon.benchmarks.interleave import interleave
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.record import Result, Row, speed_row
from smug_recon.benchmarks.sizes import Size
from smug_recon.replay.raw import open_raw, read_items
from smug_recon.simulation.raw import GROUP, RawFile

COILS, SAMPLES = 8, 230
STOCK, MESSAGES, OBJECTS = "Dataset.read_acquisition", "as messages", "as objects"


def run(size: Size) -> Result:
    """Measure at a size; the file is in the page cache."""
    with tempfile.TemporaryDirectory(prefix="smug-recon-") as folder:
        path = Path(folder) / "raw.h5"
        write_lines(path, size.lines)
        cases = {
            STOCK: lambda: stock(path),
            MESSAGES: lambda: messages(path),
            OBJECTS: lambda: [item.data for item in read_items(path)],
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
    with ismrmrd.Dataset(str(path), GROUP, create_if_needed=False) as dataset:
        return [dataset.read_acquisition(number).data for number in range(dataset.number_of_acquisitions())]


def messages(path: Path) -> int:
    """Read all lines as the bytes that travel to the node; return how many bytes."""
    with open_raw(path) as raw:
        return sum(len(block.payload) for block in raw.blocks())
