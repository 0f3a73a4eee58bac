"""Fuzz targets that hear a host: its messages, handshakes and headers, and a scan through the whole chain."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any
from unittest import mock

from fuzz_peer import Peer

SMALL_LIMITS = {"message_bytes": 1 << 20, "attribute_bytes": 1 << 16, "text_bytes": 1 << 16}
PIECES = (1, 2, 7, 100, 1 << 16)


def wire() -> Callable[[bytes], None]:
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


def handshake() -> Callable[[bytes], None]:
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


def opening() -> Callable[[bytes], None]:
    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.wire.protocol import Limits
    from smug_recon.scanner import catalogue as shipped
    from smug_recon.scanner.catalogue import Catalogue
    from smug_recon.scanner.opening import read_opening
    from smug_recon.scanner.session_socket import SessionSocket

    limits, catalogue, never = Limits(**SMALL_LIMITS), Catalogue(), threading.Event()
    shipped.load_pipeline = cache(shipped.load_pipeline)

    def run(data: bytes) -> None:
        held = SessionSocket(Peer(data), limits, 1.0, never)  # type: ignore[arg-type]
        try:
            read_opening(held).pipeline(catalogue)
        except SmugReconError as error:
            held.refuse(str(error))

    return run


def header() -> Callable[[bytes], None]:
    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.pipeline import load_pipeline
    from smug_recon.replay.messages.header import parse_header

    pipeline = load_pipeline()

    def run(data: bytes) -> None:
        with contextlib.suppress(SmugReconError):
            parsed, sent = parse_header(data)
            parse_header(sent)
            build_plan(parsed, pipeline)

    return run


def chain() -> Callable[[bytes], None]:
    from fuzz_scans import edited, model

    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.scan import run as reconstruct
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
