"""How long the receiver dwells on a sample, for every kind of readout."""

from __future__ import annotations

from smug_recon.simulation.protocol.schedule import IMAGING, NOISE, REFERENCE_SCAN
from smug_recon.simulation.protocol.settings import ScanSettings

DWELL_US = 5.0  # of a readout with twofold oversampling
NOISE_DWELL_US = 6.5
REFERENCE_DWELL_US = 2.5


def dwell_us(settings: ScanSettings, kind: str = IMAGING) -> float:
    """Return the dwell time of a kind of readout."""
    if kind == NOISE:
        return NOISE_DWELL_US
    once = REFERENCE_DWELL_US if kind == REFERENCE_SCAN else DWELL_US
    return once * 2 / settings.oversampling
