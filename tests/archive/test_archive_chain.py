"""The real process behind an archive: the images of ``smug-recon replay``, bit for bit, with a model that is loaded once."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest
from archive_chain import WANTED, files_of, pictures, request, tiny_model, write_scan
from archive_trees import content
from PIL import Image as Picture
from small_scan import SmallScan, header_xml

from smug_recon.__main__ import main
from smug_recon.archive.kept import KeptNode, Models, session_with
from smug_recon.archive.order import Outputs, order_of
from smug_recon.archive.process import reconstructed
from smug_recon.archive.results import Results
from smug_recon.errors import DataError, ModelError
from smug_recon.replay import replay
from smug_recon.replay.results.images import open_dataset


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A pipeline with a model that does next to nothing."""
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.pt")


def test_the_images_are_those_of_replay_and_the_model_is_loaded_once(
    overrides: dict[str, str], tmp_path: Path
) -> None:
    models = Models()
    for number in range(2):
        raw = write_scan(tmp_path / f"{number}.h5", shift=float(number))
        answer = reconstructed(request(raw, tmp_path / f"kept{number}", overrides), models)
        assert (answer["images"], answer["fallbacks"], answer["last"]) == (2, 0, False)
    assert models.loaded == 1
    replay(raw, tmp_path / "replay", overrides=overrides)
    assert pictures(tmp_path / "kept1" / "images.h5") == pictures(tmp_path / "replay" / "images.h5")
    assert files_of(tmp_path / "kept1") == files_of(tmp_path / "replay")
    assert pictures(tmp_path / "kept0" / "images.h5") != pictures(tmp_path / "kept1" / "images.h5")
    with Picture.open(tmp_path / "kept0" / "thumb.png") as thumbnail:
        assert max(thumbnail.size) <= 128 and np.ptp(np.asarray(thumbnail)) > 100


def test_the_command_from_end_to_end(
    overrides: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    write_scan(raw / "sub" / "a.h5")
    write_scan(raw / "b.h5", slices=1, shift=1.0)
    (raw / "broken.h5").write_bytes((raw / "b.h5").read_bytes()[:3000])
    words = ["smug-recon", "archive", str(raw), "-o", str(out), "--workers", "1", "--dashboard", "0"]
    words += [f"--set={name}={value}" for name, value in overrides.items()]

    def command() -> int:
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0)

    assert command() == 1
    said = capsys.readouterr()
    assert "dashboard http://127.0.0.1:" in said.out and "broken.h5: found" in said.err
    assert "3: 3 to do" in said.out
    reconstructed(request(raw / "sub" / "a.h5", tmp_path / "here", overrides), Models())
    result = out / "scans" / "sub" / "a.h5"
    assert pictures(result / "images.h5") == pictures(tmp_path / "here" / "images.h5")
    assert files_of(result) == files_of(tmp_path / "here")
    records = {record.path: record for record in Results(str(out)).all_records()}
    assert [records[name].status for name in ("sub/a.h5", "b.h5", "broken.h5")] == ["done", "done", "failed"]
    assert (records["sub/a.h5"].images, records["b.h5"].images) == (2, 1)
    shown = {
        name: found
        for name, found in content(out).items()
        if name.endswith((".html", ".csv", ".parquet", ".json", ".log"))
    }
    for name, found in shown.items():
        assert b"JANE" not in found and b"MRN-4711" not in found, name
        assert str(tmp_path).encode() not in found, name
    before = content(out)
    assert command() == 1  # the failure of before
    assert "3: 0 to do" in capsys.readouterr().out
    assert content(out) == before


def test_models_are_kept_by_hash_and_device_two_at_a_time() -> None:
    read: list[str] = []

    def load(path: Path, sha256: str, device: str) -> Any:
        read.append(sha256)
        return object()

    models = Models(load)
    first = models.load(Path("a"), "aa", "cpu")
    assert models.load(Path("elsewhere"), "AA", "cpu") is first
    models.load(Path("b"), "bb", "cpu")
    models.load(Path("a"), "aa", "cpu")
    models.load(Path("c"), "cc", "cpu")  # bb makes room
    assert models.load(Path("a"), "aa", "cpu") is first
    models.load(Path("b"), "bb", "cpu")
    assert read == ["aa", "bb", "cc", "bb"] and models.loaded == 4


def test_a_model_that_cannot_be_loaded_fails_the_scan(overrides: dict[str, str], tmp_path: Path) -> None:
    raw = write_scan(tmp_path / "a.h5", slices=1)
    with pytest.raises(ModelError):
        reconstructed(request(raw, tmp_path / "out", {**overrides, "model.sha256": "0" * 64}), Models())
    assert not (tmp_path / "out" / "images.h5").exists()


def test_a_scan_without_image_fails_and_the_next_one_does_not(
    overrides: dict[str, str], tmp_path: Path
) -> None:
    models = Models()
    bad = tmp_path / "bad.h5"
    scan = SmallScan()
    scan.add_noise_scan()
    with open_dataset(bad, "w") as dataset:
        dataset.write_xml_header(header_xml().encode())
        for readout in scan.readouts:
            dataset.append_acquisition(readout)
    with pytest.raises(DataError):
        reconstructed(request(bad, tmp_path / "bad", overrides), models)
    raw = write_scan(tmp_path / "a.h5", slices=1)
    assert reconstructed(request(raw, tmp_path / "good", overrides), models)["images"] == 1


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Any]:
    """``node(session)``: a node that runs it."""
    made: list[KeptNode] = []

    def start(session: Any, **environment: str) -> KeptNode:
        made.append(KeptNode(tmp_path / "node.log", session, environment))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def test_the_environment_of_a_session_ends_with_it(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.delenv("SMUG_RECON_TRIAL", raising=False)
    found = node(session_with(Models()), SMUG_RECON_TRIAL="here")
    assert os.environ["SMUG_RECON_TRIAL"] == "here"
    found.socket.shutdown(socket.SHUT_WR)  # a host that goes before it has said anything
    found.stop()
    assert not found.stuck
    assert "SMUG_RECON_TRIAL" not in os.environ


def test_a_session_that_goes_on_without_its_host_is_stuck(
    node: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from smug_recon.archive import kept
    from smug_recon.replay.messages import wire

    monkeypatch.setattr(kept, "STOP_S", 0.1)
    release = threading.Event()
    found = node(lambda connection: release.wait(60))
    found.socket.sendall(
        wire.text_message(wire.CONFIG, b"<configuration/>") + wire.text_message(3, header_xml().encode())
    )
    found.stop()
    assert found.stuck and found.wait(0.0) is None
    release.set()
    assert found.wait(30.0) is not None and not found.stuck


def test_the_order_of_the_outputs_reaches_the_scan(overrides: dict[str, str], tmp_path: Path) -> None:
    raw, out = write_scan(tmp_path / "a.h5", slices=1), tmp_path / "out"
    wanted = {**WANTED, "dicom": False, "preview": False}
    reconstructed({**request(raw, out, overrides), "wanted": wanted}, Models())
    assert {path.name for path in out.iterdir()} == {"images.h5", "thumb.png", "timing.json"}
    assert order_of(None, overrides, Outputs(dicom=False)).wanted() != order_of(None, overrides).wanted()


def test_ismrmrd_reads_what_an_archive_leaves(overrides: dict[str, str], tmp_path: Path) -> None:
    raw, out = write_scan(tmp_path / "a.h5"), tmp_path / "out"
    reconstructed(request(raw, out, overrides), Models())
    with open_dataset(out / "images.h5", "r") as dataset:
        assert dataset.number_of_images("images_1") == 2
        ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
