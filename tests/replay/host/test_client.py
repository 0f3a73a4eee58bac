"""The host's side holds against nodes that behave, lie, stall and die, and never waits for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from smug_recon.errors import DataError, StreamError
from smug_recon.replay.host.client import play
from smug_recon.replay.host.node import Node
from smug_recon.replay.messages.wire import Block

NODES = Path(__file__).parents[1] / "nodes"
CONFIGURATION = b'<configuration><property name="pipeline" value="x" /></configuration>'


@pytest.fixture
def host(tmp_path, monkeypatch, scan, write_stream):
    """``host(target, items, ...)`` plays a scan to a node of replay_nodes; the items that come back."""
    monkeypatch.setenv("PYTHONPATH", str(NODES))
    from smug_recon.replay.reading.raw import open_raw

    def run(target, items=None, patience_s=60.0, blocks=None):
        received = []
        with (
            open_raw(write_stream(scan([(8, 2, 0)] * 3) if items is None else items)) as raw,
            Node(tmp_path / "node.log", "replay_nodes", target) as node,
        ):
            run.process = node.process
            sent = play(
                node,
                CONFIGURATION,
                raw.header_xml,
                blocks or raw.blocks(),
                received.append,
                patience_s=patience_s,
            )
        return sent, received

    yield run
    if hasattr(run, "process"):
        assert run.process.poll() is not None, "the node was left behind"


def test_images_and_foreign_items_come_back_in_order(host, scan):
    items = scan([(8, 2, 0)] * 2, 1) + scan([(4, 1, 2)], seed=1)
    sent, received = host("sums", items)
    assert sent == 3
    assert [type(item) for item in received] == [
        ismrmrd.Image,
        ismrmrd.Image,
        ismrmrd.Waveform,
        ismrmrd.Image,
    ]
    counters = [items[k].scan_counter % 65536 for k in (0, 1, 3)]
    assert [item.data[0, 0, 0, 0] for item in received if isinstance(item, ismrmrd.Image)] == counters
    assert received[2] == items[2]


def test_configuration_and_header_arrive_unchanged(host):
    with pytest.raises(StreamError) as caught:
        host("configuration")
    assert CONFIGURATION.decode() in str(caught.value) and "<trajectory>cartesian" in str(caught.value)


def test_no_deadlock_when_both_sides_have_more_than_the_buffers_hold(host, scan):
    sent, received = host("flood", scan([(4096, 16, 0)] * 60))
    assert sent == 60 and len(received) == 40
    assert [int(image.data[0, 0, 0, 0]) for image in received] == list(range(40))


@pytest.mark.parametrize("lines", [1, 200])
def test_the_text_of_an_error_arrives_whatever_is_still_under_way(host, scan, lines):
    with pytest.raises(StreamError, match="cannot be reconstructed: σ missing"):
        host("fail", scan([(1024, 8, 0)] * lines))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("leaves", "node closed its connection|before it had read|before the end mark"),
        ("raises", "(?s)exit code 1.*a bug in the node"),
        ("raises_at_the_end", "(?s)exit code 1 after its last image.*a bug in the node"),
        ("killed", "killed by SIGKILL"),
        ("half_an_image", "in the middle of a message"),
        ("unknown_id", "message id 777"),
        ("int64_image", "data type"),
        ("broken_meta", "ismrmrdMeta"),
        ("no_such_target", "(?s)exit code 1.*no_such_target"),
    ],
)
def test_a_node_that_breaks_off_or_lies_is_one_clear_error(host, scan, target, message):
    started = time.monotonic()
    with pytest.raises(StreamError, match=message):
        host(target, scan([(1024, 8, 0)] * 100))
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("target", ["silent", "deaf"])
def test_a_node_that_stalls_is_given_up(host, scan, target):
    started = time.monotonic()
    with pytest.raises(StreamError, match="silence after"):
        host(target, scan([(4096, 16, 0)] * 40), patience_s=1.5)
    assert time.monotonic() - started < 60


def test_a_slow_source_is_not_the_nodes_silence(host, scan):
    acquisition = scan([(8, 2, 0)])[0]

    def slowly():
        for pause_s in (0.0, 3.0):
            time.sleep(pause_s)
            yield Block((1008).to_bytes(2, "little") + acquisition.to_bytes(), 1)

    sent, received = host("sums", patience_s=2.5, blocks=slowly())
    assert sent == 2 and len(received) == 2


def test_a_source_that_fails_is_the_error_that_is_told(host):
    def broken():
        yield Block(b"")
        raise DataError("half a file", "a whole one", "copy it again")

    with pytest.raises(DataError, match="half a file"):
        host("nothing", blocks=broken())


@pytest.mark.parametrize(
    ("code", "message", "connect_s"),
    [
        ("import sys; sys.exit(7)", "exit code 7 before it connected", 60.0),
        ("import time; time.sleep(60)", "no call", 1.0),
    ],
)
def test_a_node_that_never_connects_is_given_up(code, message, connect_s, tmp_path):
    with pytest.raises(StreamError, match=message):
        Node(tmp_path / "node.log", command=(sys.executable, "-c", code), connect_s=connect_s)


def test_interrupting_the_host_stops_the_node(tmp_path, scan, write_stream):
    raw = write_stream(scan([(8, 2, 0)]))
    program = (
        "import signal, sys; from pathlib import Path; from smug_recon.replay.host.client import play;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # a shell's background jobs ignore it
        "from smug_recon.replay.host.node import Node; from smug_recon.replay.reading.raw import open_raw\n"
        f"log = Path({str(tmp_path / 'node.log')!r})\n"
        f"with open_raw({str(raw)!r}) as raw, Node(log, 'replay_nodes', 'silent') as node:\n"
        "    print(node.process.pid, flush=True)\n"
        "    play(node, b'<configuration/>', raw.header_xml, raw.blocks(), print)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(NODES)},
    ) as host:
        pid = int(host.stdout.readline())
        timer = threading.Timer(120, host.kill)
        timer.start()
        time.sleep(0.7)
        host.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in host.communicate()[1]
        timer.cancel()
    assert (
        not Path(f"/proc/{pid}").exists() or np.char.find(Path(f"/proc/{pid}/stat").read_text(), ") Z") >= 0
    )
