"""Raw files that another program has to turn into ISMRMRD first; each is converted once per process.

Siemens ``.dat`` (VB, VD, VE, XA) by ``siemens_to_ismrmrd``, which before version 1.3 writes HDF5 and from then on an
ISMRMRD stream. MRD 2 streams by ``mrd-python`` (``mrd2.py``).
"""

from __future__ import annotations

import atexit
import functools
import logging
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from smug_recon.errors import ConfigurationError, DataError

log = logging.getLogger(__name__)

CONVERTER = "siemens_to_ismrmrd"
MRD2_MARK = b"yardl"
MOST_MEASUREMENTS = 64
VB_HEADER_BYTES = range(33, 2**24)
START_BYTES = 64
SILENCE_S, WAIT_S = 600.0, 0.5
"""A converter that writes nothing for so long hangs, in seconds; how often is looked."""
MOST_SAID_BYTES = 1 << 16


def is_mrd2(start: bytes) -> bool:
    """Whether a file begins like an MRD 2 stream (binary yardl)."""
    return start.startswith(MRD2_MARK)


def siemens_measurements(start: bytes) -> int:
    """How many measurements a Siemens ``.dat`` holds by its first bytes, 0 if it is none.

    VD and later: uint32 0, uint32 number of measurements. VB: uint32 length of the header, uint32 number of
    buffers, the name of the first one, and one measurement.
    """
    if len(start) < 24:
        return 0
    first, second = struct.unpack("<II", start[:8])
    if first == 0 and 1 <= second <= MOST_MEASUREMENTS:
        return int(second)
    if (
        first in VB_HEADER_BYTES
        and 1 <= second <= 32
        and start[8:].split(b"\0")[0] in (b"Config", b"Dicom", b"Meas")
    ):
        return 1
    return 0


def as_ismrmrd(path: Path, start: bytes) -> Path:
    """The file itself, or what it was converted to; ``start`` is its first bytes. ConfigurationError, DataError."""
    if is_mrd2(start):
        return _converted(path.resolve(), path.stat().st_mtime_ns, 0)
    if measurements := siemens_measurements(start):
        return _converted(path.resolve(), path.stat().st_mtime_ns, measurements)
    return path


@functools.lru_cache(maxsize=8)
def _converted(path: Path, changed_ns: int, measurements: int) -> Path:
    """Convert into a folder that lives as long as the process."""
    folder = Path(tempfile.mkdtemp(prefix="smug-recon-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if measurements == 0:
        from smug_recon.replay.reading.mrd2 import to_ismrmrd_stream

        target = folder / "scan.mrd"
        with path.open("rb") as source, target.open("wb") as stream:
            to_ismrmrd_stream(source, stream)
        return target
    return siemens(path, folder, measurements)


def siemens(path: Path, folder: Path, measurements: int) -> Path:
    """Convert the last measurement of a Siemens ``.dat``, which is the scan; the others before it are adjustments.

    Raises:
        ConfigurationError: the converter is not on PATH.
        DataError: it failed, or wrote nothing.
    """
    program = shutil.which(CONVERTER)
    if program is None:
        raise ConfigurationError(
            f"the Siemens raw file {path.name} and no {CONVERTER} on PATH",
            f"{CONVERTER} (github.com/ismrmrd/siemens_to_ismrmrd; conda install -c ismrmrd {CONVERTER})",
            f"install it, or convert the file elsewhere: {CONVERTER} -f {path.name} -z {measurements} -o scan.mrd",
        )
    if measurements > 1:
        log.warning(
            "%s holds %d measurements: the last one is reconstructed, the others are searched for its noise scan",
            path.name,
            measurements,
        )
    return _run(program, path, folder / "scan.mrd", measurements)


def other_measurements(path: Path) -> Iterator[Path]:
    """The measurements of a Siemens ``.dat`` before the last one, each converted as it is asked for."""
    with path.open("rb") as file:
        start = file.read(START_BYTES)
    for measurement in range(1, siemens_measurements(start)):
        program, scan = shutil.which(CONVERTER), as_ismrmrd(path, start)
        target = scan.with_name(f"measurement_{measurement}.mrd")
        try:
            yield (
                target
                if target.is_file()
                else _run(program or CONVERTER, path.resolve(), target, measurement)
            )
        except DataError as error:
            log.warning("measurement %d of %s is left out: %s", measurement, path.name, error)


def _run(program: str, path: Path, target: Path, measurement: int) -> Path:
    words = [program, "-f", str(path), "-z", str(measurement), "-o", str(target)]
    log.info("converting %s with %s", path.name, CONVERTER)
    with tempfile.TemporaryFile(dir=target.parent) as output:
        process = subprocess.Popen(
            words, cwd=target.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _watch(process, path, target)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        output.seek(0)
        said = output.read(MOST_SAID_BYTES).decode(errors="replace").strip().splitlines()
    if process.returncode != 0 or not target.is_file() or target.stat().st_size == 0:
        how = f"exit code {process.returncode}" if process.returncode else "no output"
        raise DataError(
            f"{CONVERTER} that ended with {how} on {path.name}",
            "an ISMRMRD file of the measurement",
            "it said: " + (" | ".join(said[-4:]) if said else "nothing"),
        )
    return target


def _watch(process: subprocess.Popen[bytes], path: Path, target: Path) -> None:
    """Wait for the end of the converter as long as what it writes grows. DataError."""
    size, silent_s = -1, 0.0
    while silent_s < SILENCE_S:
        try:
            process.wait(WAIT_S)
            return
        except subprocess.TimeoutExpired:
            before, size = size, target.stat().st_size if target.is_file() else 0
            silent_s = 0.0 if size != before else silent_s + WAIT_S
    raise DataError(
        f"{CONVERTER} that wrote nothing of {path.name} for {SILENCE_S:g} s",
        "an ISMRMRD file that grows",
        "run it by hand, or convert the file with another version of it",
    )
