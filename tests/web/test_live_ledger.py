"""What the page knows of sessions and images: bounded, honest, and never in the way of a scan."""

from __future__ import annotations

import io
import json
import threading
from types import SimpleNamespace

import ismrmrd
import pytest
from asking import ask, image
from PIL import Image as Picture
from small_scan import header, header_xml

from smug_recon.pipeline import load_pipeline
from smug_recon.scanner.session import DONE, EMPTY, FAILED, FALLBACK, Account
from smug_recon.web import LivePage, pictures
from smug_recon.web.health import BAD, CARE, GOOD, MOST_POINTS, NOTE, RECENT_S, health
from smug_recon.web.ledger import Ledger
from smug_recon.web.pictures import PER_SESSION, Pictures, caption, painted
from smug_recon.web.record import MOST_LETTERS, MOST_TEXTS, Record, doing, stages


@pytest.fixture
def painter(monkeypatch):
    """Pictures whose brush moves only when ``free`` is set."""
    free = threading.Event()

    def slow(image):
        assert free.wait(60)
        return painted(image)

    monkeypatch.setattr(pictures, "painted", slow)
    made = Pictures()
    made.free = free
    yield made
    free.set()
    made.close()


def drawn(made, session, number):
    """Wait for a picture."""
    limit = threading.Event()
    for _ in range(6000):
        if (png := made.png(session, number)) is not None:
            return png
        limit.wait(0.01)
    raise AssertionError("not painted")


def test_an_image_becomes_a_small_8_bit_png(painter):
    painter.free.set()
    painter.offer(3, image(side=700))
    with Picture.open(io.BytesIO(drawn(painter, 3, 1))) as found:
        assert (found.format, found.mode, max(found.size)) == ("PNG", "L", pictures.LONGEST_SIDE)
        assert found.info == {}  # no text beside the pixels
    assert painter.of(3)[0]["matrix"] == [700, 700] and painter.of(4) == []


def test_offering_never_waits_and_the_newest_are_painted(painter):
    for number in range(1000):
        painter.offer(1, image(number % 5))
    assert len(painter._waiting) <= pictures.WAITING
    painter.free.set()
    drawn(painter, 1, 1000)
    held = [about["id"] for about in painter.of(1)]
    assert held[-pictures.WAITING :] == list(range(1001 - pictures.WAITING, 1001))
    assert painter.left_out(1) + len(held) == 1000


def test_pictures_of_a_session_and_their_bytes_are_bounded(painter):
    painter.free.set()
    for session in (1, 2):
        for number in range(1, PER_SESSION + 4):
            painter.offer(session, image(number))
            drawn(painter, session, number)
    assert [len(painter.of(session)) for session in (1, 2)] == [PER_SESSION, PER_SESSION]
    size = len(drawn(painter, 2, PER_SESSION + 3))
    painter._most_bytes = 3 * size
    painter.offer(2, image(0))
    drawn(painter, 2, PER_SESSION + 4)
    assert painter._bytes <= 3 * size and painter.of(1) == [] and painter.of(2)[-1]["id"] == PER_SESSION + 4
    painter.forget(2)
    assert painter._bytes == 0 and painter.of(2) == [] and painter.left_out(2) == 0


def test_an_image_that_cannot_be_painted_is_counted_and_the_next_is_painted(painter):
    painter.free.set()
    painter.offer(1, SimpleNamespace(data=SimpleNamespace(nbytes=1)))
    painter.offer(1, image())
    drawn(painter, 1, 2)
    assert painter.left_out(1) == 1


def test_a_huge_image_is_neither_painted_nor_held(painter):
    painter.offer(1, SimpleNamespace(data=SimpleNamespace(nbytes=pictures.LARGEST_IMAGE + 1)))
    assert painter.left_out(1) == 1 and not painter._waiting


def test_a_caption_tells_series_counters_and_fallback_and_no_text_of_the_scanner():
    plain, fallen, foreign = image(2), image(0, "out of memory"), image()
    foreign.meta = ismrmrd.Meta({"SequenceDescriptionAdditional": "Miller^Anna"})
    assert caption(plain)["series"] == "SMUG" and caption(plain)["where"] == "slice 3"
    assert caption(fallen)["series"] == "CG-SENSE" and caption(fallen)["fallback"] == "out of memory"
    assert caption(foreign)["series"] == "passed on" and "Miller" not in json.dumps(caption(foreign))
    spread = image()
    spread.meta["DataRole"] = ["Image", "Uncertainty"]
    assert caption(spread)["series"] == "uncertainty"


def over(ledger, number, outcome=DONE, error="", pictured=False):
    """A whole session."""
    account = Account(number, "FIRE")
    ledger.began(account)
    if pictured:
        ledger.sent(account, image())
        drawn(ledger.pictures, number, 1)
    account.outcome, account.error = outcome, error
    ledger.ended(account)
    return account


def test_the_past_is_bounded_and_takes_its_pictures_along(painter):
    painter.free.set()
    ledger = Ledger(painter, past=2)
    for number in (1, 2, 3):
        over(ledger, number, pictured=True)
    assert [record.number for record in ledger.past()] == [3, 2] and ledger.running() == []
    assert painter.png(1, 1) is None and painter.png(2, 1) and ledger.find(1) is None


def test_a_knock_at_the_port_is_no_session():
    ledger = Ledger(None)
    over(ledger, 1, EMPTY)
    assert ledger.past() == [] and ledger.running() == []


def test_a_past_session_changes_no_more_and_its_texts_are_bounded():
    ledger = Ledger(None)
    account = Account(1)
    ledger.began(account)
    account.report.warnings = [f"{number} " + "w" * 9999 for number in range(99)]
    account.report.fallback_reasons = {"r" * 9999: 1}
    account.outcome, account.error = FAILED, "e" * 9999
    ledger.ended(account)
    found = ledger.shown(ledger.find(1), {})
    account.report.lines = 99
    assert ledger.shown(ledger.find(1), {}) == found and len(found["warnings"]) == MOST_TEXTS
    assert {len(text) for text in [*found["warnings"], *found["reasons"], found["error"]]} == {MOST_LETTERS}


def test_without_images_none_is_looked_at(house):
    page = LivePage(house, 0, images=False)
    account = Account(1)
    page.ledger.began(account)
    page.ledger.sent(account, None)  # no attribute of it is asked for
    found = json.loads(ask(page, "/api/sessions")[2])
    assert found["server"]["pictures"] is False and found["running"][0]["pictures"] == []
    assert ask(page, "/sessions/1/1.png")[0] == 404
    page.close()


def test_a_session_is_told_without_anything_of_the_patient(page, house):
    patient = (
        "<subjectInformation><patientName>Miller^Anna</patientName><patientID>4711</patientID>"
        "</subjectInformation><measurementInformation>"
    )
    xml = header_xml(slices=3).replace("<measurementInformation>", patient).replace("head", "Miller Anna")
    account = Account(7, "FIRE")
    house.onlookers.began(account)
    house.onlookers.opened(account, ismrmrd.xsd.CreateFromDocument(xml), load_pipeline())
    house.onlookers.sent(account, image(1))
    drawn(page.ledger.pictures, 7, 1)
    body = ask(page, "/api/sessions/7")[2]
    found = json.loads(body)
    assert found["scan"]["matrix"] == [48, 48, 1] and found["scan"]["expected"] == 3
    assert (found["scan"]["coils"], found["scan"]["acceleration"]) == (4, 2.0)
    assert b"Miller" not in body and b"4711" not in body
    status, headers, png = ask(page, f"/sessions/7/{found['pictures'][0]['id']}.png")
    assert (status, headers["Content-Type"], png[:4]) == (200, "image/png", b"\x89PNG")


def test_a_scan_of_many_phases_expects_as_many_slices(house):
    record = Record(Account(1))
    record.understand(header(slices=2, repetitions=5), load_pipeline())
    assert record.scan["expected"] == 10 and record.scan["times"] == 5


def test_a_report_in_the_folder_of_a_session_is_served_apart_from_the_page(page, house, tmp_path):
    (tmp_path / "report.html").write_text("<p>report")
    account = over(page.ledger, 5)
    assert ask(page, "/sessions/5/report.html")[0] == 404
    account.keeping = SimpleNamespace(path=tmp_path, name=tmp_path.name)
    found = json.loads(ask(page, "/api/sessions")[2])["past"][0]
    assert found["report"] is True
    status, headers, body = ask(page, "/sessions/5/report.html")
    assert (status, body) == (200, b"<p>report")
    policy = headers["Content-Security-Policy"]
    assert (
        "sandbox allow-scripts" in policy and "default-src 'none'" in policy and "connect-src" not in policy
    )


NOW = 10_000.0
SERVER = {"trouble": "", "stopping": False, "ready": True, "active": 1, "limit": 4}


def session(number=1, **changes):
    return {"number": number, "fallbacks": 0, "slices": 4, "reasons": {}, "outcome": DONE, "error": "",
            "warnings": [], "ended": NOW - 10, **changes}  # fmt: skip


LONG_AGO = {"ended": NOW - RECENT_S}
FALLEN = {"fallbacks": 2, "reasons": {"out of memory": 2}, "outcome": FALLBACK}


@pytest.mark.parametrize(
    ("server", "running", "past", "level", "text", "points"),
    [
        ({}, [session()], [session(2)], GOOD, "All is well", []),
        ({}, [session(warnings=["outside the trained range"])], [], NOTE, "Running with warnings", []),
        ({}, [], [session(warnings=["outside the trained range"])], GOOD, "All is well", []),
        ({"trouble": "the GPU was lost"}, [], [], BAD, "The GPU was lost", []),
        ({"ready": False}, [], [], CARE, "The model is being loaded", []),
        ({"stopping": True}, [], [], CARE, "The server is being stopped", []),
        ({"active": 4}, [], [], CARE, "4 sessions, as many as allowed", []),
        ({}, [session(3, **FALLEN)], [], CARE, "Session 3 has images without the network",
         ["Session 3: 2 of 4 slices not made by the network: out of memory"]),
        ({}, [], [session(3, **FALLEN)], CARE, "Session 3 has", ["Session 3: 2 of 4"]),
        ({}, [], [session(3, **FALLEN, **LONG_AGO)], GOOD, "All is well", []),
        ({}, [], [session(9, outcome=FAILED, error="why", **LONG_AGO)], GOOD, "All is well", []),
        ({}, [], [session(8, outcome=FAILED, error="why"), session(7, outcome=FAILED, error="how")],
         BAD, "2 sessions failed in the last quarter", ["Session 8: why", "Session 7: how"]),
        ({"active": 4}, [session(1, **FALLEN)], [session(9, outcome=FAILED, error="why")], BAD, "Session 9 failed",
         ["Session 9: why", "Session 1 has", "4 sessions", "Session 1: 2 of 4"]),
    ],
)  # fmt: skip
def test_the_health_line_tells_the_worst(server, running, past, level, text, points):
    found = health({**SERVER, **server}, running, past, NOW)
    assert found["level"] == level and found["text"].startswith(text)
    assert len(found["points"]) == len(points)
    for (_, told), expected in zip(found["points"], points, strict=True):
        assert told.startswith(expected)


def test_the_points_are_few():
    found = health(SERVER, [], [session(n, outcome=FAILED, error="why") for n in range(40)], NOW)
    assert len(found["points"]) == MOST_POINTS and found["more"] == 40 - MOST_POINTS


@pytest.mark.parametrize(
    ("opened", "stage", "queues", "silent_s", "expected"),
    [
        (False, "other", {}, 0, "reads configuration and header"),
        (True, "prepare", {}, 0, "receives; the model is being loaded"),
        (True, "receive", {}, 0, "receives"),
        (True, "receive", {}, 42.2, "host silent for 42 s"),
        (True, "network", {"device": [4, 1]}, 99, "waits for the device, place 1"),
        (True, "network", {"device": [1, 4]}, 99, "on the device"),
        (True, "coil maps", {"device": [4]}, 99, "coil maps"),
        (True, "network", {"device": [4], "CPU": [1]}, 99, "on the CPU"),
    ],
)
def test_what_a_session_does_now(opened, stage, queues, silent_s, expected):
    account = Account(1)
    account.report.switch(stage)
    account.heard -= silent_s
    assert doing(account, opened, queues) == expected


def test_what_the_network_waited_for_is_told_apart_and_nothing_is_lost():
    assert stages({"receive": 1.0, "network": 5.0, "send": 0.5}, 3.0) == [
        ["receive", 1.0],
        ["queue", 3.0],
        ["network", 2.0],
        ["send", 0.5],
    ]
    assert stages({"network": 5.0}, 0.0) == [["network", 5.0]] and stages({"receive": 1.0}, 2.0) == [
        ["receive", 1.0]
    ]
