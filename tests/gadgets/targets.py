"""Targets for the connection tests, importable by ``python -m gadgetron`` without torch."""

from __future__ import annotations

import hashlib
import threading

import ismrmrd
from gadgetron.external import Connection

from smug_recon.errors import DataError
from smug_recon.gadgets.wire.connection import session
from smug_recon.gadgets.wire.protocol import Limits

PATIENT = Limits(stall_seconds=20.0, drain_seconds=30.0, drain_idle_seconds=20.0)  # for a busy test machine
HASTY = Limits(stall_seconds=0.6, drain_seconds=5.0, drain_idle_seconds=0.6)  # where silence is the point


def pass_on(connection: Connection, limits: Limits = PATIENT) -> None:
    """Send every item back."""
    with session(connection, limits) as host:
        for item in host:
            host.send(item)


def pass_on_hastily(connection: Connection) -> None:
    """Send every item back and tolerate little silence."""
    pass_on(connection, HASTY)


def stumble(connection: Connection, limits: Limits = PATIENT) -> None:
    """Fail at the first acquisition, as a stage would."""
    with session(connection, limits) as host:
        for item in host:
            if isinstance(item, ismrmrd.Acquisition):
                raise DataError("no calibration lines in slice 3 (März)", "24 lines or more", "scan them")
            host.send(item)


def pass_on_as_the_environment_says(connection: Connection) -> None:
    """Send every item back, with the limits of a real node."""
    with session(connection) as host:
        for item in host:
            host.send(item)


def compute_for_ever(connection: Connection) -> None:
    """Take one item, and compute in a library that no signal interrupts; the item goes back from inside of it."""
    with session(connection) as host:
        item = next(iter(host))
        threading.Timer(0.5, host.send, (item,)).start()
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2**31 - 1)
