"""A scan in parts has the images of the scan in one piece, bit for bit; where a part is missing it is done in one piece."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
from archive_chain import WANTED, files_of, pictures, request, tiny_model, write_scan
from archive_trees import write_tree

from smug_recon.archive import run
from smug_recon.archive.kept import Models
from smug_recon.archive.order import Order
from smug_recon.archive.parts import Parts, make_part, read_parts
from smug_recon.archive.plan import Planned, Terms, jobs, plan, split_of
from smug_recon.archive.process import reconstructed
from smug_recon.archive.results import Results
from smug_recon.archive.scans import raw_scans
from smug_recon.archive.task import work, work_on_part
from smug_recon.archive.warm import WarmPool
from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Slice, SliceKey


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.pt")


def parts_of(raw: Path, out: Path, overrides: dict[str, str], count: int, models: Models) -> list[str]:
    made = []
    for number in range(count):
        folder = out / f"part{number}"
        folder.mkdir(parents=True)
        make_part({**request(raw, folder, overrides), "part": number, "parts": count}, models)
        made.append(str(folder / "part.npz"))
    return made


CASES: dict[str, tuple[dict[str, Any], dict[str, str], int]] = {
    "slices": ({"slices": 5}, {}, 3),
    "every series, complex, more parts than slices": (
        {"slices": 2},
        {"images.conventional": "true", "images.uncertainty": "true", "images.type": "complex64"},
        3,
    ),
    "repetitions, virtual coils": (
        {"slices": 1, "repetitions": 4},
        {"coil_compression.method": "svd", "coil_compression.channels": "3"},
        2,
    ),
    "maps of an earlier repetition": ({"slices": 2, "repetitions": 4, "calibrated": (0, 2)}, {}, 3),
    "too few calibration lines": ({"slices": 2, "repetitions": 2, "calibrated": ()}, {}, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_parts_give_the_images_of_the_whole(case: str, overrides: dict[str, str], tmp_path: Path) -> None:
    scan, settings, count = CASES[case]
    raw, models, given = write_scan(tmp_path / "a.h5", **scan), Models(), {**overrides, **settings}
    wanted = WANTED if case == "slices" else {**WANTED, "dicom": False, "preview": False}
    whole = reconstructed({**request(raw, tmp_path / "whole", given), "wanted": wanted}, models)
    joined = parts_of(raw, tmp_path, given, count, models)
    sizes = [
        len([name for name in np.load(path, allow_pickle=False) if name.startswith("pixels")])
        for path in joined
    ]
    assert sum(size > 0 for size in sizes) > 1  # more than one part has something to do
    again = {**request(raw, tmp_path / "joined", given), "wanted": wanted, "joined": joined}
    answer = reconstructed(again, models)
    assert pictures(tmp_path / "joined" / "images.h5") == pictures(tmp_path / "whole" / "images.h5")
    if case == "slices":
        assert files_of(tmp_path / "joined") == files_of(tmp_path / "whole")
    assert (whole["fallbacks"] > 0) == ("too few" in case)
    same = ("images", "series", "fallbacks", "fallback_reasons", "acquisitions")
    assert {name: answer[name] for name in same} == {name: whole[name] for name in same}
    assert set(answer["warnings"]) == set(whole["warnings"])


def test_a_slice_that_is_in_no_part_is_an_error(overrides: dict[str, str], tmp_path: Path) -> None:
    raw = write_scan(tmp_path / "a.h5", slices=2)
    joined = parts_of(raw, tmp_path, overrides, 2, Models())
    assert read_parts(joined).slices == 2
    with pytest.raises(DataError, match="parts with 1 of 2"):
        read_parts(joined[:1])
    with pytest.raises(DataError, match="slice 0 in no part"):
        list(Parts(1, {}, []).solve([slice_of()], None, None, None))  # type: ignore[arg-type]


def slice_of() -> Slice:
    nothing = torch.zeros(1)
    return Slice(SliceKey(0, 0, 0, 0, 0), ismrmrd.AcquisitionHeader(), nothing, nothing, nothing, 5.0)


def test_parts_are_read_without_unpickling(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.savez(file, about=np.array([{}], dtype=object))
    (tmp_path / "part.npz").write_bytes(file.getvalue())
    with pytest.raises(ValueError, match="allow_pickle"):
        read_parts([tmp_path / "part.npz"])


@pytest.mark.parametrize(
    ("sizes", "workers", "expected"),
    [
        ([100] * 8, 2, [1] * 8),
        ([1000], 4, [4]),
        ([1000, 10, 10], 2, [2, 1, 1]),
        ([100], 1, [1]),
        ([5], 4, [1]),
    ],
)
def test_what_is_split(sizes: list[int], workers: int, expected: list[int]) -> None:
    parts = split_of(Planned(bytes=sum(sizes)), workers, 10)
    assert [parts(size) for size in sizes] == expected
    assert split_of(Planned(bytes=sum(sizes)), workers, None)(sizes[0]) == 1


def test_what_is_split_goes_first(tmp_path: Path, order: Order) -> None:
    raw = write_tree(tmp_path, a="image", b="image " * 100, c="image")
    listed, results = io.StringIO(), Results(str(tmp_path / "out"))
    scans = raw_scans(results.files, str(raw))
    found = plan(scans, results, order, Terms(str(raw), results.root), listed)
    ordered = [(job["path"], job["parts"]) for job in jobs(listed, split_of(found, 2, 100))]
    assert ordered == [("b.h5", 2), ("a.h5", 1), ("c.h5", 1)]


@pytest.mark.parametrize("what", ["image", "fail", "changed"])
def test_a_scan_whose_parts_failed_is_done_in_one_piece(
    what: str, tmp_path: Path, pool: WarmPool, jobs: Callable[..., list[dict[str, Any]]]
) -> None:
    raw, out = write_tree(tmp_path / "raw", a=what), tmp_path / "out"
    (job,) = jobs(raw, out)
    parts = [work_on_part(job, pool, number, 2) for number in range(2)]
    assert bool(parts[0]["place"]) == (what != "fail")
    if what == "changed":
        write_tree(raw, a="image")
        (job,) = jobs(raw, out)
    else:
        write_tree(raw, a="image") if what == "fail" else None
        (job,) = jobs(raw, out)
    assert work(job, pool, parts)["status"] == "done"
    (record,) = Results(str(out)).records(["a.h5"])
    assert record is not None and record.parts == (2 if what == "image" else 1)
    assert list((out / ".incomplete").iterdir()) == []


def test_the_tasks_of_a_split_scan() -> None:
    submitted: list[tuple[Any, ...]] = []

    class Cluster:
        def submit(self, function: Any, *arguments: Any, **options: Any) -> str:
            submitted.append((function.__name__, *arguments))
            return options["key"]

    run.submitted(Cluster(), {"parts": 2})  # type: ignore[arg-type]
    assert [call[0] for call in submitted] == ["reconstruct_part", "reconstruct_part", "reconstruct_scan"]
    assert [call[2:] for call in submitted[:2]] == [(0, 2), (1, 2)] and len(submitted[2][2]) == 2
    submitted.clear()
    run.submitted(Cluster(), {"parts": 1})  # type: ignore[arg-type]
    assert submitted == [("reconstruct_scan", {"parts": 1}, [])]
