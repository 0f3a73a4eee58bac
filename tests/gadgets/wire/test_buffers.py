"""Behind Gadgetron's C++ front end: the images of the raw route, from messages built byte by byte."""

from __future__ import annotations

import threading

import ismrmrd
import numpy as np
import pytest
from front_end import Bucket, BucketToBuffer, accumulate, bucket_message, prepared
from parent import CLOSE, Answer, Node, Process, handshake, packed, read_answer, waveform
from small_scan import (
    COILS,
    DWELL_US,
    LINES_Y,
    NOISE_DWELL_US,
    SAMPLES_X,
    SmallScan,
    centred_fft,
    coil_images,
    header,
    header_xml,
    sampled_lines,
)

from smug_recon.errors import DataError, SmugReconError
from smug_recon.gadgets import front_end as ours
from smug_recon.gadgets import reconstruct_buffers
from smug_recon.gadgets.solve import model as model_module
from smug_recon.gadgets.stream import run
from smug_recon.gadgets.wire.sockets import GuardedSocket
from smug_recon.pipeline import load_pipeline

BANDWIDTH = 0.8  # of header_xml
SETTINGS = {"images.type": "complex64", "prewhitened_upstream": "true"}
CALIBRATION = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION


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


EMBEDDED, NOTHING = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING, ismrmrd.ACQ_USER1


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


@pytest.fixture
def conventional(conventional_model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(model_module, "load_model", lambda *_: conventional_model)
    return conventional_model


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
    from front_end import remove_oversampling

    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.gadgets.readouts.oversampling import hybrid_line
    from smug_recon.gadgets.timing import Report

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
