"""What is fuzzed: functions that take the bytes of one input and let no error through but those of ``smug_recon.errors``.

    wire        the readers of every message behind a connection, and the writers on what they read
    handshake   a Gadgetron <connect>: configuration, header, pipeline of the properties
    opening     a session of FIRE, gadgetron_ismrmrd_client or Gadgetron at the session server, up to its pipeline
    header      the MRD header: parsed, mended, units, the plan
    pipeline    a pipeline file (YAML) and, behind a NUL, KEY=VALUE overrides line by line
    mrdstream   an ISMRMRD stream as a raw file
    spool       the stream of a spool: messages of hosts and of Gadgetron's front end
    hdf5        the bytes of an ISMRMRD or fastMRI HDF5 file, in a second process and, if it survives that, in the first
    tables      an HDF5 file built from the input: any shapes, types and values where a raw file has its own
    card        a model file: what is read of it before its hash is known
    chain       a scan of a few lines, edited by the input, through the whole chain

Each is made by a function that imports what it needs, so that a fuzzer instruments no more than it drives.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import struct
import tempfile
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from fuzz_peer import Peer

Run = Callable[[bytes], None]

SMALL_LIMITS = {"message_bytes": 1 << 20, "attribute_bytes": 1 << 16, "text_bytes": 1 << 16}
PIECES = (1, 2, 7, 100, 1 << 16)


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed: how to make its function, words of its language, the longest input in bytes."""

    make: Callable[[], Run]
    words: tuple[bytes, ...] = ()
    longest: int = 4096


def wire() -> Run:
    from gadgetron.external import Connection

    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.wire.connection import GuardedConnection
    from smug_recon.gadgets.wire.protocol import Limits
    from smug_recon.gadgets.wire.sockets import GuardedSocket

    limits = Limits(**SMALL_LIMITS)

    class Greeted(Connection):
        def __init__(self, socket: GuardedSocket) -> None:
            self.socket, self.filters = socket, []
            self.readers, self.writers = Connection._default_readers(), Connection._default_writers()

    def run(data: bytes) -> None:
        held = GuardedSocket(Peer(data[1:], PIECES[data[0] % len(PIECES)] if data else 1), limits)  # type: ignore[arg-type]
        host = GuardedConnection(Greeted(held), limits)
        try:
            for item in host:
                with contextlib.suppress(SmugReconError):
                    host.send(item)
            host.finish()
        except SmugReconError as error:
            host.fail(error)

    return run


def handshake() -> Run:
    from smug_recon import pipeline as settings
    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.gadgets.header.units import correct_units
    from smug_recon.gadgets.wire.listen import GuardedHandshake
    from smug_recon.gadgets.wire.protocol import Limits

    limits = Limits(**SMALL_LIMITS)
    read_once = cache(settings.load_pipeline)  # reading YAML is a target of its own

    def run(data: bytes) -> None:
        with contextlib.suppress(SmugReconError):
            connection = GuardedHandshake(Peer(data), limits)  # type: ignore[arg-type]
            with mock.patch.object(settings, "load_pipeline", read_once):
                pipeline = settings.pipeline_of(connection.config)
            build_plan(correct_units(connection.header)[0], pipeline)

    return run


def opening() -> Run:
    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.wire.protocol import Limits
    from smug_recon.scanner import catalogue as shipped
    from smug_recon.scanner.catalogue import Catalogue
    from smug_recon.scanner.opening import read_opening
    from smug_recon.scanner.wire import SessionSocket

    limits, catalogue, never = Limits(**SMALL_LIMITS), Catalogue(), threading.Event()
    shipped.load_pipeline = cache(shipped.load_pipeline)

    def run(data: bytes) -> None:
        held = SessionSocket(Peer(data), limits, 1.0, never)  # type: ignore[arg-type]
        try:
            read_opening(held).pipeline(catalogue)
        except SmugReconError as error:
            held.refuse(str(error))

    return run


def header() -> Run:
    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.pipeline import load_pipeline
    from smug_recon.replay.header import parse_header

    pipeline = load_pipeline()

    def run(data: bytes) -> None:
        with contextlib.suppress(SmugReconError):
            parsed, sent = parse_header(data)
            parse_header(sent)
            build_plan(parsed, pipeline)

    return run


def pipeline() -> Run:
    from smug_recon.errors import SmugReconError
    from smug_recon.pipeline import load_pipeline, parse_settings

    shipped, path = load_pipeline(), _file("pipeline.yaml")

    def run(data: bytes) -> None:
        text, _, overrides = data.partition(b"\0")
        path.write_bytes(text)
        found = shipped
        with contextlib.suppress(SmugReconError):
            found = load_pipeline(path)
        with contextlib.suppress(SmugReconError):
            settings = parse_settings(overrides.decode("utf-8", errors="replace").splitlines())
            assert len(found.with_overrides(settings).sha256) == 64

    return run


def mrdstream() -> Run:
    from smug_recon.errors import SmugReconError
    from smug_recon.replay.mrdstream import StreamRaw
    from smug_recon.replay.wire import items

    def run(data: bytes) -> None:
        for read in (lambda raw: items(raw.blocks()), lambda raw: raw.items()):
            with contextlib.suppress(SmugReconError), StreamRaw(io.BytesIO(data), "input") as raw:
                for item in read(raw):
                    item.getHead()

    return run


def spool() -> Run:
    from smug_recon.errors import SmugReconError
    from smug_recon.replay.spooled import SpoolRaw
    from smug_recon.spool.record import STREAM

    path = _file(STREAM)

    def run(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(SmugReconError), SpoolRaw(path.parent) as raw:
            for block in raw.blocks():
                assert block.payload

    return run


def hdf5() -> Run:
    """First in a second process: what hangs or crashes libhdf5 has to be one error there, and is not read here."""
    from smug_recon.errors import SmugReconError
    from smug_recon.replay.child import VARIABLE
    from smug_recon.replay.raw import open_raw

    path = _file("raw.h5")
    os.environ.setdefault(VARIABLE, "1")

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            with open_raw(path) as raw:
                _read(raw)
        except SmugReconError as error:
            if any(word in error.found for word in ("round in circles", "crashes")):
                return
        _read_raw(path)

    return run


def tables() -> Run:
    from fuzz_tables import build

    path = _file("tables.h5")

    def run(data: bytes) -> None:
        if build(path, data):
            _read_raw(path)

    return run


def _read_raw(path: Path) -> None:
    from smug_recon.errors import SmugReconError
    from smug_recon.replay.direct import open_here

    with contextlib.suppress(SmugReconError), open_here(path) as raw:
        _read(raw)


def _read(raw: Any) -> None:
    from smug_recon.errors import SmugReconError

    for read in (raw.items, raw.head_tables, raw.other_scans):
        with contextlib.suppress(SmugReconError):
            for _ in read():
                pass


def card() -> Run:
    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.solve.model import read_card

    path = _file("model.pt")

    def run(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(SmugReconError):
            read_card(path).range_text()

    return run


def chain() -> Run:
    from fuzz_scans import edited, model

    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.stream import run as reconstruct
    from smug_recon.pipeline import load_pipeline

    shipped, network = load_pipeline(), model()

    def run(data: bytes) -> None:
        import ismrmrd
        import numpy as np

        items, mrd_header = edited(data)
        sent: list[Any] = []
        with warnings.catch_warnings(), contextlib.suppress(SmugReconError):
            warnings.simplefilter("ignore", RuntimeWarning)
            reconstruct(items, sent.append, mrd_header, shipped, network)
        for image in sent:
            if isinstance(image, ismrmrd.Image):
                assert image.data.dtype == np.uint16 and "SmugLines" in image.meta

    return run


def _file(name: str) -> Path:
    """A file, in memory where there is such a folder, that is written anew for every input; it goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="smug-fuzz-", dir=memory())
    atexit.register(folder.cleanup)
    return Path(folder.name) / name


def memory() -> str | None:
    """A folder in memory; that of ``scripts/fuzz``, which removes it even if the process dies."""
    given = os.environ.get("SMUG_RECON_FUZZ_FOLDER")
    return given or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def _ids(*numbers: int) -> tuple[bytes, ...]:
    return tuple(struct.pack("<H", number) for number in numbers)


def _words(text: str) -> tuple[bytes, ...]:
    return tuple(text.encode().split(b"|"))


MESSAGES = _ids(1, 2, 3, 4, 5, 8, 1008, 1022, 1023, 1024, 1026, 1030, 1050, 1051, 1054)
BIG = (
    b"\xff" * 8,
    b"\xff" * 4,
    b"\xff\xff",
    b"\0" * 8,
    struct.pack("<Q", 1 << 40),
    struct.pack("<d", float("nan")),
)
XML = _words(
    '<?xml version="1.0"?>|<!DOCTYPE a [|<!ENTITY b "c">|]>|&b;|&#0;|&#x41;|<![CDATA[|]]>|<!--|-->|encoding="utf-16"|'
    'encoding="latin-1"|xmlns="http://www.ismrm.org/ISMRMRD"|<ismrmrdHeader|</ismrmrdHeader>|<encoding>|</encoding>|'
    "<matrixSize>|<x>|</x>|<encodedSpace>|<trajectory>epi</trajectory>|<parallelImaging>|<encodingLimits>|NaN|INF|-1|"
    "1e308|99999999999999999999|<minimum>|<maximum>|<center>|<multiband>|0.5|<userParameters>"
)
CONFIGURATION = _words(
    "<configuration>|</configuration>|<property name=|<name>|<value>| value=|<external>|<connect/>|<execute name=|"
    "smug_recon.gadgets|pipeline|images.type|float32|samples|seed|<stream>|model.file|smug-cartesian|.xml|{|}|"
    '{"parameters": {|"config": |"images": {|null|true|1e999'
)
YAML = _words(
    "&a |*a|<<: *a|!!python/object/apply:os.system [a]|!!binary |!!timestamp |2001-99-99|!!int |0x|1:1:1|.nan|.inf|!!set|"
    "!!omap|? |---|...|%YAML 9.9|[[[[[[[[|{{{{{{{{|- - - - |model:|sha256:|images:|coil_compression:|method: svd|samples:|"
    "energy: |1e999|!!float |0b|~|%TAG ! tag:|\0|="
)

TARGETS: dict[str, Target] = {
    "wire": Target(wire, MESSAGES + BIG),
    "handshake": Target(handshake, MESSAGES + BIG + XML + CONFIGURATION),
    "opening": Target(opening, MESSAGES + BIG + XML + CONFIGURATION),
    "header": Target(header, XML, 8192),
    "pipeline": Target(pipeline, YAML),
    "mrdstream": Target(mrdstream, MESSAGES + BIG),
    "spool": Target(spool, MESSAGES + BIG),
    "hdf5": Target(hdf5, (*BIG, b"OHDR", b"TREE", b"HEAP", b"SNOD", b"GCOL", b"\x89HDF\r\n\x1a\n"), 20000),
    "tables": Target(tables, BIG, 256),
    "card": Target(card, (*BIG, b"PK\1\2", b"PK\3\4", b"PK\5\6", b"/extra/card.json", b"[[[[[[[["), 8192),
    "chain": Target(chain, BIG, 128),
}
