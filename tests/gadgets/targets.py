"""Targets for the connection tests, importable by ``python -m gadgetron`` without torch."""

from __future__ import annotations

import ismrmrd
from gadgetron.external import Connection

from smug_recon.errors import DataError
from smug_recon.gadgets.connection import session
from smug_recon.gadgets.protocol import Limits

QUICK = Limits(stall_seconds=0.3, drain_seconds=5.0, drain_idle_seconds=0.3)


def pass_on(connection: Connection, limits: Limits = QUICK) -> None:
    """Send every item back."""
    with session(connection, limits) as host:
        for item in host:
            host.send(item)


def stumble(connection: Connection, limits: Limits = QUICK) -> None:
    """Fail at the first acquisition, as a stage would."""
    with session(connection, limits) as host:
        for item in host:
            if isinstance(item, ismrmrd.Acquisition):
                raise DataError("no calibration lines in slice 3 (März)", "24 lines or more", "scan them")
            host.send(item)
