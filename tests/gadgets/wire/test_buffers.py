"""Behind Gadgetron's C++ front end: the images of the raw route, from messages built byte by byte."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from front_end_buckets import accumulate, bucket_message
from front_end_buffers import BucketToBuffer
from front_end_routes import BANDWIDTH, buffer_route, messages_of, raw_route, same_images, scan_of
from parent import CLOSE, Node, Process, handshake, read_answer
from small_scan import DWELL_US, NOISE_DWELL_US, coil_images, header, header_xml

from smug_recon.gadgets import front_end as ours
from smug_recon.gadgets import reconstruct_buffers
from smug_recon.gadgets.scan import run
from smug_recon.gadgets.wire.sockets import GuardedSocket
from smug_recon.pipeline import load_pipeline


@pytest.mark.parametrize("kind", ["buckets", "buffers"])
@pytest.mark.parametrize(
    ("scan", "options", "gadgets"),
    [
        ({}, {"slices": 2}, {}),
        ({}, {"slices": 2}, {"split_slices": True}),
        ({"separate": True}, {"slices": 2, "calibration": "separate"}, {}),
        ({"averages": 2}, {"slices": 2, "averages": 2}, {}),
        ({"averages": 2}, {"slices": 2, "averages": 2}, {"s": "average"}),
        ({"repetitions": 3}, {"slices": 2, "repetitions": 3}, {"trigger": "repetition"}),
        ({"repetitions": 3}, {"slices": 2, "repetitions": 3}, {"n": "repetition"}),
    ],
    ids=[
        "slices in one",
        "slices apart",
        "separate",
        "averages",
        "averages in S",
        "triggered",
        "repetitions in N",
    ],
)
def test_the_images_are_those_of_the_raw_route(kind, scan, options, gadgets, conventional) -> None:
    items = scan_of(**scan).readouts
    expected = raw_route(items, conventional, options)
    gadgets = dict(gadgets)
    messages = messages_of(kind, items, options, gadgets.pop("trigger", "none"), **gadgets)
    answer = buffer_route(messages, options)
    assert answer.ending == "close" and answer.error is None
    same_images(expected, answer.items)


def test_the_shipped_model_gives_the_same_image_through_gadgetrons_execute() -> None:
    options = {"slices": 1}
    items = scan_of(1).readouts
    found: list = []
    pipeline = load_pipeline().with_overrides({"images.type": "float32"})
    run(items, found.append, header(**options), pipeline)
    node = Process("reconstruct_buffers", "smug_recon.gadgets", OMP_NUM_THREADS="1")
    config = b'<configuration><property name="images.type" value="float32"/>'
    config += b'<property name="prewhitened_upstream" value="true"/></configuration>'
    node.host.sendall(handshake(config, header_xml(**options).encode()))
    node.host.sendall(b"".join(messages_of("buffers", items, options)) + CLOSE)
    answer = read_answer(node.host, 120)
    assert node.exit_code() == 0, node.log
    same_images(found, answer.items)


def test_a_front_end_without_noise_adjustment(conventional) -> None:
    items = scan_of(1).readouts
    expected = raw_route(items, conventional, {}, prewhitening=False)
    for kind in ("buckets", "buffers"):
        messages = messages_of(kind, items, {}, whiten=False)
        found = buffer_route(messages, {}, {"images.type": "complex64"}).items
        assert np.abs(expected[0].data - found[0].data).max() < 1e-4 * np.abs(expected[0].data).max()
        assert found[0].meta["SmugPrewhitened"] == "0"


def test_a_front_end_that_keeps_the_oversampling(conventional) -> None:
    options = {"slices": 1}
    items = scan_of(1).readouts
    others = [readout for readout in items if not readout.flags & ours.NOISE]
    expected = raw_route(others, conventional, options, prewhitening=False)
    (bucket,) = accumulate(others)
    for messages in ([bucket_message(bucket)], BucketToBuffer(header(**options)).messages(bucket)):
        found = buffer_route(messages, options, {"images.type": "complex64"}).items
        assert np.abs(expected[0].data - found[0].data).max() < 1e-4 * np.abs(expected[0].data).max()


def test_slices_leave_with_their_message_not_at_the_end(conventional, monkeypatch) -> None:
    """Three repetitions, triggered: the images of the first are here before the second is sent."""
    options = {"slices": 2, "repetitions": 3}
    messages = messages_of("buffers", scan_of(2, repetitions=3).readouts, options, "repetition")
    left, flush = threading.Event(), GuardedSocket.flush

    def noted(wire: GuardedSocket) -> None:
        flush(wire)
        left.set()

    monkeypatch.setattr(GuardedSocket, "flush", noted)
    node = Node(reconstruct_buffers)
    config = b'<configuration><property name="prewhitened_upstream" value="true"/></configuration>'
    before_the_rest: list[bool] = []

    def sent():
        yield handshake(config, header_xml(**options).encode()) + messages[0]
        before_the_rest.append(left.wait(30))
        yield from messages[1:]
        yield CLOSE

    answer = node.talk(sent())
    assert node.error is None and len(answer.items) == 6 and before_the_rest == [True]


def test_the_known_object_comes_out(conventional) -> None:
    """Against the truth, not only against ourselves: sqrt(m^H C^-1 m) of the coil images m, at its level."""
    scan = scan_of(1)
    image = buffer_route(messages_of("buffers", scan.readouts, {}), {}).items[0]
    root_cc = np.asarray(scan.noise_root) / np.sqrt(DWELL_US / NOISE_DWELL_US * BANDWIDTH)
    white_cyx = np.einsum("cd,dyx->cyx", np.linalg.inv(root_cc), coil_images(0)[:, :, 24:72])
    truth_yx, image_yx = np.sqrt((np.abs(white_cyx) ** 2).sum(0)), np.abs(image.data[0, 0])
    assert np.corrcoef(image_yx.ravel(), truth_yx.ravel())[0, 1] > 0.97
    inside = truth_yx > 0.3 * truth_yx.max()
    assert np.median(image_yx[inside] / truth_yx[inside]) == pytest.approx(1.0, abs=0.03)
