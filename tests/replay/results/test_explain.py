"""``explain``: what an image tells of itself, from Meta and from DICOM; equal pixels from equal raw data, seed and device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from smug_recon.dicom import write_dicom
from smug_recon.errors import DataError
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.results.explain import explain
from smug_recon.replay.results.images import ImageFile

sys.path.append(str(Path(__file__).parents[2] / "gadgets"))
from small_scan import header, header_xml, whole_scan

SLICES = 3
PATIENT = "MARKED^NAME"


def xml() -> str:
    subject = f"<subjectInformation><patientName>{PATIENT}</patientName></subjectInformation>"
    return header_xml(slices=SLICES).replace(
        "<measurementInformation>", f"{subject}<measurementInformation>", 1
    )


class FailsOnce:
    """The real network; its second slice comes out as NaN."""

    def __init__(self) -> None:
        from smug_recon.gadgets.model.file import load_model

        pipeline = load_pipeline()
        self.model = load_model(pipeline.model_path, pipeline.model.sha256, "cpu")
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def forward(self, *arguments: Any) -> Any:
        self.calls += 1
        image, spread = self.model.forward(*arguments)
        return image * (float("nan") if self.calls == 2 else 1.0), spread


def reconstructed(model: Any = None, **overrides: Any) -> list[Any]:
    found: list[Any] = []
    pipeline = load_pipeline().with_overrides({"device": "cpu", **overrides})
    run(whole_scan(SLICES).readouts, found.append, header(slices=SLICES), pipeline, model)
    return found


@pytest.fixture(scope="module")
def images() -> list[Any]:
    return reconstructed(FailsOnce(), **{"images.uncertainty": True})


def written(folder: Path, images: list[Any]) -> Path:
    path = folder / "images.h5"
    with ImageFile(path, xml().encode()) as file:
        for image in images:
            file.append(image)
        file.finish()
    return path


def test_everything_that_pixels_depend_on_is_told(tmp_path: Path, images: list[Any]) -> None:
    pipeline = load_pipeline().with_overrides({"device": "cpu", "images.uncertainty": True})
    said = explain(written(tmp_path, images))
    card = FailsOnce().card
    for part in (
        f"{card.name} {card.version}",
        f"SHA-256 {pipeline.model.sha256}",
        f"smug-cartesian, SHA-256 {pipeline.sha256}",
        "seed 0, 2 copies",
        f"torch {torch.__version__}",
        "FALLBACK    CG-SENSE: the network gave values that are not finite  [image 2]",
        "head SMUG  [images 1, 3]",
        "head SMUG FALLBACK CG-SENSE  [image 2]",
        "head SMUG uncertainty",
    ):
        assert part in said, said
    assert said.count("device      cpu") == 2, "one for each series"
    assert "seconds     " in said and "network " in said.split("seconds     ")[1]
    assert PATIENT not in said


def test_the_pipeline_hash_tells_settings_apart_and_not_folders() -> None:
    pipeline = load_pipeline()
    assert pipeline.with_overrides({"seed": 1}).sha256 != pipeline.sha256
    assert pipeline.with_overrides({"images.headroom": 3}).sha256 != pipeline.sha256
    assert pipeline.with_overrides({"model.file": "/elsewhere/model.pt"}).sha256 == pipeline.sha256
    assert pipeline.with_overrides({"device": "cpu"}).sha256 == pipeline.sha256
    assert pipeline.with_overrides({"model.sha256": "0" * 64}).sha256 != pipeline.sha256


def test_a_dicom_file_tells_it_too(tmp_path: Path, images: list[Any]) -> None:
    import ismrmrd

    files = write_dicom(images, ismrmrd.xsd.CreateFromDocument(xml()), tmp_path)
    said = [explain(path) for path in files]
    ours = [text for text in said if "AI reconstruction" in text]
    assert len(ours) == 4, "two images and two maps"
    pipeline = load_pipeline()
    assert all(pipeline.model.sha256 in text and "seed 0" in text and "device cpu" in text for text in ours)
    (fallback,) = (text for text in said if "FALLBACK" in text)
    assert "not finite" in fallback and "no neural network" in fallback
    assert sum("STD_DEVIATION" in text for text in said) == 2
    assert not any(PATIENT in text for text in said)


def test_equal_raw_data_seed_and_device_give_equal_images(images: list[Any]) -> None:
    first, second = reconstructed(), reconstructed()
    other = reconstructed(seed=1)
    for one, two, three in zip(first, second, other, strict=True):
        assert one.meta.pop("SmugSeconds") and two.meta.pop("SmugSeconds")
        assert one.to_bytes() == two.to_bytes()
        assert not np.array_equal(one.data, three.data)
    assert np.array_equal(first[0].data, images[0].data), "another chain of the same process"


def test_another_process_gives_the_same_pixels() -> None:
    """Nothing of the first process is left in the second: no seed of the interpreter, no order of a dictionary."""
    code = (
        "import sys, hashlib; sys.path[:0] = sys.argv[1:]; import test_explain as t; "
        "print(hashlib.sha256(b''.join(i.data.tobytes() for i in t.reconstructed())).hexdigest())"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "gadgets")]
    found = [
        subprocess.run(
            [sys.executable, "-c", code, *folders],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
        ).stdout.split()[-1]
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]


def test_images_of_others_are_told_as_far_as_they_tell(tmp_path: Path) -> None:
    import ismrmrd

    bare = ismrmrd.Image.from_array(np.zeros((4, 4), np.float32), transpose=False)
    path = tmp_path / "bare.h5"
    with ImageFile(path, header_xml().encode()) as file:
        file.append(bare)
        file.finish()
    assert explain(path).splitlines() == ["images_0", "  images      1"]


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no image")
    with pytest.raises(DataError, match="neither HDF5 nor DICOM"):
        explain(tmp_path / "text")
    with pytest.raises(DataError, match="no readable file"):
        explain(tmp_path / "absent")
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_group("dataset")
    with pytest.raises(DataError, match="no images in raw"):
        explain(tmp_path / "raw.h5")
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(DataError, match="cannot be read"):
        explain(tmp_path / "cut.h5")
    (tmp_path / "cut.dcm").write_bytes(bytes(128) + b"DICM" + b"\x99" * 50)
    with pytest.raises(DataError):
        explain(tmp_path / "cut.dcm")
