"""What the page knows of sessions and images: bounded, honest, and never in the way of a scan."""

from __future__ import annotations

import json
from types import SimpleNamespace

import ismrmrd
import pytest
from asking import ask, image
from painting import drawn
from small_scan import header, header_xml

from smug_recon.pipeline import load_pipeline
from smug_recon.scanner.session import DONE, EMPTY, FAILED, Account
from smug_recon.web import LivePage
from smug_recon.web.ledger import Ledger
from smug_recon.web.record import MOST_LETTERS, MOST_TEXTS, Record, doing, stages


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
        "<subjectInformation><patientName>Miller^Anna</patientName><patientID>MRN-4711</patientID>"
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
    assert b"Miller" not in body and b"MRN-4711" not in body
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
