"""Real servers: DCMTK's storescp, plain and with TLS, and Orthanc."""

from __future__ import annotations

import json
import subprocess

import pydicom
import pytest
from conftest import free_port, installed

from smug_recon.pacs import deliver
from smug_recon.pacs.queue import COMMITTED, STORED


def uids(files):
    return {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files}


@pytest.mark.parametrize("name", ["slices", "enhanced"])
def test_storescp_has_what_was_sent(name, storescp, studies, destination):
    port, folder = storescp()
    done = deliver(studies[name], destination(port))
    assert done.exit_code == 0 and done.counts[STORED] == len(studies[name])
    received = list(folder.iterdir())
    assert uids(received) == uids(studies[name])
    sent, got = pydicom.dcmread(studies[name][0]), {pydicom.dcmread(p).SOPInstanceUID: p for p in received}
    assert pydicom.dcmread(got[sent.SOPInstanceUID]) == sent


def test_a_peer_of_implicit_vr_alone_gets_the_same_values(storescp, studies, destination):
    port, folder = storescp("+xi")
    assert deliver(studies["slices"], destination(port)).exit_code == 0
    for path in folder.iterdir():
        found = pydicom.dcmread(path)
        assert found.file_meta.TransferSyntaxUID == pydicom.uid.ImplicitVRLittleEndian
        (sent,) = [each for each in map(pydicom.dcmread, studies["slices"]) if each.SOPInstanceUID == found.SOPInstanceUID]
        assert found == sent


def test_orthanc_keeps_what_was_sent(orthanc, studies, destination):
    report = free_port()
    get = orthanc(report)
    wanted = destination(get.dicom, commitment={"listen": f"127.0.0.1:{report}"})
    done = deliver([*studies["slices"], *studies["enhanced"]], wanted)
    number = len(studies["slices"]) + len(studies["enhanced"])
    assert done.exit_code == 0 and done.counts[COMMITTED] == number
    found = [get(f"/instances/{name}")["MainDicomTags"]["SOPInstanceUID"] for name in get("/instances")]
    assert set(found) == uids([*studies["slices"], *studies["enhanced"]]) and len(found) == number
    assert get("/statistics")["CountStudies"] == 1
