"""Coil maps made while a slice arrives: the same bits as those made afterwards, and only where the guess was right."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest
import torch
from small_scan import LINES_Y, SmallScan, header, sampled_lines

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Slice
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.maps import maps_ahead
from smug_recon.gadgets.maps.coils import coil_maps
from smug_recon.gadgets.maps.maps_ahead import MapsAhead
from smug_recon.gadgets.stream import chain, gathered
from smug_recon.pipeline import load_pipeline

LONG_S = 120


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps_ahead, "EVERY", 2)  # the scan has few lines


def scan_of(lines: list[int], noise_at: int | None = 0) -> list[Any]:
    """Readouts of one slice in this order, the noise scan before that many of them."""
    scan = SmallScan()
    if noise_at is not None:
        scan.add_noise_scan()
    noise, scan.readouts = scan.readouts, []
    scan.add_slice(0, lines)
    return [*scan.readouts[:noise_at], *noise, *scan.readouts[noise_at:]] if noise else scan.readouts


def maps_of(readouts: list[Any], ahead: bool, **options: Any) -> tuple[Slice, int]:
    """The slice with its maps, and how many maps that were made ahead were of use; the last line waits for them."""
    overrides = options.pop("overrides", {})
    head = header(**options)
    plan, report = build_plan(head, load_pipeline().with_overrides(overrides)), Report()
    made = MapsAhead(plan) if ahead else None

    def arriving() -> Iterator[Any]:
        yield from readouts[:-1]
        if made is not None:
            assert not wait(list(made._jobs.values()), LONG_S).not_done
        yield readouts[-1]

    stream = gathered(arriving(), plan, head, report, ahead=made)
    (found,) = coil_maps(stream, plan, report, made)
    if made is not None:
        made.close()
    return found, made.taken if made else 0


def test_maps_made_ahead_are_those_made_in_their_turn_bit_for_bit() -> None:
    readouts = scan_of(sampled_lines())
    usual, _ = maps_of(readouts, ahead=False)
    found, taken = maps_of(readouts, ahead=True)
    assert taken == 1
    assert found.maps_cyx is not None and usual.maps_cyx is not None
    assert torch.equal(found.maps_cyx, usual.maps_cyx)
    assert found.notes == usual.notes


@pytest.mark.parametrize("late", ["calibration line", "noise scan"])
def test_a_wrong_guess_costs_nothing_but_the_guess(late: str) -> None:
    lines = sampled_lines()
    if late == "calibration line":
        missing = LINES_Y // 2 - 4
        readouts = scan_of([*(line for line in lines if line != missing), missing])
    else:
        readouts = scan_of(lines, noise_at=len(lines) - 1)
    usual, _ = maps_of(readouts, ahead=False)
    found, taken = maps_of(readouts, ahead=True)
    assert taken == 0
    assert found.maps_cyx is not None and usual.maps_cyx is not None
    assert torch.equal(found.maps_cyx, usual.maps_cyx)


@pytest.mark.parametrize(
    ("options", "bytes_ahead"),
    [
        ({"averages": 2}, None),
        ({"overrides": {"coil_compression.method": "svd", "coil_compression.channels": 3}}, None),
        ({}, 0),
    ],
    ids=["averages to come", "virtual coils", "no memory to spare"],
)
def test_where_it_cannot_be_known_nothing_is_begun(
    options: dict[str, Any], bytes_ahead: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bytes_ahead is not None:
        monkeypatch.setattr(maps_ahead, "AHEAD_BYTES", bytes_ahead)
    found, taken = maps_of(scan_of(sampled_lines()), ahead=True, **options)
    assert taken == 0
    assert found.maps_cyx is not None


def test_a_stream_that_breaks_off_leaves_no_thread(conventional_model: Any) -> None:
    head = header()
    plan = build_plan(head, load_pipeline())

    def broken() -> Iterator[Any]:
        yield from scan_of(sampled_lines())[:-1]
        raise DataError("a broken line", "a line", "none")

    with pytest.raises(DataError, match="broken line"):
        list(chain(broken(), plan, conventional_model, head, Report()))
    until = time.monotonic() + LONG_S
    while any(thread.name.startswith("coil maps") for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)
