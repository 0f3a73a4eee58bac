"""The cache of measured scans: one HDF5 file for every raw file, written whole or not at all, made again where it is damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import h5py
from torch import Tensor

from smug_recon.errors import ConfigurationError, OutputError
from smug_recon.replay.results.disk import check_room
from smug_recon.whole_file import whole_file


def raw_files(raw: Path, cache: Path) -> list[Path]:
    """Return the HDF5 files of a folder, searched through, or the one file. Folders with a dot are caches.

    Raises:
        ConfigurationError: there is neither.
    """
    if not raw.exists():
        raise ConfigurationError(
            f"neither folder nor file {raw}", "fully sampled raw files", "correct data.raw in the config"
        )
    if not raw.is_dir():
        return [raw]
    inside = (path for path in raw.rglob("*.h5") if path.is_file() and cache not in path.parents)
    return sorted(path for path in inside if not any(part[0] == "." for part in path.relative_to(raw).parts))


def place_of(path: Path, cache: Path) -> Path:
    """Return the name in the cache of a raw file as it is now."""
    status = path.stat()
    name = hashlib.sha256(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}".encode())
    return cache / f"{path.stem}-{name.hexdigest()[:16]}.h5"


def is_intact(path: Path) -> bool:
    """Say whether a file of the cache is there and holds slices and their maps; one that was cut or overwritten does not."""
    if not path.is_file():
        return False
    try:
        with h5py.File(path, "r") as file:
            return len(file) > 0 and all(
                len(group["hybrid"].shape) == 3 and group["hybrid"].shape == group["maps"].shape
                for group in file.values()
            )
    except (OSError, KeyError, AttributeError, RuntimeError):
        return False


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file of any size."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**24):
            found.update(block)
    return found.hexdigest()


def make_cache(cache: Path) -> None:
    """Make the folder. OutputError where that cannot be."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(cache, error) from None


def write_slices(path: Path, slices: Sequence[tuple[Tensor, Tensor]], sha256: str) -> None:
    """Write hybrid space and maps of slices into the cache; ``sha256`` of the raw file says which scan it is, wherever that lies.

    Raises:
        OutputError: the disk is full, read-only or not ours; nothing half written stays.
    """
    try:
        check_room(path.parent, sum(part.numel() * part.element_size() for pair in slices for part in pair))
        with whole_file(path, shared=True) as unfinished, h5py.File(unfinished, "w") as file:
            file.attrs["sha256"] = sha256
            for number, (hybrid_cyx, maps_cyx) in enumerate(slices):
                group = file.create_group(f"{number:05d}")
                group["hybrid"], group["maps"] = hybrid_cyx.numpy(), maps_cyx.numpy()
    except OSError as error:
        raise _unwritable(path.parent, error) from None


def _unwritable(cache: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the cache {cache}, which cannot be written ({error.strerror or error})",
        "a folder with room for the scans and their coil maps, about twice the size of the raw files",
        "make room, or let data.cache in the config name another folder",
    )
