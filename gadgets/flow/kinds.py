"""Why something stood in, in a fixed set of words: fit for the labels of metrics, where no free text may stand."""

from __future__ import annotations

from dataclasses import dataclass

OUT_OF_MEMORY = "out_of_memory"
GPU_LOST = "gpu_lost"
NOT_FINITE = "not_finite"
NETWORK = "network_error"
NO_MODEL = "no_model"
STRICT = "outside_trained_range"
COIL_MAPS = "coil_maps"
FEW_LINES = "few_calibration_lines"
CG_SENSE_FAILED = "cg_sense"

KINDS = (
    OUT_OF_MEMORY,
    GPU_LOST,
    NOT_FINITE,
    NETWORK,
    NO_MODEL,
    STRICT,
    COIL_MAPS,
    FEW_LINES,
    CG_SENSE_FAILED,
)


@dataclass(frozen=True)
class Failure:
    """Why there is no image of the network: ``reason`` in one line for people, ``kind`` one of ``KINDS``."""

    reason: str
    kind: str
