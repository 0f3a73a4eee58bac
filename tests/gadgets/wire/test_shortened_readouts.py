"""Readouts whose oversampling the front end has removed are told from asymmetric echoes, and put in place."""

from __future__ import annotations

import ismrmrd
import numpy as np
import pytest
from front_end_gadgets import remove_oversampling
from small_scan import SAMPLES_X, centred_fft, header, header_xml

from smug_recon.gadgets import front_end as ours
from smug_recon.pipeline import load_pipeline


@pytest.mark.parametrize(("encoded", "kept"), [(96, 48), (98, 49), (97, 48)])
def test_removed_oversampling_is_seen_and_odd_sizes_stay_in_place(encoded: int, kept: int) -> None:
    rng = np.random.default_rng(encoded)
    image_cx = np.zeros((2, encoded), np.complex64)
    inside = slice(encoded // 2 - kept // 2 + 2, encoded // 2 - kept // 2 + kept - 2)
    image_cx[:, inside] = rng.standard_normal((2, kept - 4))
    line = ismrmrd.Acquisition.from_array(centred_fft(image_cx, (1,)).astype(np.complex64))
    line.center_sample = encoded // 2
    head = ismrmrd.xsd.CreateFromDocument(
        header_xml()
        .replace(f"<x>{SAMPLES_X}</x>", f"<x>{encoded}</x>")
        .replace("<x>48</x>", f"<x>{kept}</x>")
    )
    head.encoding[0].encodedSpace.fieldOfView_mm.x = 192.0 * encoded / kept
    from smug_recon.gadgets.flow.timing import Report
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.gadgets.readouts.oversampling import hybrid_line

    plan = build_plan(head, load_pipeline())
    short = remove_oversampling(line, encoded / kept)
    assert ours.oversampling_removed(short, plan) and not ours.oversampling_removed(line, plan)
    after = build_plan(ours.as_shortened(head, plan), load_pipeline())
    assert after.encoded_xyz[0] == after.readout_x == plan.readout_x == kept
    (moved,) = ours.in_place([short], plan)
    expected = hybrid_line(line, encoded, kept, Report())
    found = hybrid_line(moved, kept, kept, Report())
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_an_asymmetric_echo_is_told_from_a_short_readout() -> None:
    from smug_recon.gadgets.header.plan import build_plan

    plan = build_plan(header(), load_pipeline())
    for samples, centre, removed in [
        (64, 16, False),
        (70, 22, False),
        (32, 8, True),
        (48, 24, True),
        (30, 22, True),
    ]:
        line = ismrmrd.Acquisition.from_array(np.zeros((1, samples), np.complex64))
        line.center_sample = centre
        assert ours.oversampling_removed(line, plan) == removed, samples
