"""``smug-recon check``: one clear message for everything wrong, and what would be run if nothing is."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
import yaml

from smug_recon.__main__ import main
from smug_recon.errors import ConfigurationError, HeaderError, ModelError
from smug_recon.gadgets.model.file import sha256_of
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import find_pipeline, load_pipeline
from smug_recon.replay.reading.heads import read_heads
from smug_recon.replay.reading.raw import read_items
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import RawScan, write_raw
from smug_recon.simulation.scan import simulate_scan

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run ``smug-recon check`` and return its exit code and what it printed."""

    def call(*arguments: Any) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["smug-recon", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        code = caught.value.code
        return (code if isinstance(code, int) else 0), (printed.err if code else printed.out)

    return call


@pytest.fixture(scope="module")
def scan() -> RawScan:
    return simulate_scan(
        ScanSettings(matrix_xy=(32, 48), coils=4, slices=2, acceleration=2.0, acs=16, pattern="regular")
    )


@pytest.fixture
def raw(tmp_path: Path, scan: RawScan) -> Callable[..., Path]:
    """Write the small scan with changes to its header text and without some of its readouts."""

    def writer(*replaced: tuple[str, str], keep: Callable[[np.ndarray], Any] | None = None) -> Path:
        xml = scan.xml
        for before, after in replaced:
            assert before in xml
            xml = xml.replace(before, after)
        rows = np.arange(len(scan.heads)) if keep is None else np.flatnonzero(keep(scan.heads))
        path = tmp_path / "raw.h5"
        write_raw(RawScan(xml, scan.heads[rows], [scan.samples[row] for row in rows], scan.truth), path)
        return path

    return writer


def clear(printed: str, *parts: str) -> None:
    """One line: found, expected, what to do."""
    assert printed.count("\n") == 1 and printed.startswith("smug-recon: ")
    assert "found " in printed and "; expected " in printed and printed.count(";") >= 2
    for part in parts:
        assert part in printed


@pytest.mark.parametrize(
    "name", ["smug-cartesian", "Generic_Cartesian_SMUG", "Generic_Cartesian_SMUG_connect"]
)
def test_the_shipped_pipelines_pass(check: Call, name: str) -> None:
    code, printed = check(name, "--device", "cpu")
    assert code == 0
    assert load_pipeline().model.sha256 in printed
    assert "smug-brain-4x" in printed and "cpu" in printed and "uint16" in printed


def test_what_would_be_run_is_said(check: Call, raw: Any) -> None:
    code, printed = check(
        find_pipeline("smug-cartesian"),
        "--raw",
        raw(),
        "--device",
        "cpu",
        "--set",
        "images.conventional=true",
    )
    facts = {line[:12].strip(): line[12:] for line in printed.splitlines()}
    assert code == 0
    assert facts["encoded"].startswith("64 x 48") and facts["network"].startswith("32 x 48")
    assert "of 4 coils x 64 samples" in facts["readouts"]
    assert facts["slices"] == "2 slices, 2 images"
    assert facts["calibration"].startswith("16 lines") or facts["calibration"].startswith("1")
    assert "readouts" in facts["noise scan"]
    assert "CG-SENSE" in facts["images"]
    assert "PHANTOM" not in printed, "no patient data"


@pytest.mark.parametrize(("name", "lines"), [("brain8ch.h5", 180), ("brain8ch_R4.h5", 45)])
def test_the_real_scans_pass(check: Call, shared_data: Path, name: str, lines: int) -> None:
    code, printed = check("--device", "cpu", "--raw", shared_data / name)
    assert code == 0
    assert f"{lines} of 8 coils x 230 samples" in printed
    assert f"{lines} sampled per image" in printed
    assert "noise scan  none" in printed


def test_wrong_pipelines(check: Call, tmp_path: Path) -> None:
    code, printed = check(tmp_path / "absent.yaml")
    assert code == 2
    clear(printed, "absent.yaml")
    path = tmp_path / "own.yaml"
    path.write_text("model: {sha256: 12}\n")
    code, printed = check(path)
    assert code == 2
    clear(printed, "model.sha256", "own.yaml")
    code, printed = check("--set", "images.typ=uint16")
    assert code == 2
    clear(printed, "did you mean 'images.type'")


def own_pipeline(folder: Path, model: Path, sha256: str) -> Path:
    settings = yaml.safe_load(find_pipeline("smug-cartesian").read_text())
    settings["model"] = {"file": str(model), "sha256": sha256}
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_models_that_do_not_fit(check: Call, tmp_path: Path) -> None:
    shipped = load_pipeline()
    content = shipped.model_path.read_bytes()
    altered = tmp_path / "altered.pt"

    altered.write_bytes(content[:1000] + b"!" + content[1001:])
    code, printed = check(own_pipeline(tmp_path, altered, shipped.model.sha256))
    assert code == 2
    clear(printed, "ModelError", "SHA-256", shipped.model.sha256)

    altered.write_bytes(content[:-1000])
    code, printed = check(own_pipeline(tmp_path, altered, shipped.model.sha256))
    assert code == 2
    clear(printed, "cut short")

    with zipfile.ZipFile(shipped.model_path) as before, zipfile.ZipFile(altered, "w") as after:
        for name in before.namelist():
            if not name.endswith("card.json"):
                after.writestr(name, before.read(name))
    code, printed = check(own_pipeline(tmp_path, altered, sha256_of(altered)))
    assert code == 2
    clear(printed, "no card in altered.pt")

    code, printed = check(own_pipeline(tmp_path, tmp_path / "absent.pt", shipped.model.sha256))
    assert code == 2
    clear(printed, "no readable model file")


def test_a_missing_gpu(check: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, printed = check("--device", "cuda")
    assert code == 2
    clear(printed, "ConfigurationError", "no GPU", "auto or cpu")


CARTESIAN = "<trajectory>cartesian</trajectory>"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (CARTESIAN, "<trajectory>radial</trajectory>", "the trajectory 'radial'"),
        (CARTESIAN, "<trajectory>helix</trajectory>", "helix"),
        ("<x>64</x>", "<x>0</x>", "matrixSize x = 0"),
        ("<x>64</x>", "<x>sixty</x>", "sixty"),
        ("<x>64</x>", "<x>40</x>", "a readout of 64 samples"),
        ("<y>48</y>", "<y>24</y>", "phase-encode lines"),
    ],
)
def test_headers_that_cannot_be_reconstructed(
    check: Call, raw: Any, before: str, after: str, said: str
) -> None:
    code, printed = check("--device", "cpu", "--raw", raw((before, after)))
    assert code == 1
    clear(printed, said)


def test_a_header_without_encoding(check: Call, raw: Any, scan: RawScan) -> None:
    start, stop = scan.xml.index("<encoding>"), scan.xml.index("</encoding>") + len("</encoding>")
    code, printed = check("--device", "cpu", "--raw", raw((scan.xml[start:stop], "")))
    assert code == 1
    clear(printed, "HeaderError", "no encoding")


def test_a_header_that_is_no_xml(check: Call, raw: Any, scan: RawScan) -> None:
    code, printed = check("--device", "cpu", "--raw", raw((scan.xml, "no header")))
    assert code == 1
    clear(printed, "HeaderError")


def test_scans_that_cannot_be_reconstructed(check: Call, raw: Any, tmp_path: Path) -> None:
    def line(heads: np.ndarray) -> np.ndarray:
        return heads["idx"]["kspace_encode_step_1"]

    code, printed = check("--device", "cpu", "--raw", raw(keep=lambda heads: line(heads) % 2 == 1))
    assert code == 1
    clear(printed, "DataError", "calibration lines", "acquire calibration lines")
    code, printed = check("--device", "cpu", "--raw", raw(keep=lambda heads: line(heads) < 0))
    assert code == 1
    clear(printed, "DataError", "no acquisitions")
    code, printed = check("--device", "cpu", "--raw", tmp_path / "absent.h5")
    assert code == 1
    clear(printed, "absent.h5")
    (tmp_path / "short.h5").write_bytes(raw().read_bytes()[:3000])
    code, printed = check("--device", "cpu", "--raw", tmp_path / "short.h5")
    assert code == 1
    clear(printed, "short.h5")


def test_heads_of_a_file_and_of_a_stream_are_those_of_the_readouts(raw: Any, tmp_path: Path) -> None:
    path = raw()
    xml, heads = read_heads(path)
    readouts = list(read_items(path))
    assert b"ismrmrdHeader" in xml and len(heads) == len(readouts)
    assert heads.tobytes() == b"".join(bytes(readout.getHead()) for readout in readouts)
    stream = tmp_path / "raw.mrd"
    with stream.open("wb") as file:
        file.write((3).to_bytes(2, "little") + len(xml).to_bytes(4, "little") + xml)
        for readout in readouts:
            file.write((1008).to_bytes(2, "little"))
            readout.serialize_into(file.write)
        file.write((4).to_bytes(2, "little"))
    assert read_heads(stream)[1].tobytes() == heads.tobytes()


def untouched() -> Iterator[Any]:
    pytest.fail("an item was read before everything was checked")
    yield


def test_the_node_checks_the_same_before_the_first_readout(
    scan: RawScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = ismrmrd.xsd.CreateFromDocument(scan.xml)
    pipeline = load_pipeline().with_overrides({"device": "cpu"})

    def start(pipeline: Any) -> None:
        run(untouched(), lambda item: pytest.fail("an item was sent"), header, pipeline)

    with pytest.raises(ModelError, match="SHA-256"):
        start(pipeline.with_overrides({"model.sha256": "0" * 64}))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match="no GPU"):
        start(pipeline.with_overrides({"device": "cuda"}))
    header.encoding[0].trajectory = ismrmrd.xsd.trajectoryType.SPIRAL
    with pytest.raises(HeaderError, match="'spiral'"):
        start(pipeline)
