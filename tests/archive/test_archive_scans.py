"""Which files of a tree are raw scans: all formats that replay reads, wherever they lie, each once."""

from __future__ import annotations

import struct
from pathlib import Path

import fsspec
import pytest
from archive_trees import write_tree
from fsspec.core import url_to_fs

from smug_recon.archive.scans import is_raw, raw_scans

HDF5 = b"\x89HDF\r\n\x1a\n"
STREAM = (3).to_bytes(2, "little") + (20).to_bytes(4, "little") + b'<?xml version="1.0"?>'
VD = struct.pack("<II", 0, 2) + bytes(60)
VB = struct.pack("<II", 500, 4) + b"Config\0" + bytes(60)
MRD2 = b"yardl" + bytes(60)

RAW = {
    "a.h5": HDF5,
    "b/c.mrd": STREAM,
    "b/d.dat": VD,
    "e.dat": VB,
    "f/g/h": MRD2,
    "user_block.h5": bytes(1024) + HDF5,
}
OTHER = {
    "README.md": b"# scans",
    "empty.h5": b"",
    "image.png": b"\x89PNG\r\n\x1a\n",
    "b/zeros": bytes(100),
    "three": b"\x03\x00\x00\x00\x00\x00<",
}


def found(url: str | Path, **options: object) -> list[str]:
    files, root = url_to_fs(str(url))
    return [scan.path for scan in raw_scans(files, root, **options)]  # type: ignore[arg-type]


def fill(url: str) -> None:
    for name, content in {**RAW, **OTHER}.items():
        with fsspec.open(f"{url}/{name}", "wb", auto_mkdir=True) as file:
            file.write(content)


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_every_format_is_found_and_nothing_else(place: str, tmp_path: Path) -> None:
    url = str(tmp_path / "tree") if place == "disk" else f"memory://{tmp_path.name}/tree"
    fill(url)
    names = found(url)
    assert sorted(names) == sorted(RAW)
    assert names == found(url)
    assert len(set(names)) == len(names)


def test_a_spool_is_one_scan_and_its_files_are_none(tmp_path: Path) -> None:
    for name in ("stream.mrd", "pipeline.yaml", "session.json", "owner"):
        fill_one = tmp_path / "20261121-123522-7f3a1c" / name
        fill_one.parent.mkdir(exist_ok=True)
        fill_one.write_bytes(STREAM)
    files, root = url_to_fs(str(tmp_path))
    (scan,) = raw_scans(files, root)
    assert (scan.path, scan.spool, scan.bytes) == ("20261121-123522-7f3a1c", True, 3 * len(STREAM))


def test_results_links_to_folders_and_what_is_excluded_are_left_out(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", a="image", sub__T2="image", sub__T1="image", out__scans__x="image")
    (tree / "sub" / "loop").symlink_to(tree)
    (tree / "link.h5").symlink_to(tree / "a.h5")
    assert found(tree, leave_out=str(tree / "out")) == ["a.h5", "link.h5", "sub/T1.h5", "sub/T2.h5"]
    assert found(tree, leave_out=str(tree / "out"), include=["sub/*"]) == ["sub/T1.h5", "sub/T2.h5"]
    assert found(tree, include=["*/T2.h5"]) == ["sub/T2.h5"]
    assert "sub/T2.h5" not in found(tree, exclude=["*T2*"])


def test_what_changes_in_a_file_changes_its_stamp(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, a="image")
    files, root = url_to_fs(str(tree))
    (before,) = raw_scans(files, root)
    assert [before] == list(raw_scans(files, root))
    write_tree(tree, a="images")
    assert next(raw_scans(files, root)) != before


def test_many_files_of_one_folder_come_in_order(tmp_path: Path) -> None:
    write_tree(tmp_path, **{f"s{number:04d}": "x" for number in range(600)})
    assert found(tmp_path) == [f"s{number:04d}.h5" for number in range(600)]


@pytest.mark.parametrize("name", RAW)
def test_a_start_cut_short_is_no_error(name: str) -> None:
    for length in range(min(len(RAW[name]), 80)):
        assert is_raw(RAW[name][:length]) in (True, False)


def test_an_object_whose_name_leads_elsewhere_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from smug_recon.archive.scans import _wanted

    assert [path for path in ("a/../../b.h5", "a//b.h5", "./a.h5", "a/b..h5") if _wanted(path, (), ())] == [
        "a/b..h5"
    ]
    assert "left out" in caplog.text
