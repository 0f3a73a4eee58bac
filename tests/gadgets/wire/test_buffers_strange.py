"""Messages of the front end with more than imaging lines, damaged, or of what does not belong together."""

from __future__ import annotations

import ismrmrd
import numpy as np
import pytest
from front_end_buckets import Bucket, accumulate
from front_end_buffers import BucketToBuffer
from front_end_gadgets import prepared
from front_end_routes import BANDWIDTH, buffer_route, messages_of, raw_route, same_images, scan_of
from parent import CLOSE, Node, handshake, packed, waveform
from small_scan import SAMPLES_X, header, header_xml

from smug_recon.errors import DataError, SmugReconError
from smug_recon.gadgets import reconstruct_buffers


def test_waveforms_in_a_bucket_go_back(conventional) -> None:
    items = [waveform(1), *scan_of(1).readouts, waveform(2)]
    answer = buffer_route(messages_of("buckets", items, {}), {})
    assert answer.raw[0] == packed(waveform(1)) and answer.raw[1] == packed(waveform(2))
    same_images(raw_route(items, conventional, {}), answer.items[2:])


def test_navigators_in_buckets_harm_nothing_and_in_buffers_are_reported(conventional, caplog) -> None:
    scan = scan_of(1)
    plain = list(scan.readouts)
    navigator = scan.add(scan.noise(SAMPLES_X), 1 << (ismrmrd.ACQ_IS_NAVIGATION_DATA - 1))
    answer = buffer_route(messages_of("buckets", scan.readouts, {}), {})
    assert [type(item).__name__ for item in answer.items] == ["Acquisition", "Image"]
    assert answer.items[0].scan_counter == navigator.scan_counter
    same_images(raw_route(plain, conventional, {}), answer.items[1:])
    buffer_route(messages_of("buffers", scan.readouts, {}), {})
    assert "navigator readouts were sorted into a buffer" in caplog.text


def test_lines_of_another_encoding_space_go_back_and_its_empty_buffer_is_read(conventional) -> None:
    head = header()
    head.encoding.append(head.encoding[0])
    scan = scan_of(1)
    scan.readouts[-1].encoding_space_ref = 1
    scan.readouts[-1].idx.average = 1  # a key of its own, so that buffer 0 of this message stays empty
    two = header_xml().replace("</encoding>", "</encoding>" + encoding_xml(), 1).encode()
    bucket = accumulate(prepared(scan.readouts, head, BANDWIDTH))[0]
    node = Node(reconstruct_buffers)
    config = b'<configuration><property name="prewhitened_upstream" value="true"/></configuration>'
    answer = node.talk([handshake(config, two), *BucketToBuffer(head).messages(bucket), CLOSE])
    assert node.error is None
    assert sorted(type(item).__name__ for item in answer.items) == ["Acquisition", "Image"]


def encoding_xml() -> str:
    xml = header_xml()
    return xml[xml.index("<encoding>") : xml.index("</encoding>") + len("</encoding>")]


def test_noise_readouts_behind_noise_adjustment_are_a_contradiction(conventional) -> None:
    items = scan_of(1).readouts
    data = b"".join(packed(item) for item in items)
    with pytest.raises(DataError, match="prewhitened_upstream: false"):
        buffer_route([data], {})


def test_a_damaged_message_is_one_error(conventional) -> None:
    (whole,) = messages_of("buffers", scan_of(1).readouts, {})
    rng = np.random.default_rng(1)
    for _ in range(12):
        cut = int(rng.integers(2, len(whole)))
        with pytest.raises(SmugReconError, match="expected"):
            buffer_route([whole[:cut]], {})


def test_arrays_that_do_not_belong_together_are_refused(conventional) -> None:
    items = scan_of(1).readouts
    gadget = BucketToBuffer(header())
    bucket = accumulate(prepared(items, header(), BANDWIDTH))[0]
    made = gadget._make

    def with_fewer_headers(*arguments):
        buffer = made(*arguments)
        buffer.heads = buffer.heads[:20]
        return buffer

    bucket = Bucket([line for line in bucket.data if line.idx.kspace_encode_step_1 < 20])
    gadget._make = with_fewer_headers  # type: ignore[method-assign]
    with pytest.raises(DataError, match="headers"):
        buffer_route(gadget.messages(bucket), {})
