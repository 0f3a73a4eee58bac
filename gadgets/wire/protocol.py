"""Message identifiers of the Gadgetron protocol, and what a peer may claim, and how long it may pause."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, fields

import numpy as np
from gadgetron.external import constants

from smug_recon.errors import ConfigurationError

CONFIG = constants.GADGET_MESSAGE_CONFIG
HEADER = constants.GADGET_MESSAGE_HEADER
CLOSE = constants.GADGET_MESSAGE_CLOSE
TEXT = constants.GADGET_MESSAGE_TEXT
ERROR = constants.GADGET_MESSAGE_ERROR
ACQUISITION = constants.GADGET_MESSAGE_ISMRMRD_ACQUISITION
IMAGE = constants.GADGET_MESSAGE_ISMRMRD_IMAGE
RECON_DATA = constants.GADGET_MESSAGE_RECON_DATA
IMAGE_ARRAY = constants.GADGET_MESSAGE_IMAGE_ARRAY
WAVEFORM = constants.GADGET_MESSAGE_ISMRMRD_WAVEFORM
BUCKET = constants.GADGET_MESSAGE_BUCKET

NAMES = {
    CONFIG: "configuration",
    HEADER: "MRD header",
    CLOSE: "close",
    TEXT: "text",
    ERROR: "error",
    ACQUISITION: "acquisition",
    IMAGE: "image",
    RECON_DATA: "ReconData",
    IMAGE_ARRAY: "ImageArray",
    WAVEFORM: "waveform",
    BUCKET: "acquisition bucket",
}

uint16 = struct.Struct("<H")
uint32 = struct.Struct("<I")
uint64 = struct.Struct("<Q")

# MRD data type numbers as they lie on the wire. int32 (4) is left out: ismrmrd-python takes it for int64.
PIXEL_TYPES: dict[int, np.dtype] = {
    1: np.dtype(np.uint16),
    2: np.dtype(np.int16),
    3: np.dtype(np.uint32),
    5: np.dtype(np.float32),
    6: np.dtype(np.float64),
    7: np.dtype(np.complex64),
    8: np.dtype(np.complex128),
}
# What Gadgetron's ImageReader takes from a module; int16 makes it drop the session.
SENDABLE_PIXELS = tuple(dtype for number, dtype in PIXEL_TYPES.items() if number != 2)


@dataclass(frozen=True)
class Limits:
    """Bounds on lengths (bytes) and silences (s); ``SMUG_RECON_<NAME>`` in the environment overrides one.

    Between two messages a peer may pause as long as it likes (an MR scan does); inside a message it may not.
    """

    message_bytes: int = 4 << 30  # one whole message
    attribute_bytes: int = 64 << 20  # the Meta attributes of one image
    text_bytes: int = 1 << 20  # TEXT and ERROR, sent or received
    stall_seconds: float = 120.0  # no byte at all inside a message, or none taken from us
    drain_seconds: float = 600.0  # after an error: reading on, so that the host still gets its text
    drain_idle_seconds: float = 20.0  # after an error: silence that ends the reading on
    grace_seconds: float = 30.0  # after SIGTERM: for the scan in hand to end

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ConfigurationError(
                    f"{field.name} = {getattr(self, field.name)!r}", "a positive number", "correct the limit"
                )

    @classmethod
    def from_environment(cls) -> Limits:
        """Read ``SMUG_RECON_STALL_SECONDS`` and its like; ConfigurationError on anything but a number > 0."""
        given: dict[str, float] = {}
        for field in fields(cls):
            name = f"SMUG_RECON_{field.name.upper()}"
            if name in os.environ:
                try:
                    number = float(os.environ[name])
                except ValueError:
                    number = float("nan")
                if not 0 < number < float("inf"):
                    raise ConfigurationError(
                        f"{name}={os.environ[name]!r}", "a positive number", "correct or unset the variable"
                    )
                given[field.name] = int(number) if field.name.endswith("_bytes") else number
        return cls(**given)  # type: ignore[arg-type]
