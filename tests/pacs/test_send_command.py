"""``smug-recon send``, ``replay --send``, ``serve --send``: options, exit codes, and what is never said."""

from __future__ import annotations

import logging
import warnings

import pydicom
import pytest
from failing_peer import STORE
from pacs_programs import UNCLOSED, free_port
from typer.testing import CliRunner

from smug_recon.__main__ import app
from smug_recon.errors import ConfigurationError, DataError
from smug_recon.pacs import load_destination
from smug_recon.replay.offline import ReplayResult

pytestmark = UNCLOSED
NAMES = ("Phantom", "P-1", "Doctor", "Hospital", "4711047110")


def send(*arguments):
    done = CliRunner().invoke(app, ["send", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_exit_codes_and_status(failing, studies, tmp_path):
    peer, queue = failing([STORE, 0xA900]), tmp_path / "queue"
    to = ("--to", f"ORTHANC@127.0.0.1:{peer.port}", "--queue", queue)
    folder = studies["slices"][0].parent
    assert send("--status", "--queue", queue).stdout.startswith("nothing in")
    done = send(folder, *to)
    assert done.exit_code == 1 and "3 new; in all: 2 stored, 1 set aside" in done.stdout
    told = send("--status", "--queue", queue)
    assert told.exit_code == 1 and "0xA900: data set does not match its SOP class" in told.stdout
    done = send("--retry", *to)
    assert done.exit_code == 0 and "3 stored" in done.stdout
    assert send(folder, *to).stdout.count("3 known already") == 1
    assert sum(peer.acknowledged.values()) == 3
    done = send(folder, *to, "--again")
    assert done.exit_code == 0 and sum(peer.acknowledged.values()) == 6
    nobody = ("--to", f"ORTHANC@127.0.0.1:{free_port()}", "--queue", queue)
    done = send(folder, *nobody, "--give-up", "0.1")
    assert done.exit_code == 4 and "3 waiting; cannot connect" in done.stdout
    told = send("--status", *nobody)
    assert told.exit_code == 4 and f"@127.0.0.1:{peer.port}" not in told.stdout
    assert send("--status", *to).exit_code == 0


def test_nothing_of_the_patient_is_said(failing, studies, tmp_path, caplog, capfd):
    """Neither in the log, whatever its level, nor on the terminal, nor in the queue's book; nor what the peer says."""
    odd = pydicom.dcmread(studies["slices"][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        odd.StudyDate = "Phantom"  # no date: pydicom quotes such values in warnings
        odd.SOPInstanceUID = odd.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
        odd.save_as(tmp_path / "odd.dcm")
    peer, queue = failing([0x0110, 0xA900, STORE, 0xA700]), tmp_path / "queue"
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings():
        warnings.simplefilter("default")
        to = ("--to", f"ORTHANC@127.0.0.1:{peer.port}", "--queue", queue, "--set", "first_pause_s=0.01")
        done = send(*studies["slices"], tmp_path / "odd.dcm", *to, "-v")
        told = send("--status", "--queue", queue)
    assert done.exit_code == 1 and len(peer.stored) == 3
    heard = capfd.readouterr()
    said = caplog.text + done.output + told.output + heard.out + heard.err
    assert "instance 1 will be sent again: 0x0110" in said
    book = b"".join(path.read_bytes() for path in queue.glob("queue.sqlite*"))
    for name in NAMES:
        assert name not in said and name.encode() not in book, name


def test_a_destination_in_yaml(tmp_path):
    path = tmp_path / "pacs.yaml"
    path.write_text(
        "to: PACS@pacs.example:2762\ncalling: SCANNER1\ntls: {ca: ca.pem}\ncommitment: {listen: '0.0.0.0:11113'}\n"
    )
    found = load_destination(str(path), {"tls.name": "other", "queue": "q", "attempts": "3"})
    assert (found.called, found.address, found.calling) == ("PACS", ("pacs.example", 2762), "SCANNER1")
    assert found.tls.ca == tmp_path / "ca.pem" and found.tls.name == "other" and found.attempts == 3
    assert found.queue.is_absolute() and found.commitment.listen == "0.0.0.0:11113"
    assert load_destination("A B@[::1]:104").address == ("::1", 104)


@pytest.mark.parametrize(
    "text",
    ["PACS", "PACS@host", "PACS@host:0", "PACS@host:99999", "@host:104", "A\\B@host:104", "SEVENTEEN_LETTERS@h:104",
     "PACS@[x:y]:104", "none.yaml"],
)  # fmt: skip
def test_a_destination_that_is_none_is_told(text):
    with pytest.raises(ConfigurationError):
        load_destination(text)


@pytest.mark.parametrize(
    "content",
    ["[]", "to: 3", "colour: blue\nto: A@h:1", "to: A@h:1\ntls: {}", "to: A@h:1\ntimeout_s: -1", "to: A@h:1\ntls: 3",
     "!!python/object:os.system x", "to: A@h:1\ncommitment: {listen: nowhere}"],
)  # fmt: skip
def test_a_file_that_is_no_destination_is_told(content, tmp_path):
    (tmp_path / "pacs.yaml").write_text(content)
    with pytest.raises(ConfigurationError):
        load_destination(str(tmp_path / "pacs.yaml"))


def test_files_that_cannot_be_sent_are_told_before_anything_is_queued(studies, tmp_path):
    (tmp_path / "text.dcm").write_text("no image")
    to = ("--to", "A@127.0.0.1:9", "--queue", tmp_path / "queue")
    with pytest.raises(DataError, match=r"text\.dcm"):
        send(studies["slices"][0], tmp_path / "text.dcm", *to)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="without DICOM"):
        send(empty, *to)
    assert send("--status", "--queue", tmp_path / "queue").exit_code == 0
    assert send(studies["slices"][0]).exit_code == 2  # no --to


@pytest.mark.parametrize(("plan", "fallbacks", "code"), [([], 0, 0), ([], 2, 3), ([0xA900], 2, 1)])
def test_replay_sends_what_it_wrote(plan, fallbacks, code, failing, studies, tmp_path, monkeypatch):
    """The command around the reconstruction, which tests/replay runs."""
    result = ReplayResult(
        tmp_path / "images.h5", {"images_1": 3}, 10, fallbacks, {"stages": []}, dicom=studies["slices"]
    )
    monkeypatch.setattr("smug_recon.replay.replay", lambda *arguments, **options: result)
    peer = failing(plan)
    (tmp_path / "pacs.yaml").write_text(f"to: ORTHANC@127.0.0.1:{peer.port}\nqueue: queue\n")
    (tmp_path / "raw.h5").touch()
    words = ["replay", tmp_path / "raw.h5", "-o", tmp_path / "out", "--send", tmp_path / "pacs.yaml"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    assert f"pacs     ORTHANC@127.0.0.1:{peer.port}  3 new" in done.stdout
    assert len(peer.stored) == 3 - len(plan) and (tmp_path / "queue").is_dir()
    done = CliRunner().invoke(app, [str(word) for word in (*words, "--no-dicom")])
    assert done.exit_code == 2
