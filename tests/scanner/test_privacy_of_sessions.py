"""Marked names, dates and numbers in every header field that may tell who lies in the scanner: none leaves but on images."""

from __future__ import annotations

import logging
import urllib.request

import hosts
import pytest
from marked import BROKEN, MARK, TITLE, identified
from small_scan import header_xml

from smug_recon.pipeline import SpoolSettings
from smug_recon.spool.record import STREAM
from smug_recon.web import LivePage

OPENINGS = {
    "FIRE": lambda xml: hosts.name("smug-cartesian") + hosts.text(3, xml, nul=True),
    "client": lambda xml: hosts.name("Generic_Cartesian_SMUG.xml") + hosts.text(3, xml),
    "connect": lambda xml: hosts.text(2, hosts.CONNECT_CONFIG) + hosts.text(3, xml),
}


def fetched(server, page):
    with urllib.request.urlopen(f"http://127.0.0.1:{server._page.port}/{page}", timeout=20) as answer:
        return answer.read().decode()


@pytest.fixture(autouse=True)
def _debug(caplog):
    caplog.set_level(logging.DEBUG)


@pytest.mark.parametrize("kind", OPENINGS)
def test_a_session_says_nothing_of_the_patient(start, caplog, capfd, kind):
    server = start()
    heard = hosts.session(server.port, OPENINGS[kind](identified(header_xml())))
    assert heard.images, heard
    told = [
        *heard.texts,
        fetched(server, "metrics"),
        fetched(server, "ready"),
        caplog.text,
        *capfd.readouterr(),
    ]
    assert not [text for text in told if MARK.search(text) or TITLE.search(text)]
    assert any(TITLE.search(str(dict(image.meta))) for image in heard.images)  # the scan was the marked one


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("kind", OPENINGS)
def test_what_is_wrong_with_a_header_is_told_without_its_values(start, caplog, capfd, kind, fault):
    server = start()
    heard = hosts.session(server.port, OPENINGS[kind](BROKEN[fault](identified(header_xml()))))
    told = [*heard.texts, heard.error or "", fetched(server, "metrics"), caplog.text, *capfd.readouterr()]
    assert not [text for text in told if MARK.search(text) or TITLE.search(text)]
    assert heard.images or heard.complaint


@pytest.mark.parametrize("cut", ["lines", "numbers", "twice", "line"])
def test_a_session_that_fails_says_nothing_of_the_patient(start, model, caplog, capfd, cut):
    server = start()
    lines = hosts.scan()
    if cut == "lines":
        parts = [*lines[:12], hosts.CLOSE[:1]]
    elif cut == "numbers":
        model.before = lambda: (_ for _ in ()).throw(RuntimeError("no network"))
        parts = [*lines, hosts.CLOSE]
    elif cut == "twice":
        parts = [lines[0], hosts.text(3, identified(header_xml())), hosts.CLOSE]
    else:
        parts = [*lines[:-1], lines[-1][:-100], b"ZZMARK" * 40]
    heard = hosts.HostEnd(server.port).talk(OPENINGS["FIRE"](identified(header_xml())), *parts)
    told = [*heard.texts, fetched(server, "metrics"), caplog.text, *capfd.readouterr()]
    assert not [text for text in told if MARK.search(text) or TITLE.search(text)]


def test_a_spool_names_the_patient_in_the_stream_alone(start, tmp_path):
    server = start(spool=SpoolSettings(folder=tmp_path))
    heard = hosts.session(server.port, OPENINGS["FIRE"](identified(header_xml())))
    assert heard.images
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    streams = [path for path in files if path.name == STREAM]
    assert streams and MARK.search(streams[0].read_bytes().decode("latin-1"))
    for path in files:
        assert not MARK.search(path.relative_to(tmp_path).as_posix())
        assert path in streams or not MARK.search(path.read_bytes().decode("latin-1")), path.name


def test_the_live_page_says_nothing_of_the_patient(start, caplog):
    """Of a session that went well and of one whose header is broken, in everything that a browser can ask for."""
    server = start()
    page = LivePage(server.house, 0)
    try:
        fault = next(iter(BROKEN.values()))
        for xml in (identified(header_xml()), fault(identified(header_xml()))):
            hosts.session(server.port, OPENINGS["FIRE"](xml))
        assert server._wait(30)
        paths = ["", "api/sessions", "api/sessions/1", "api/sessions/2"]
        told = [urllib.request.urlopen(page.address + path, timeout=20).read().decode() for path in paths]
    finally:
        page.close()
    assert '"number": 2' in told[1] or '"number":2' in told[1]
    assert not [text for text in [*told, caplog.text] if MARK.search(text)]
