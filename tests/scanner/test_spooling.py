"""What a server keeps of its sessions: bytes of all kinds of hosts, through errors, a full disk and two at once."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import urllib.request

import hosts
import ismrmrd
import numpy as np
import pytest
from small_scan import header_xml

from smug_recon.errors import ConfigurationError
from smug_recon.gadgets import run
from smug_recon.pipeline import SpoolSettings, load_pipeline, shipped_folder
from smug_recon.replay.messages import wire
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.reading.raw import open_raw
from smug_recon.replay.reading.spooled import settings_of
from smug_recon.scanner.catalogue import Catalogue
from smug_recon.spool import SpoolFolder, writer
from smug_recon.spool.record import STREAM

STARTS = {
    "FIRE": hosts.fire("smug-cartesian", {"images.type": "float32"}, slices=2),
    "client": hosts.client(slices=2),
    "connect": hosts.connect(slices=2),
}


@pytest.fixture
def spools(tmp_path):
    """The settings of a spool folder, and what lies in it once sessions are over."""
    return SpoolSettings(folder=tmp_path / "spools")


def dies(server, *parts):
    """A host that sends this and no more; what it hears until the server is through with it."""
    end = hosts.HostEnd(server.port)
    end.send(*parts)
    end.socket.shutdown(socket.SHUT_WR)
    return end.listen()


def kept(settings, server=None):
    """All spools, after the sessions of the server have ended."""
    if server is not None:
        assert server._wait(30)
    return SpoolFolder(settings).spools()


def replayed(spool, model):
    """The images of a spool, in this process: what smug-recon replay does, with the model of the tests."""
    found = []
    with open_raw(spool.path) as raw:
        header, _ = parse_header(raw.header_xml)
        run(wire.items(raw.blocks()), found.append, header, load_pipeline(settings_of(spool.path)), model)
    return [item for item in found if isinstance(item, ismrmrd.Image)]


@pytest.mark.parametrize("kind", STARTS)
def test_the_bytes_of_a_session_give_its_images_again(kind, start, spools, model):
    server = start(spool=spools)
    heard = hosts.session(server.port, STARTS[kind], slices=2)
    assert heard.ending == "close" and len(heard.images) == 2, heard.complaint
    (spool,) = kept(spools, server)
    assert (spool.path / STREAM).read_bytes() == STARTS[kind] + b"".join(hosts.scan(2)) + hosts.CLOSE
    assert (spool.record.state, spool.held, spool.record.stopped) == ("done", False, "")
    again = replayed(spool, model)
    for before, after in zip(heard.images, again, strict=True):
        assert before.data.dtype == after.data.dtype
        np.testing.assert_array_equal(before.data, after.data)
        assert (
            bytes(before.getHead())[:-4] == bytes(after.getHead())[:-4]
        )  # the length of the Meta is set on the way
        assert before.meta["SmugPipelineSha256"] == after.meta["SmugPipelineSha256"]


def test_without_a_folder_nothing_is_kept(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hosts.session(start().port, hosts.fire()).ending == "close"
    assert not list(tmp_path.iterdir())


def test_a_server_without_a_folder_follows_the_pipeline(start, spools, tmp_path):
    text = (shipped_folder() / "smug-cartesian.yaml").read_text()
    text = text.replace("file: models/", f"file: {shipped_folder()}/models/")
    (tmp_path / "kept.yaml").write_text(text.replace("folder: null", f"folder: {spools.folder}"))
    server = start(catalogue=Catalogue(tmp_path))
    assert hosts.session(server.port, hosts.fire()).ending == "close"
    assert not spools.folder.exists()
    assert hosts.session(server.port, hosts.fire("kept")).ending == "close"
    (spool,) = kept(spools, server)
    assert (spool.path / STREAM).read_bytes() == hosts.fire("kept") + b"".join(hosts.scan()) + hosts.CLOSE


def test_a_session_that_fails_names_its_spool_and_keeps_what_follows(start, spools):
    """A line after its slice is an error; what the host sends after it is kept as well."""
    server = start(spool=spools)
    lines, start_bytes = hosts.scan(2), hosts.client(slices=2)
    sent = [start_bytes, *lines, lines[-1], *lines[10:20], hosts.CLOSE]
    heard = hosts.HostEnd(server.port).talk(*sent)
    (spool,) = kept(spools, server)
    assert spool.path.name in heard.complaint and "line" in heard.complaint
    assert spool.record.state == "failed" and "DataError" in spool.record.error
    assert (spool.path / STREAM).read_bytes() == b"".join(sent)


def test_a_name_that_is_refused_does_not_cost_the_scan(start, spools, model):
    server = start(spool=spools)
    heard = hosts.session(server.port, hosts.fire("simplefft"))
    (spool,) = kept(spools, server)
    assert "no configuration 'simplefft'" in heard.complaint and spool.path.name in heard.complaint
    assert (spool.path / STREAM).read_bytes() == hosts.fire("simplefft") + b"".join(
        hosts.scan()
    ) + hosts.CLOSE
    with pytest.raises(ConfigurationError, match="-c"):
        settings_of(spool.path)


def test_a_host_that_dies_leaves_complete_slices_for_a_replay(start, spools, model, monkeypatch):
    server = start(spool=spools)
    whole = hosts.session(server.port, hosts.client(slices=2), slices=2)
    lines = hosts.scan(2)
    cut = b"".join(lines[:-1]) + lines[-1][:200]  # half of the last message
    heard = dies(server, hosts.client(slices=2), cut)
    dead = next(spool for spool in kept(spools, server) if spool.record.state == "failed")
    assert len(heard.images) == 1 and dead.path.name in heard.complaint
    assert (dead.path / STREAM).read_bytes() == hosts.client(slices=2) + cut
    with open_raw(dead.path) as raw:
        messages = list(wire.items(raw.blocks()))
        assert not raw.whole and "end of spool" in raw.cut
    assert len(messages) == len(lines) - 1
    found = []
    header, _ = parse_header(header_xml(slices=2).encode())
    with pytest.raises(RuntimeError):  # the stream ends there, as it did
        run(broken(messages), found.append, header, load_pipeline(settings_of(dead.path)), model)
    (image,) = found
    np.testing.assert_array_equal(image.data, whole.images[0].data)


def broken(items):
    yield from items
    raise RuntimeError


@pytest.mark.parametrize(
    "start_bytes",
    [b"GET / HTTP/1.1\r\n\r\n", b"", struct.pack("<H", 1008), hosts.name("x"), hosts.connect()[:-1]],
)
def test_what_is_no_scan_leaves_no_spool(start_bytes, start, spools):
    server = start(spool=spools)
    dies(server, start_bytes)
    assert not kept(spools, server)


def test_a_header_alone_is_no_scan_that_must_stay(start, spools):
    server = start(spool=spools)
    dies(server, hosts.client())
    (spool,) = kept(spools, server)
    assert spool.record.state == "empty" and spool.removable


def test_two_sessions_at_once_are_kept_apart(start, spools):
    server, lines = start(spool=spools), hosts.scan(2)
    ends = [hosts.HostEnd(server.port) for _ in range(2)]
    starts = [hosts.client(slices=2), hosts.fire(slices=2)]
    for part in range(0, len(lines), 8):  # side by side
        for end, begin in zip(ends, starts, strict=True):
            end.send(b"" if part else begin, *lines[part : part + 8])
    for end in ends:
        end.send(hosts.CLOSE)
    listeners = [threading.Thread(target=end.listen) for end in ends]
    for listener in listeners:
        listener.start()
    for listener in listeners:
        listener.join(60)
    assert [end.heard.ending for end in ends] == ["close", "close"]
    found = {(spool.path / STREAM).read_bytes() for spool in kept(spools, server)}
    assert found == {begin + b"".join(lines) + hosts.CLOSE for begin in starts}


def test_a_full_disk_is_said_on_the_images_and_the_scan_goes_on(start, spools, monkeypatch, caplog):
    server, real, room = start(spool=spools), os.write, [20_000]

    def write(descriptor, data):
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = real(descriptor, data[: room[0]])
        room[0] -= count
        return count

    monkeypatch.setattr(writer.os, "write", write)
    heard = hosts.session(server.port, hosts.fire(slices=2), slices=2)
    assert heard.ending == "close" and len(heard.images) == 2
    for image in heard.images:
        assert "THE RAW DATA ARE NOT KEPT" in image.meta["ImageComments"]
    assert any("NOT KEPT" in line for line in heard.texts) and "NOT KEPT" in caplog.text
    assert server._wait(30)
    with urllib.request.urlopen(f"http://127.0.0.1:{server._page.port}/metrics") as page:
        numbers = page.read().decode()
    assert "smug_recon_spools_stopped_total 1.0" in numbers
    assert "smug_recon_spooled_bytes_total 20000.0" in numbers


def test_a_folder_that_cannot_be_written_is_said_at_the_start(start, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigurationError, match="spool folder"):
        start(spool=SpoolSettings(folder=tmp_path / "file"))


@pytest.mark.parametrize("setting", ["spool.folder", "spool.days"])
def test_a_host_cannot_say_what_is_written_where(setting, start, tmp_path):
    heard = hosts.session(start().port, hosts.fire("smug-cartesian", {setting: str(tmp_path)}))
    assert "a spool chosen on this machine" in heard.complaint


def test_spools_that_stay_are_counted_when_a_server_starts(start, spools, caplog):
    server = start(spool=spools)
    hosts.session(server.port, hosts.fire("simplefft"))
    assert server._wait(30)
    start(spool=spools)
    assert "spools of sessions that failed lie there: 1 " in caplog.text
