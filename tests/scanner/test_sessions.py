"""Sessions of the three kinds of hosts over real sockets: told apart, configured, answered, ended."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request

import hosts
import numpy as np
import pytest
from small_scan import LINES_Y, READOUT_X, SmallScan, header, header_xml

from smug_recon.gadgets import run
from smug_recon.pipeline import load_pipeline


@pytest.fixture
def truth(model):
    """The images of the chain itself, without any server."""

    def made(slices=1, **overrides):
        scan, found = SmallScan(), []
        scan.add_noise_scan()
        for number in range(slices):
            scan.add_slice(number)
        pipeline = load_pipeline().with_overrides(overrides)
        run(scan.readouts, found.append, header(slices=slices), pipeline, model)
        return found

    return made


def test_fire_gets_the_images_of_the_chain_and_lines_of_the_log(start, truth):
    heard = hosts.session(start().port, hosts.fire())
    expected = truth()
    assert heard.ending == "close" and heard.error is None
    assert [image.data.dtype for image in heard.images] == [np.uint16]
    np.testing.assert_array_equal(heard.images[0].data, expected[0].data)
    assert heard.images[0].data.shape == (1, 1, LINES_Y, READOUT_X)
    assert any("pipeline smug-cartesian" in line and line.startswith("INFO    ") for line in heard.texts)


@pytest.mark.parametrize(
    "parameters",
    [
        {"parameters": {"images.type": "float32", "images": {"series_description": "site"}}},
        {"version": "1.0", "parameters": {"imagestype": "float32", "imagesseriesdescription": "site"}},
        {"images.type": "float32", "images.series_description": "site"},
        {"parameters": {"config": "openrecon", "customconfig": "smug-cartesian", "images.type": "float32",
                        "images.series_description": "site"}},
    ],
)  # fmt: skip
def test_parameters_in_json_override_the_pipeline_by_dotted_name(start, truth, parameters):
    heard = hosts.session(start().port, hosts.fire("smug-cartesian", parameters))
    assert [image.data.dtype for image in heard.images] == [np.float32], heard.complaint
    assert heard.images[0].meta["SeriesDescription"] == "head site"


def test_the_client_gets_images_and_no_text(start, truth):
    server = start()
    named, sent = hosts.session(server.port, hosts.client()), hosts.session(server.port, hosts.client(None))
    assert (named.ending, named.texts, sent.ending, sent.texts) == ("close", [], "close", [])
    np.testing.assert_array_equal(named.images[0].data, truth()[0].data)
    np.testing.assert_array_equal(sent.images[0].data, truth(**{"images.type": "float32"})[0].data)


def test_gadgetron_connect_gets_images_and_never_a_text(start, truth):
    heard = hosts.session(start().port, hosts.connect())
    assert (heard.ending, heard.texts, heard.error) == ("close", [], None)
    np.testing.assert_array_equal(heard.images[0].data, truth(**{"images.type": "float32"})[0].data)


def test_gadgetron_connect_without_a_configuration(start):
    begin = hosts.text(2, b'<?xml version="1.0"?>\n') + hosts.text(3, header_xml().encode())
    assert hosts.session(start().port, begin).ending == "close"


def test_fire_with_a_text_as_configuration(start):
    port = start().port
    for content in (
        b"smug-cartesian",
        hosts.CLIENT_SCRIPT,
        hosts.CONNECT_CONFIG,
        b'{"parameters": {"seed": 3}}',
    ):
        begin = hosts.text(2, content, nul=True) + hosts.text(3, header_xml().encode(), nul=True)
        heard = hosts.session(port, begin)
        assert heard.ending == "close" and heard.texts and len(heard.images) == 1, heard.complaint


@pytest.mark.parametrize("version", ["", "<version>1</version>", "<version>7</version>"])
def test_the_version_in_the_header_may_be_absent_or_differ(start, version):
    xml = header_xml().replace("<measurementInformation>", version + "<measurementInformation>")
    heard = hosts.session(start().port, hosts.name("smug-cartesian") + hosts.text(3, xml.encode()))
    assert heard.ending == "close" and len(heard.images) == 1, heard.complaint


@pytest.mark.parametrize("begin", [hosts.fire("simplefft"), hosts.client("default.xml"),
                                   hosts.fire(parameters={"parameters": {"config": "../../etc/passwd"}})])  # fmt: skip
def test_an_unknown_configuration_is_refused_with_the_list(start, begin):
    heard = hosts.session(start().port, begin)
    assert heard.ending != "close" and not heard.images
    assert "no configuration" in heard.complaint and "smug-cartesian" in heard.complaint
    assert heard.error is None  # such hosts know no ERROR message


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"parameters": {"images.tipe": "float32"}}, "did you mean 'images.type'"),
        ({"parameters": {"images.type": "int16"}}, "images.type"),
        ({"parameters": {"model.file": "/tmp/other.pt"}}, "a model chosen on this machine"),
        (["no object"], "no JSON object"),
    ],
)
def test_wrong_parameters_are_refused(start, parameters, complaint):
    heard = hosts.session(start().port, hosts.fire(parameters=parameters))
    assert complaint in heard.complaint and not heard.images and heard.ending != "close"


def test_connect_hears_of_errors_by_message_8(start):
    begin = hosts.connect().replace(b"images.type", b"images.tipe")
    heard = hosts.session(start().port, begin)
    assert "images.tipe" in heard.error and heard.texts == [] and heard.ending == "end"


def test_the_host_of_replay_is_served_as_well(start, truth):
    """replay's client plays Gadgetron: what it sends to a node it may send to the server."""
    from pathlib import Path
    from types import SimpleNamespace

    from smug_recon.replay.host import client
    from smug_recon.replay.messages import wire

    connected = socket.create_connection(("127.0.0.1", start().port))
    node = SimpleNamespace(
        socket=connected, wait=lambda seconds: 0, death=AssertionError, hint=lambda: "", log=Path("log")
    )
    blocks, found = [wire.Block(line, 1) for line in hosts.scan()], []
    assert client.play(node, hosts.CONNECT_CONFIG, header_xml().encode(), blocks, found.append) == len(blocks)
    connected.close()
    np.testing.assert_array_equal(found[0].data, truth(**{"images.type": "float32"})[0].data)


def test_a_lost_gpu_is_said_and_the_cpu_has_a_queue_of_its_own(start, model, monkeypatch):
    """The first run says what CUDA says when the device is gone; the rest of the scan runs on its twin."""
    twin = type(model)(model.card)
    twin.moved = "GPU lost: on the CPU"
    model.on_cpu = lambda reason: twin
    waits = []

    def gone():
        raise RuntimeError("CUDA error: device-side assert triggered")

    model.before, twin.before = gone, lambda: waits.append(server.house.cpu_turns._queue[0])
    server = start()
    server.house.ready.wait(10)
    heard = hosts.session(server.port, hosts.fire(slices=2), slices=2)
    assert heard.ending == "close" and len(heard.images) == 2 and len(waits) == 2, heard.complaint
    assert get(server, "/ready") == (
        503,
        "the GPU was lost: what runs now runs on the CPU; start the server anew\n",
    )


def test_an_alias_and_the_sites_folder_add_names(start, tmp_path):
    from smug_recon.scanner.catalogue import Catalogue

    shipped = load_pipeline()
    settings = {"model": {"file": str(shipped.model_path), "sha256": shipped.model.sha256},
                "images": {"type": "complex64"}}  # fmt: skip
    (tmp_path / "site.yaml").write_text(json.dumps(settings))
    port = start(catalogue=Catalogue(tmp_path, {"openrecon": "site"})).port
    assert hosts.session(port, hosts.fire("openrecon")).images[0].data.dtype == np.complex64
    assert hosts.session(port, hosts.fire("site")).images[0].data.dtype == np.complex64


def test_sessions_at_once_get_their_own_images_and_take_turns(start, model, truth):
    order = []
    model.before = lambda: order.append(threading.current_thread().name)
    server = start(sessions=3)
    port, found = server.port, {}

    def go(number):
        found[number] = hosts.session(port, hosts.fire(slices=3), slices=3)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(3)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert len(order) == 9 and server.house.turns.waiting == 0
    expected = truth(slices=3)
    for heard in found.values():
        assert heard.ending == "close"
        for image, other in zip(heard.images, expected, strict=True):
            np.testing.assert_array_equal(image.data, other.data)


def test_a_session_beyond_the_limit_is_told_so_and_closed(start):
    server = start(sessions=1)
    first = hosts.HostEnd(server.port)
    first.send(hosts.connect())
    while server.active == 0:
        pass
    for begin in (hosts.fire(), hosts.client(), hosts.connect()):
        heard = hosts.session(server.port, begin)
        assert "found 1 sessions already" in heard.complaint and heard.ending != "close"
        assert (heard.error is not None) == (begin == hosts.connect())
    assert len(first.talk(*hosts.scan(), hosts.CLOSE).images) == 1


def test_a_peer_that_is_not_on_the_list_is_closed(start):
    assert hosts.session(start(allow=("192.0.2.0/24",)).port, hosts.fire()).images == []
    assert len(hosts.session(start(allow=("127.0.0.0/8",)).port, hosts.fire()).images) == 1


def test_a_tap_gets_every_byte_in_order(start):
    taken = bytearray()
    sent = hosts.fire() + b"".join(hosts.scan()) + hosts.CLOSE
    server = start(tap=lambda number: taken.extend)
    assert hosts.HostEnd(server.port).talk(sent).ending == "close"
    assert bytes(taken) == sent


def get(server, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server._page.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_ready_and_metrics(start):
    pytest.importorskip("prometheus_client", reason="needs prometheus-client (smug-recon[metrics])")
    server = start(sessions=1)
    assert get(server, "/health") == (200, "alive\n")
    server.house.ready.wait(10)
    assert get(server, "/ready") == (200, "ready\n")
    for start_bytes, slices in ((hosts.fire(slices=2), 2), (hosts.fire("other"), 1)):
        hosts.session(server.port, start_bytes, slices)
        assert server._wait(30)  # a host hears the end a moment before its place is free
    numbers = dict(
        line.rsplit(" ", 1) for line in get(server, "/metrics")[1].splitlines() if not line.startswith("#")
    )
    assert float(numbers['smug_recon_sessions_total{host="FIRE",outcome="done"}']) == 1
    assert float(numbers['smug_recon_sessions_total{host="FIRE",outcome="failed"}']) == 1
    assert float(numbers["smug_recon_slices_total"]) == 2 and float(numbers["smug_recon_images_total"]) == 2
    assert float(numbers["smug_recon_lines_total"]) > 40
    assert float(numbers['smug_recon_fallbacks_total{reason="not_finite"}']) == 0
    assert float(numbers['smug_recon_stage_seconds_total{stage="network"}']) > 0
    assert float(numbers["smug_recon_sessions_active"]) == 0 and float(numbers["smug_recon_queue"]) == 0
    held = hosts.HostEnd(server.port)
    held.send(hosts.fire()[:10])
    limit = time.monotonic() + 30
    while get(server, "/ready")[0] != 503:  # a session counts from its first message
        assert time.monotonic() < limit
    held.socket.close()
    server.close_door()
    assert "stopped" in get(server, "/ready")[1] and get(server, "/other")[0] == 404
