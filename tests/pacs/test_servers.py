"""Real servers: DCMTK's storescp, plain and with TLS, and Orthanc."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pydicom
import pytest
from pacs_programs import UNCLOSED, free_port, installed
from pydicom.uid import ImplicitVRLittleEndian

from smug_recon.errors import ConfigurationError
from smug_recon.pacs import deliver
from smug_recon.pacs.queue import COMMITTED, STORED, WAITING

pytestmark = UNCLOSED
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def uids(files):
    return {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files}


@pytest.mark.parametrize(("name", "options"), [("slices", ()), ("enhanced", ()), ("slices", ("+xi",))])
def test_storescp_has_what_was_sent(name, options, storescp, studies, destination):
    port, folder = storescp(*options)
    done = deliver(studies[name], destination(port))
    assert done.exit_code == 0 and done.counts[STORED] == len(studies[name])
    sent = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, studies[name])}
    received = [pydicom.dcmread(path) for path in folder.iterdir()]
    assert {ds.SOPInstanceUID: ds for ds in received} == sent and len(received) == len(sent)
    if options:  # implicit VR alone: the same values in another transfer syntax
        assert {ds.file_meta.TransferSyntaxUID for ds in received} == {ImplicitVRLittleEndian}


def test_orthanc_keeps_what_was_sent(orthanc, studies, destination):
    report = free_port()
    get = orthanc(report)
    wanted = destination(get.dicom, commitment={"listen": f"127.0.0.1:{report}"})
    every = [*studies["slices"], *studies["enhanced"]]
    done = deliver(every, wanted)
    assert done.exit_code == 0 and done.counts[COMMITTED] == len(every)
    found = [get(f"/instances/{name}")["MainDicomTags"]["SOPInstanceUID"] for name in get("/instances")]
    assert set(found) == uids(every) and len(found) == len(every)
    assert get("/statistics")["CountStudies"] == 1
    assert deliver(every, wanted).known == len(every)  # nothing is sent twice
    wrong = deliver(studies["many"][:1], destination(get.dicom, called="OTHER"), give_up_s=60)
    assert wrong.counts[WAITING] == 1 and "Called AE title" in wrong.trouble


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """A certificate authority, a server and a client that it has signed, and another authority."""
    openssl = installed("openssl", "openssl")
    folder = tmp_path_factory.mktemp("certificates")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        subject = ("-subj", f"/CN={name}", "-days", "2")
        run("req", "-x509", *CURVE, *subject, "-keyout", f"{name}.key", "-out", f"{name}.pem")
    for name, alternative in (("server", "IP:127.0.0.1,DNS:pacs.example"), ("client", "DNS:scanner.example")):
        run("req", *CURVE, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "names").write_text(f"subjectAltName={alternative}\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        run("x509", "-req", "-in", f"{name}.csr", *signed, "-extfile", "names", "-out", f"{name}.pem")
    run("ec", "-in", "client.key", "-aes256", "-passout", "pass:x", "-out", "locked.key")
    return folder


def test_tls_with_certificates_of_both_sides(storescp, studies, destination, certificates):
    at = certificates
    port, folder = storescp("+tls", at / "server.key", at / "server.pem", "+cf", at / "ca.pem")
    ours = {"ca": at / "ca.pem", "certificate": at / "client.pem", "key": at / "client.key"}
    files = studies["slices"]
    assert deliver(files, destination(port, tls=ours)).exit_code == 0
    assert uids(folder.iterdir()) == uids(files)
    refused = {
        "certificate is not accepted": {**ours, "ca": at / "other.pem"},  # signed by somebody else
        "certificate is not accepted: Hostname mismatch": {**ours, "name": "pacs.elsewhere"},
        "tls.certificate": {"ca": at / "ca.pem"},  # the peer wants to see one
    }
    for said, tls in refused.items():
        done = deliver(files, destination(port, tls=tls, queue=at / said), give_up_s=0.5)
        assert done.counts[WAITING] == len(files) and said in done.trouble
    plain = deliver(files, destination(port, queue=at / "plain", timeout_s=2.0), give_up_s=0.5)
    assert plain.counts[WAITING] == len(files)
    assert (
        deliver([], destination(port, tls={**ours, "name": "pacs.example"}, queue=at / "plain")).exit_code
        == 0
    )


def test_orthanc_over_tls_reports_over_tls(orthanc, studies, destination, certificates):
    at, report = certificates, free_port()
    get = orthanc(
        report,
        tls=True,
        DicomTlsEnabled=True,
        DicomTlsCertificate=str(at / "server.pem"),
        DicomTlsPrivateKey=str(at / "server.key"),
        DicomTlsTrustedCertificates=str(at / "ca.pem"),
    )
    ours = {"ca": at / "ca.pem", "certificate": at / "client.pem", "key": at / "client.key"}
    wanted = destination(get.dicom, tls=ours, commitment={"listen": f"127.0.0.1:{report}"})
    assert deliver(studies["slices"], wanted).counts[COMMITTED] == len(studies["slices"])
    assert get("/statistics")["CountInstances"] == len(studies["slices"])


def test_certificates_that_cannot_be_used_are_told(studies, destination, certificates):
    at = certificates
    for tls in (
        {"ca": at / "nothing.pem"},
        {"ca": at / "ca.pem", "certificate": at / "client.pem", "key": at / "server.key"},
        {"ca": at / "ca.pem", "certificate": at / "client.pem", "key": at / "locked.key"},
    ):
        with pytest.raises(ConfigurationError):
            deliver(studies["slices"], destination(9, tls=tls), give_up_s=30.0)
