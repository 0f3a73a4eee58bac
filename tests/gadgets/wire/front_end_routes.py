"""One scan on two routes: its readouts through the chain, and through Gadgetron's C++ front end as buckets or buffers."""

from __future__ import annotations

import ismrmrd
import numpy as np
from front_end_buckets import accumulate, bucket_message
from front_end_buffers import BucketToBuffer
from front_end_gadgets import prepared
from parent import CLOSE, Answer, Node, handshake
from small_scan import COILS, LINES_Y, SmallScan, header, header_xml, sampled_lines

from smug_recon.gadgets import reconstruct_buffers
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline

BANDWIDTH = 0.8  # of header_xml
SETTINGS = {"images.type": "complex64", "prewhitened_upstream": "true"}
CALIBRATION = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION
EMBEDDED, NOTHING = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING, ismrmrd.ACQ_USER1


def scan_of(slices: int = 2, averages: int = 1, repetitions: int = 1, separate: bool = False) -> SmallScan:
    scan = SmallScan(noise_root=1e-3 * np.diag([1.0, 2.0, 1.5, 0.5]) @ (np.eye(COILS) + 0.2j))
    scan.add_noise_scan(readouts=40)
    for repetition in range(repetitions):
        for average in range(averages):
            for index in range(slices):
                counters = {"repetition": repetition, "average": average, "noise_level": 1.0}
                if separate and average == 0:
                    centre = list(range(LINES_Y // 2 - 8, LINES_Y // 2 + 8))
                    scan.add_slice(index, centre, last=False, centre_flag=CALIBRATION, **counters)
                lines = sampled_lines(2, 0 if separate else 16)
                scan.add_slice(index, lines, centre_flag=NOTHING if separate else EMBEDDED, **counters)
    return scan


def raw_route(items: list, model, options: dict, **settings) -> list[ismrmrd.Image]:
    found: list = []
    pipeline = load_pipeline().with_overrides({"images.type": "complex64", **settings})
    run(items, found.append, header(**options), pipeline, model)
    return [item for item in found if isinstance(item, ismrmrd.Image)]


def buffer_route(messages: list[bytes], options: dict, settings: dict | None = None) -> Answer:
    rows = "".join(f'<property name="{n}" value="{v}"/>' for n, v in (settings or SETTINGS).items())
    node = Node(reconstruct_buffers)
    config = f"<configuration>{rows}</configuration>".encode()
    answer = node.talk([handshake(config, header_xml(**options).encode()), *messages, CLOSE])
    if node.error is not None:
        raise node.error
    return answer


def messages_of(kind: str, items: list, options: dict, trigger: str = "none", **front_end) -> list[bytes]:
    head = header(**options)
    gadgets = {name: front_end.pop(name) for name in ("whiten", "asymmetric") if name in front_end}
    buckets = accumulate(prepared(items, head, BANDWIDTH, **gadgets), trigger)
    if kind == "buckets":
        return [bucket_message(bucket) for bucket in buckets]
    gadget = BucketToBuffer(head, **front_end)
    return [message for bucket in buckets for message in gadget.messages(bucket)]


def same_images(one: list, two: list, tolerance: float = 1e-4) -> None:
    """Equal headers; pixels equal to ``tolerance`` in the norm, and none off by twice as much of the brightest."""

    def place(image: ismrmrd.Image) -> tuple[int, ...]:
        return image.repetition, image.contrast, image.slice

    assert sorted(map(place, one)) == sorted(map(place, two)) and one
    for a, b in zip(sorted(one, key=place), sorted(two, key=place), strict=True):
        difference = np.abs(a.data - b.data)
        assert np.linalg.norm(difference) / np.linalg.norm(a.data) < tolerance
        assert difference.max() / np.abs(a.data).max() < 2 * tolerance
        assert a.data.shape == b.data.shape and a.image_index == b.image_index
        assert tuple(a.position) == tuple(b.position) and tuple(a.field_of_view) == tuple(b.field_of_view)
        assert a.meta["SmugPrewhitened"] == b.meta["SmugPrewhitened"] == "1"
        assert a.meta["SmugLines"] == b.meta["SmugLines"]
