"""Trees of files that look like raw files to the archive, and what must hold of its results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from fake_process import SIGNATURE

from smug_recon.archive import run
from smug_recon.archive.cluster import Where
from smug_recon.archive.order import Order
from smug_recon.archive.plan import Terms
from smug_recon.archive.results import Results

FAKE = (sys.executable, str(Path(__file__).with_name("fake_process.py")))


def write_tree(folder: Path, **scans: str) -> Path:
    """A folder with a raw file ``NAME.h5`` for every word; two underscores in a name are a folder."""
    for name, what in scans.items():
        path = folder / f"{name.replace('__', '/')}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SIGNATURE + what.encode())
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder, their names and bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def whole(out: Path, raw: Path) -> None:
    """Every record has its result, whole and of the present raw file; nothing is under way."""
    for record in Results(str(out)).all_records():
        result = out / "scans" / record.path
        if record.status == "done":
            raw_content = (raw / record.path).read_bytes()
            assert (result / "images.h5").read_bytes() == b"images of " + raw_content
            assert (result / "dicom" / "1.dcm").read_bytes() == raw_content[::-1]
        else:
            assert [path.name for path in result.iterdir()] == ["node.log"]


def state(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written: its number, its size, the time of the last change."""
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


def archive(order: Order, raw: Path, out: Path, scheduler: str, **terms: Any) -> run.Outcome:
    """Archive a tree into a folder on the cluster at this address."""
    return run.archive(order, Terms(str(raw), str(out), **terms), Where(scheduler))
