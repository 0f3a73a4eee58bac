"""Which channel of a noise scan belongs to which channel of the imaging scan.

They are matched by coil name (``coilLabel`` of both headers; the n-th label is the n-th channel, as converters write them and
Gadgetron reads them).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import ismrmrd

from smug_recon.errors import DataError

log = logging.getLogger(__name__)


def channel_order(imaging: Sequence[str], noise: Sequence[str], channels: int, measured: int) -> list[int]:
    """Return which channel of the noise scan belongs to each channel of the imaging scan.

    Args:
        imaging, noise: coil names in channel order, empty where a header has none.
        channels, measured: receive channels of the imaging scan and of the noise scan.

    Raises:
        DataError: a coil of the imaging scan has no noise, or there are no names to match by.
    """
    named = len(imaging) == channels and len(noise) == measured
    if named and len(set(imaging)) == channels and len(set(noise)) == measured:
        missing = [name for name in imaging if name not in noise]
        if missing:
            raise DataError(
                f"a noise scan without the coils {', '.join(missing[:4])}" + (" ..." if missing[4:] else ""),
                f"noise of all {channels} coils of the imaging scan",
                "give the noise scan of this measurement, or set prewhitening: false in the pipeline",
            )
        return [list(noise).index(name) for name in imaging]
    if channels != measured:
        raise DataError(
            f"a noise scan of {measured} coils and imaging lines of {channels}, without coil names to match them",
            "the same coils in both, or a coilLabel for every coil in both headers",
            "give the noise scan of this measurement, or set prewhitening: false in the pipeline",
        )
    log.warning("no coil names to compare: the noise scan is taken to have the coils in the same order")
    return list(range(channels))


def coil_names(header: ismrmrd.xsd.ismrmrdHeader) -> list[str]:
    """The coil names of a header in channel order."""
    labels = getattr(header.acquisitionSystemInformation, "coilLabel", None) or []
    return [str(label.coilName).strip() for label in labels]
