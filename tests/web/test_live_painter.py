"""The pictures of the live page: small, bounded, painted aside, never in the way of a scan."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import ismrmrd
from asking import image
from painting import drawn
from PIL import Image as Picture

from smug_recon.web import pictures
from smug_recon.web.pictures import PER_SESSION, caption


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
